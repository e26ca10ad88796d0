//! Two things told apart: what is frozen in an image, what was decided when a container was created, and what exists only
//! while it runs; or what two of a kind share, and what each has alone.

use super::anatomy::{self, Anatomy, LayerFacts};
use super::decided;
use super::sockets;
use super::subject::{self, Subject};
use crate::container::processes;
use crate::container::rootfs::layering::Layering;
use crate::container::stored::record::{Container, Phase, State};
use crate::diag::Failure;
use crate::image;
use crate::image::Image;
use crate::image::stored::layer;
use crate::image::stored::usage::blocks;
use crate::store::Store;
use crate::sys::fs as sys;
use crate::userns;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Comparison {
    ImageAndContainer(Kinds),
    Alike(Alike),
}

/// An image and a container. Each fact stands under its name in one of the three only.
#[derive(Debug, Serialize)]
pub(crate) struct Kinds {
    /// The container was made from this very image.
    pub is_made_from: bool,
    pub gist: Gist,
    pub frozen: Map<String, Value>,
    pub decided: Map<String, Value>,
    pub while_it_runs: Map<String, Value>,
}

/// The container in one sentence.
#[derive(Debug, Serialize)]
pub(crate) struct Gist {
    pub container: String,
    /// The image that it was made from.
    pub image: String,
    pub layers: usize,
    /// It has a copy of them, since this host lays no layers over each other.
    pub is_copied: bool,
    /// The container's own bytes on disk.
    pub writable_on_disk: u64,
    /// 0: it does not run.
    pub processes: usize,
    /// The release of the kernel that its processes have, or would have.
    pub kernel: String,
    /// A kernel that lies in the image, as a file like any other.
    pub kernel_file: Option<PathBuf>,
}

/// Two containers, or two images.
#[derive(Debug, Serialize)]
pub(crate) struct Alike {
    /// Layers that both stand on: on disk, and in the page cache, once.
    pub shared: Vec<LayerFacts>,
    pub shared_on_disk: u64,
    /// Bytes of these layers' files that are in the page cache now, for both; `None`: the kernel does not tell (before 6.5).
    pub shared_in_page_cache: Option<u64>,
    pub sides: [Side; 2],
}

#[derive(Debug, Serialize)]
pub(crate) struct Side {
    pub name: String,
    /// Layers that the other does not stand on.
    pub layers: Vec<LayerFacts>,
    /// The writable layer, of a container.
    pub writable_on_disk: Option<u64>,
    /// Its layers, and its writable one.
    pub private_on_disk: u64,
    /// Of an image: its settings that are not the other's.
    pub frozen: Map<String, Value>,
    /// Of a container: what was decided otherwise than for the other.
    pub decided: Map<String, Value>,
    pub while_it_runs: Map<String, Value>,
}

/// # Errors
/// When a layer or a record cannot be read. Must run inside the user namespace.
pub(crate) fn compare(store: &Store, names: [&str; 2], subjects: [&Subject; 2]) -> Result<Comparison, Failure> {
    match subjects {
        [Subject::Image(image), Subject::Container(container)]
        | [Subject::Container(container), Subject::Image(image)] => Ok(Comparison::ImageAndContainer(Kinds {
            is_made_from: container.record.image_id == image.id,
            gist: gist(store, container)?,
            frozen: frozen(image, &anatomy::look(store, &Subject::Image(image.clone()))?),
            decided: decided::facts(container)?,
            while_it_runs: while_it_runs(container)?,
        })),
        _ => Ok(Comparison::Alike(alike(store, names, subjects)?)),
    }
}

fn gist(store: &Store, container: &Container) -> Result<Gist, Failure> {
    let (record, state) = (&container.record, container.state());
    let image = image::find(store, &record.image_id.to_string())?;
    let layers = subject::layers(store, &image)?;
    let is_copied = Layering::of(store) == Layering::Copy;
    let own = container.directory.join(if is_copied { "rootfs" } else { "upper" });
    let name = Subject::Container(Box::new(container.clone()));
    Ok(Gist {
        container: record.name.clone(),
        image: anatomy::shown_name(&anatomy::look(store, &name)?, &record.image),
        kernel_file: layers.iter().rev().find_map(|layer| kernel_file(&layer.directory)),
        layers: layers.len(),
        is_copied,
        writable_on_disk: blocks(&own)?,
        processes: if state.phase == Phase::Running { processes::pids(state.pid).len() } else { 0 },
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
    })
}

/// A kernel that a layer brings, by the names that distributions give it.
fn kernel_file(layer: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(layer.join("boot")).into_iter().flatten().flatten();
    let names =
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.file_name());
    let mut kernels = names.filter(|name| name.to_str().is_some_and(|name| name.starts_with("vmlinu")));
    kernels.next().map(|name| Path::new("/boot").join(name))
}

