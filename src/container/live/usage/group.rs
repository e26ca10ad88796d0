//! The usage of a control group (kernel: Documentation/admin-guide/cgroup-v2.rst).

use super::amount::Usage;
use crate::container::live::cgroup::limit;
use std::fs;
use std::path::Path;

/// Returns what a group has used. `None`: it does not count memory, or it is gone.
pub(super) fn usage(group: &Path) -> Option<Usage> {
    let memory = limit(group, "memory.current")?;
    let io = fs::read_to_string(group.join("io.stat")).unwrap_or_default();
    let bytes = |name: &str| -> u64 {
        io.split_whitespace().filter_map(|word| word.strip_prefix(name)?.parse::<u64>().ok()).sum()
    };
    Some(Usage {
        processor: value(group, "cpu.stat", "usage_usec").unwrap_or(0),
        // As Docker counts it.
        memory: memory.saturating_sub(value(group, "memory.stat", "inactive_file").unwrap_or(0)),
        memory_limit: limit(group, "memory.max").unwrap_or(0),
        read: bytes("rbytes="),
        written: bytes("wbytes="),
        threads: limit(group, "pids.current").unwrap_or_else(|| lines(group, "cgroup.threads")),
        is_counted: true,
        ..Usage::default()
    })
}

fn value(group: &Path, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(group.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn lines(group: &Path, file: &str) -> u64 {
    fs::read_to_string(group.join(file)).map_or(0, |text| text.lines().count() as u64)
}
