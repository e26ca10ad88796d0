//! One look at a container.

use super::amount::Usage;
use super::group;
use super::process::Survey;
use crate::container::request::{Network, Request};
use crate::container::stored::record::State;
use std::fs;
use std::path::Path;

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
