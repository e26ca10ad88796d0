//! The processes of a container, found by their PID namespace, because there is not always a control group.

use std::fs;
use std::os::unix::fs::MetadataExt;

pub(crate) struct Process {
    pub uid: u32,
    pub pid: i32,
    pub parent: i32,
    pub started: String,
    /// Processor time, in clock ticks.
    pub ticks: u64,
    pub command: String,
}

/// Returns the host's pids of all processes in the PID namespace of `first`.
pub(crate) fn pids(first: i32) -> Vec<i32> {
    let namespace = |pid: i32| fs::metadata(format!("/proc/{pid}/ns/pid")).map(|m| m.ino()).ok();
    let own = namespace(first);
    let all =
        fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let mut found: Vec<i32> = all.filter(|pid| own.is_some() && namespace(*pid) == own).collect();
    found.sort_unstable();
    found
}

/// Returns the first process of a monitor's container: its child in another PID namespace.
pub(crate) fn first_of(monitor: i32) -> Option<i32> {
    let namespace = |pid: i32| fs::metadata(format!("/proc/{pid}/ns/pid")).map(|m| m.ino()).ok();
    let children = fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).ok()?;
    let own = namespace(monitor)?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid| namespace(*pid) != Some(own))
}

/// Reads a process from /proc (proc_pid_stat(5)). `None`: it is gone.
pub(crate) fn read(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = tail.split(' ').collect();
    let number = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok());
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " ");
    let name = head.split_once('(').map_or("", |(_, n)| n);
    let boot =
        fs::read_to_string("/proc/stat").ok()?.lines().find_map(|l| l.strip_prefix("btime ")?.parse::<i64>().ok())?;
    let started = jiff::Timestamp::from_second(boot + (number(19)? / 100) as i64).ok()?;
    Some(Process {
        uid: fs::metadata(format!("/proc/{pid}")).ok()?.uid(),
        pid,
        parent: i32::try_from(number(1)?).ok()?,
        started: started.strftime("%H:%M").to_string(),
        ticks: number(11)? + number(12)?,
        command: if command.is_empty() { format!("[{name}]") } else { command },
    })
}
