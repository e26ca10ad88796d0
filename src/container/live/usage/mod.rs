//! What a running container uses of its host: from its control group where that counts it, else from its processes.

mod group;
mod process;

pub(crate) use process::Survey;

use crate::container::processes;
use crate::container::request::{Network, Request};
use crate::container::stored::record::State;
use std::fs;
use std::path::Path;

/// One look at a container.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Processor time since its start, in microseconds.
    pub processor: u64,
    /// Bytes of memory, without what the kernel could drop at once.
    pub memory: u64,
    /// The most bytes that it may have: its own limit, or all that the host has.
    pub memory_limit: u64,
    /// Bytes that its network interfaces received and sent; the loopback device is not counted.
    pub received: u64,
    pub sent: u64,
    /// Bytes that it read from and wrote to block devices.
    pub read: u64,
    pub written: u64,
    pub threads: u64,
    /// The kernel counted memory, for the processes together.
    pub is_counted: bool,
}

impl Usage {
    /// Returns the usage of a container that runs. `None`: it has ended.
    pub(crate) fn of(state: &State, request: &Request, survey: &Survey) -> Option<Self> {
        if crate::sys::process::start_time(state.pid) != Some(state.pid_started) {
            return None;
        }
        let mut usage = match state.cgroup.as_deref().map(Path::new).and_then(group::usage) {
            Some(counted) => counted,
            None => survey.usage(state.pid),
        };
        let host = memory_of_host();
        usage.memory_limit = if usage.memory_limit == 0 { host } else { usage.memory_limit.min(host) };
        // The host's interfaces are not the container's.
        if request.network != Network::Host {
            (usage.received, usage.sent) = traffic(state.pid);
        }
        Some(usage)
    }
}

/// Returns the bytes of memory of this host.
fn memory_of_host() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    total.map_or(0, |kibibytes: u64| kibibytes * 1024)
}

/// Returns the bytes received and sent in the network namespace of a process (proc_pid_net(5)).
fn traffic(pid: i32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let mut sum = (0, 0);
    for (name, counters) in text.lines().filter_map(|line| line.split_once(':')) {
        let counters: Vec<u64> = counters.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        if let (false, Some(received), Some(sent)) = (name.trim() == "lo", counters.first(), counters.get(8)) {
            sum = (sum.0 + received, sum.1 + sent);
        }
    }
    sum
}

/// Returns microseconds for clock ticks.
fn micros(ticks: u64) -> u64 {
    ticks * (1_000_000 / processes::TICKS)
}
