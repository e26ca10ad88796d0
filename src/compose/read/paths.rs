//! Paths in a file are relative to it, or to the project.

use super::node::{Node, Value};
use std::path::{Component, Path, PathBuf};

/// Makes the paths of a canonical tree absolute.
pub(super) fn make_absolute(file: &mut Node, base: &Path) {
    let services = file.get_mut("services").and_then(Node::map_mut).into_iter().flatten();
    for (_, entry) in services {
        of_service(&mut entry.node, base);
    }
    for kind in ["secrets", "configs"] {
        let all = file.get_mut(kind).and_then(Node::map_mut).into_iter().flatten();
        all.for_each(|(_, entry)| at(&mut entry.node, "file", base));
    }
    let volumes = file.get_mut("volumes").and_then(Node::map_mut).into_iter().flatten();
    for (_, entry) in volumes {
        if let Some(options) = entry.node.get_mut("driver_opts")
            && options.text("o").is_some_and(|words| words.split(',').any(|word| word == "bind" || word == "rbind"))
        {
            at(options, "device", base);
        }
    }
}

fn of_service(service: &mut Node, base: &Path) {
    if let Some(build) = service.get_mut("build") {
        if build.text("context").is_some_and(is_local) {
            at(build, "context", base);
        }
        let contexts = build.get_mut("additional_contexts").and_then(Node::map_mut).into_iter().flatten();
        for (_, entry) in contexts {
            if entry.node.scalar().is_some_and(|value| is_local(value) && !value.starts_with("service:")) {
                make(&mut entry.node, base);
            }
        }
    }
    for file in list_of(service, "env_file") {
        at(file, "path", base);
    }
    for file in list_of(service, "label_file") {
        make(file, base);
    }
    if let Some(extends) = service.get_mut("extends") {
        at(extends, "file", base);
    }
    for mount in list_of(service, "volumes") {
        if mount.text("type") == Some("bind") {
            at(mount, "source", base);
        }
    }
    if let Some(develop) = service.get_mut("develop") {
        for watch in list_of(develop, "watch") {
            at(watch, "path", base);
        }
    }
}

fn list_of<'a>(node: &'a mut Node, key: &str) -> &'a mut [Node] {
    match node.get_mut(key) {
        Some(Node { value: Value::List(list), .. }) => list,
        _ => &mut [],
    }
}

/// Whether a context is a directory, and not an address, an image or a git repository.
fn is_local(context: &str) -> bool {
    !context.contains("://") && !context.starts_with("git@") && !context.starts_with("github.com/")
}

fn at(node: &mut Node, key: &str, base: &Path) {
    if let Some(path) = node.get_mut(key) {
        make(path, base);
    }
}

fn make(node: &mut Node, base: &Path) {
    if let Value::Text(text) = &mut node.value
        && !text.starts_with('$')
    {
        *text = absolute(text, base).to_string_lossy().into_owned();
    }
}

/// Returns a path from a directory on, without what changes nothing.
pub(super) fn absolute(text: &str, base: &Path) -> PathBuf {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    let path = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            home().map_or_else(|| PathBuf::from(text), |home| home.join(rest.trim_start_matches('/')))
        }
        _ => base.join(text),
    };
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
}
