//! The processes of a container, found by their PID namespace, because there is not always a control group.

use crate::sys::process;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

pub(crate) struct Process {
    pub uid: u32,
    pub pid: i32,
    pub parent: i32,
    /// The device number of its terminal; 0: it has none.
    pub terminal: u64,
    pub started: jiff::Timestamp,
    /// Processor time, in clock ticks.
    pub ticks: u64,
    pub command: String,
}

/// Returns the host's pids of all processes of the container of `first`: those in its PID namespace, or in its mount
/// namespace where it shares the former with others.
pub(crate) fn pids(first: i32) -> Vec<i32> {
    let kind = if owns_pids(first) { "pid" } else { "mnt" };
    namespace(first, kind).map(|inode| pids_in(kind, inode)).unwrap_or_default()
}

/// Whether a process is the first one of its PID namespace.
pub(crate) fn owns_pids(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| numbers.split_whitespace().next_back() == Some("1"))
}

/// Returns the inode of a process's namespace.
fn namespace(pid: i32, kind: &str) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/{kind}")).map(|found| found.ino()).ok()
}

fn pids_in(kind: &str, inode: u64) -> Vec<i32> {
    let all =
        fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let mut found: Vec<i32> = all.filter(|pid| namespace(*pid, kind) == Some(inode)).collect();
    found.sort_unstable();
    found
}

/// Ends every process of a mount namespace: what a container has left in a PID namespace that it shared.
pub(crate) fn kill_in_mounts(mounts: &File) {
    // Held open, so that no other namespace gets its number meanwhile.
    let Ok(inode) = mounts.metadata().map(|found| found.ino()) else { return };
    // A process may be born while the others are being killed.
    for _ in 0..100 {
        let left = pids_in("mnt", inode);
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = process::kill(pid, libc::SIGKILL);
        }
    }
}

/// Returns the first process of a monitor's container: its child in another mount namespace.
pub(crate) fn first_of(monitor: i32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).ok()?;
    let own = namespace(monitor, "mnt")?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid| namespace(*pid, "mnt") != Some(own))
}

/// Whether a process stands still by a signal.
pub(crate) fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, tail)| tail.starts_with('T'))
}

/// Clock ticks in a second: a constant of the kernel's interface (proc_pid_stat(5), USER_HZ).
pub(crate) const TICKS: u64 = 100;

/// Returns the time of the host's boot in seconds since 1970.
fn boot() -> Option<i64> {
    static BOOT: OnceLock<Option<i64>> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let text = fs::read_to_string("/proc/stat").ok()?;
        text.lines().find_map(|line| line.strip_prefix("btime ")?.parse().ok())
    })
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
    Some(Process {
        uid: fs::metadata(format!("/proc/{pid}")).ok()?.uid(),
        pid,
        parent: i32::try_from(number(1)?).ok()?,
        terminal: number(4)?,
        started: jiff::Timestamp::from_second(boot()? + (number(19)? / TICKS).cast_signed()).ok()?,
        ticks: number(11)? + number(12)?,
        command: if command.is_empty() { format!("[{name}]") } else { command },
    })
}