/// The facts of one thing, by name; those without a value are left out.
pub(crate) fn facts<const N: usize>(facts: [(&str, Value); N]) -> Map<String, Value> {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    facts.into_iter().filter(|(_, value)| !is_empty(value)).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn frozen(image: &Image, anatomy: &Anatomy) -> Map<String, Value> {
    let config = image.config().config().clone().unwrap_or_default();
    facts([
        ("image_id", json!(image.id)),
        ("image_names", json!(anatomy.names)),
        ("image_created", json!(image.config().created())),
        ("platform", json!(format!("{}/{}", image.config().os(), image.config().architecture()))),
        ("layers", json!(anatomy.layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>())),
        ("layers_on_disk", json!(anatomy.layers.iter().map(|layer| layer.on_disk).sum::<u64>())),
        ("entrypoint", json!(config.entrypoint())),
        ("cmd", json!(config.cmd())),
        ("default_env", json!(config.env())),
        ("default_user", json!(config.user())),
        ("default_workdir", json!(config.working_dir())),
        ("exposed_ports", json!(config.exposed_ports())),
        ("declared_volumes", json!(config.volumes())),
        ("labels", json!(config.labels())),
    ])
}

const NAMESPACES: [&str; 7] = ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"];

fn while_it_runs(container: &Container) -> Result<Map<String, Value>, Failure> {
    let state = container.state();
    if state.phase != Phase::Running {
        return Ok(Map::new());
    }
    let pids = processes::pids(state.pid);
    Ok(facts([
        ("first_process", json!(state.pid)),
        ("first_process_inside", json!(number_inside(state.pid))),
        ("processes", json!(pids.len())),
        ("started", json!(state.started)),
        ("monitor", json!(state.monitor.0)),
        ("namespaces", namespaces(state.pid)),
        ("addresses", json!(addresses(state.pid))),
        ("listening", json!(listening(state.pid))),
        ("memory", json!(pids.iter().map(|pid| anonymous(*pid)).sum::<u64>())),
        ("cgroup", json!(cgroup(&state))),
    ]))
}

/// Of each kind the container's number, and the host's if that is another.
fn namespaces(pid: i32) -> Value {
    let number = |link: PathBuf| {
        let digits: String = link.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    let of = |process: &str, kind: &str| number(fs::read_link(format!("/proc/{process}/ns/{kind}")).ok()?);
    let all = NAMESPACES.iter().map(|kind| {
        let own = of(&pid.to_string(), kind);
        // This process has left none of the host's but the user namespace.
        let host = if *kind == "user" { userns::of_host().and_then(number) } else { of("self", kind) };
        let is_own = own != host;
        ((*kind).to_owned(), json!({"container": own, "host": host, "is_its_own": is_own}))
    });
    Value::Object(all.collect())
}

/// What a process is in the innermost PID namespace that it is in (proc_pid_status(5), NSpid).
fn number_inside(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().last()?.parse().ok()
}

/// Of all devices in the network namespace of a process, those of a link alone excepted.
fn addresses(pid: i32) -> Vec<String> {
    let table = |name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    // Each local address is a leaf of the routes: its own line, and below it what it is.
    let routes = table("fib_trie");
    let mut leaf = None;
    let mut found: Vec<IpAddr> = Vec::new();
    for line in routes.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(leaf.take().map(IpAddr::V4));
        }
    }
    let v6 = table("if_inet6");
    let digits = v6.lines().filter_map(|line| u128::from_str_radix(line.split_whitespace().next()?, 16).ok());
    found.extend(digits.map(Ipv6Addr::from).filter(|address| !address.is_unicast_link_local()).map(IpAddr::V6));
    found.sort();
    found.dedup();
    found.iter().map(ToString::to_string).collect()
}

/// Sockets that listen in the network namespace of a process, as they are printed.
fn listening(pid: i32) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for socket in sockets::listening(pid).iter().map(ToString::to_string) {
        if !found.contains(&socket) {
            found.push(socket);
        }
    }
    found
}

/// Of all files in a directory.
fn in_page_cache(directory: &Path) -> Option<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => sum += in_page_cache(&entry.path())?,
            Ok(kind) if kind.is_file() => sum += sys::in_page_cache(fs::File::open(entry.path()).ok()?)?,
            _ => {}
        }
    }
    Some(sum)
}

/// Bytes of memory that belong to a process alone (proc_pid_status(5), RssAnon).
fn anonymous(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn cgroup(state: &State) -> Option<&Path> {
    state.cgroup.as_deref().map(Path::new)
}

fn alike(store: &Store, names: [&str; 2], subjects: [&Subject; 2]) -> Result<Alike, Failure> {
    let [left, right] = [anatomy::look(store, subjects[0])?, anatomy::look(store, subjects[1])?];
    let stands_on = |anatomy: &Anatomy, layer: &LayerFacts| anatomy.layers.iter().any(|l| l.diff_id == layer.diff_id);
    let shared: Vec<LayerFacts> = left.layers.iter().filter(|layer| stands_on(&right, layer)).cloned().collect();
    let side = |index: usize, own: &Anatomy, other: &Anatomy| -> Result<Side, Failure> {
        let layers: Vec<LayerFacts> = own.layers.iter().filter(|layer| !stands_on(other, layer)).cloned().collect();
        let writable_on_disk = own.container.as_ref().map(|container| container.writable.on_disk);
        let of_layers: u64 = layers.iter().map(|layer| layer.on_disk).sum();
        let (frozen, decided, while_it_runs) = match subjects[index] {
            Subject::Container(container) => (Map::new(), decided::facts(container)?, while_it_runs(container)?),
            Subject::Image(image) => (frozen(image, own), Map::new(), Map::new()),
        };
        let private_on_disk = of_layers + writable_on_disk.unwrap_or(0);
        let name = names[index].to_owned();
        Ok(Side { name, private_on_disk, layers, writable_on_disk, frozen, decided, while_it_runs })
    };
    let (mut one, mut two) = (side(0, &left, &right)?, side(1, &right, &left)?);
    keep_differences(&mut one.decided, &mut two.decided);
    keep_differences(&mut one.frozen, &mut two.frozen);
    let cached = shared.iter().map(|shared| in_page_cache(&layer::directory(store, &shared.diff_id).join("fs")));
    Ok(Alike {
        shared_on_disk: shared.iter().map(|layer| layer.on_disk).sum(),
        shared_in_page_cache: cached.sum(),
        shared,
        sides: [one, two],
    })
}

fn keep_differences(one: &mut Map<String, Value>, two: &mut Map<String, Value>) {
    let both = one.clone();
    one.retain(|name, value| two.get(name) != Some(value));
    two.retain(|name, value| both.get(name) != Some(value));
}
