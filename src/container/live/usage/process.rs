//! The usage of processes, which are found by their PID namespace.

use super::amount::Usage;
use crate::container::processes::TICKS;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The processes of this host that the caller may look at, by their PID namespaces. One walk through /proc serves all
/// containers.
pub(crate) struct Survey(HashMap<u64, Vec<i32>>);

fn namespace(pid: i32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/pid")).ok().map(|found| found.ino())
}

impl Survey {
    pub(crate) fn new() -> Self {
        let mut namespaces: HashMap<u64, Vec<i32>> = HashMap::new();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            if let Some(number) = namespace(pid) {
                namespaces.entry(number).or_default().push(pid);
            }
        }
        Self(namespaces)
    }

    /// Returns what the processes beside `first` use together, and it itself.
    pub(super) fn usage(&self, first: i32) -> Usage {
        let mut sum = Usage::default();
        let pids = namespace(first).and_then(|number| self.0.get(&number)).map_or(&[][..], Vec::as_slice);
        for pid in pids {
            let Some((ticks, threads)) = processor(*pid) else { continue };
            let (read, written) = input_output(*pid);
            sum.processor += micros(ticks);
            sum.threads += threads;
            sum.memory += memory(*pid);
            sum.read += read;
            sum.written += written;
        }
        sum
    }
}

/// Returns the clock ticks of a process and of its children that it has waited for, and the number of its threads
/// (proc_pid_stat(5)).
fn processor(pid: i32) -> Option<(u64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, tail) = stat.rsplit_once(") ")?;
    let numbers: Vec<u64> = tail.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
    Some((numbers.get(11..15)?.iter().sum(), *numbers.get(17)?))
}

/// Returns the bytes of memory of a process, with its share of what several have (proc_pid_smaps(5)).
fn memory(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let share = text.lines().find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next()?.parse().ok());
    share.map_or(0, |kibibytes: u64| kibibytes * 1024)
}

/// Returns the bytes that a process and its children that it has waited for read from and wrote to block devices
/// (proc_pid_io(5)).
fn input_output(pid: i32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0);
    (value("read_bytes:"), value("write_bytes:"))
}

/// Returns microseconds for clock ticks.
fn micros(ticks: u64) -> u64 {
    ticks * (1_000_000 / TICKS)
}
