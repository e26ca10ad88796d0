//! Names that are in the store at this moment. Only directories are listed, and no record is read but those of running containers.

use super::candidate::{Candidate, FILES};
use crate::container::stored::record::{self, Container};
use crate::image::stored::names;
use crate::store::Store;
use std::fs;
use std::path::Path;

/// Where names are looked up, and for which command.
pub(super) struct Names<'a> {
    pub root: Option<&'a Path>,
    pub command: &'a str,
}

/// Returns what an argument can be, by its name and the word that stands for its value in the help.
pub(super) fn of(id: &str, shown: &str, names: &Names) -> Vec<Candidate> {
    let shown = shown.to_ascii_lowercase();
    let is_about = |word: &str| id.contains(word) || shown.contains(word);
    // A store that is not there has no names, and is not made to see that.
    let store = Store::existing(names.root);
    let mut found = Vec::new();
    if let Some(store) = &store {
        if id == "volumes_from" || is_about("container") || matches!(id, "one" | "other" | "names" | "first") {
            found.extend(containers(store, names.command));
        }
        if (is_about("image")
            || shown.starts_with("name[:tag")
            || matches!(id, "source" | "one" | "other" | "names" | "first"))
            && id != "container_and_command"
            && id != "image_volume"
        {
            found.extend(images(store));
        }
        if id == "volume" || id == "volumes" || shown == "volume" {
            found.extend(volumes(store));
        }
    }
    match id {
        // `explain` has nothing to say of `host` and `none`.
        "network" | "name" if is_about("network") => {
            let made = store.iter().flat_map(|store| file_names(&store.path("networks")));
            let words: &[&str] = if id == "name" { &["bridge"] } else { &["bridge", "host", "none"] };
            let words = words.iter().map(|word| (*word).to_owned()).chain(made);
            found.extend(words.map(|word| Candidate::new(word, "network")));
        }
        "signal" | "stop_signal" => {
            found.extend(
                ["TERM", "KILL", "INT", "HUP", "QUIT", "USR1", "USR2"].map(|word| Candidate::new(word, "signal")),
            );
        }
        "platform" => {
            found.extend(["linux/amd64", "linux/arm64", "linux/arm/v7"].map(|word| Candidate::new(word, "platform")));
        }
        _ => {}
    }
    let is_path = ["file", "dir", "path", "context", "target"].iter().any(|word| shown.contains(word));
    if is_path || matches!(id, "archive" | "volume" | "context" | "env_file") {
        found.push(Candidate::new(FILES, ""));
    }
    found
}

/// Returns the containers that a command can be about: those that run, those that do not, or all.
fn containers(store: &Store, command: &str) -> Vec<Candidate> {
    let running: Vec<String> = match command {
        "rm" | "inspect" | "logs" | "diff" | "commit" | "cp" | "export" | "rename" | "why" | "explain" | "compare" => {
            Vec::new()
        }
        _ => Container::running(store).into_iter().map(|container| container.record.name).collect(),
    };
    match command {
        "stop" | "kill" | "exec" | "attach" | "top" | "port" | "pause" | "unpause" | "stats" | "watch" | "probe"
        | "wait" | "healthcheck" => running.into_iter().map(|name| Candidate::new(name, "running")).collect(),
        "start" => {
            let stopped = container_names(store).into_iter().filter(|name| !running.contains(name));
            stopped.map(|name| Candidate::new(name, "container")).collect()
        }
        _ => container_names(store).into_iter().map(|name| Candidate::new(name, "container")).collect(),
    }
}

fn container_names(store: &Store) -> Vec<String> {
    let mut names = file_names(&store.path("container-names"));
    // A killed command may have left a name without a container.
    names.retain(|name| record::id_of_name(store, name).is_some());
    names.sort();
    names
}

fn images(store: &Store) -> Vec<Candidate> {
    let references = file_names(&store.path("names")).into_iter().filter_map(|name| names::reference_of(&name));
    let mut words: Vec<String> = references.map(|reference| reference.familiar()).collect();
    words.sort();
    words.into_iter().map(|word| Candidate::new(word, "image")).collect()
}

fn volumes(store: &Store) -> Vec<Candidate> {
    let mut names = file_names(&store.path("volumes"));
    // An anonymous volume has a random name that nobody types.
    names.retain(|name| {
        !(name.starts_with('.') || name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    names.sort();
    names.into_iter().map(|name| Candidate::new(name, "volume")).collect()
}

fn file_names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
