//! The processes of a container, found by their PID namespace, because there is not always a control group.

use std::collections::BTreeSet;
use std::fs;
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

/// Returns a process with those of its session, and with all that descend from them. A process that has ended is none.
pub(crate) fn family(leader: i32) -> BTreeSet<i32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // Pid, parent and session (proc_pid_stat(5)).
    let relatives: Vec<(i32, i32, i32)> = pids
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let mut fields = stat.rsplit_once(") ")?.1.split(' ');
            let is_alive = !matches!(fields.next()?, "Z" | "X");
            let (parent, session) = (fields.next()?.parse().ok()?, fields.nth(1)?.parse().ok()?);
            is_alive.then_some((pid, parent, session))
        })
        .collect();
    let mut family = BTreeSet::new();
    loop {
        let is_new = |(pid, parent, session): &&(i32, i32, i32)| {
            let belongs = *pid == leader || *session == leader || family.contains(parent);
            belongs && !family.contains(pid)
        };
        let new: Vec<i32> = relatives.iter().filter(is_new).map(|(pid, ..)| *pid).collect();
        if new.is_empty() {
            return family;
        }
        family.extend(new);
    }
}

/// Returns the first process of a monitor's container: its child in another PID namespace.
pub(crate) fn first_of(monitor: i32) -> Option<i32> {
    let namespace = |pid: i32| fs::metadata(format!("/proc/{pid}/ns/pid")).map(|m| m.ino()).ok();
    let children = fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).ok()?;
    let own = namespace(monitor)?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid| namespace(*pid) != Some(own))
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
