//! What exists of a container only while it runs.

use super::fact::{Fact, Facts, collect};
use crate::container::processes;
use crate::container::stored::record::{Container, Phase, State};
use crate::explain::networks::{NamedPlace, places};
use crate::explain::proc::{innermost_pid, status};
use crate::explain::sockets;
use crate::store::Store;
use crate::userns;
use serde_json::{Value, json};
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

const NAMESPACES: [&str; 7] = ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"];

/// Returns what exists of a container now; nothing, if it does not run.
pub(super) fn facts(store: &Store, container: &Container) -> Facts {
    let state = container.state();
    if state.phase != Phase::Running {
        return Facts::new();
    }
    let pids = processes::pids(state.pid);
    collect([
        (Fact::FirstProcess, json!(state.pid)),
        (Fact::FirstProcessInside, json!(innermost_pid(state.pid))),
        (Fact::Processes, json!(pids.len())),
        (Fact::Started, json!(state.started)),
        (Fact::Monitor, json!(state.monitor.0)),
        (Fact::Namespaces, namespaces(state.pid)),
        (Fact::Networks, json!(networks(store, container))),
        (Fact::Addresses, json!(addresses(state.pid))),
        (Fact::Listening, json!(listening(state.pid))),
        (Fact::Memory, json!(pids.iter().map(|pid| anonymous(*pid)).sum::<u64>())),
        (Fact::Cgroup, json!(cgroup(&state))),
    ])
}

/// Returns the container's namespace of each type, the host's, and whether they differ.
fn namespaces(pid: i32) -> Value {
    let number = |link: PathBuf| {
        let digits: String = link.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    let of = |process: &str, kind: &str| number(fs::read_link(format!("/proc/{process}/ns/{kind}")).ok()?);
    let all = NAMESPACES.iter().map(|kind| {
        let own = of(&pid.to_string(), kind);
        // This process has entered a user namespace, and is in the host's namespaces otherwise.
        let host = if *kind == "user" { userns::of_host().and_then(number) } else { of("self", kind) };
        let is_own = own != host;
        ((*kind).to_owned(), json!({"container": own, "host": host, "is_its_own": is_own}))
    });
    Value::Object(all.collect())
}

/// Returns each of its networks with its addresses and names there.
fn networks(store: &Store, container: &Container) -> Vec<String> {
    let text = |NamedPlace { network, place }: NamedPlace| {
        let names: Vec<&String> = std::iter::once(&container.record.name).chain(&place.aliases).collect();
        let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
        format!("{network}: {} ({})", place.addresses(), names.join(", "))
    };
    places(store, container).into_iter().map(text).collect()
}

/// Returns the addresses of all devices in the network namespace of a process, except link-local ones.
fn addresses(pid: i32) -> Vec<String> {
    let table = |name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    // Each local address is a leaf of the routing trie: a line with the address, and below it a line with its type.
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

/// Returns the listening sockets in the network namespace of a process as text, each once.
fn listening(pid: i32) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for socket in sockets::listening(pid).iter().map(ToString::to_string) {
        if !found.contains(&socket) {
            found.push(socket);
        }
    }
    found
}

/// Returns the bytes of memory that a process shares with nobody (proc_pid_status(5), RssAnon).
fn anonymous(pid: i32) -> u64 {
    let kibibytes = status(pid, "RssAnon").and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

fn cgroup(state: &State) -> Option<&Path> {
    state.cgroup.as_deref().map(Path::new)
}
