//! Single values from the files of /proc and /sys.

use std::fs;

/// Returns the content of a file of `/proc` or `/sys` without white space at its end.
pub(super) fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

/// Returns a field of `/proc/PROCESS/status` (proc_pid_status(5)). `process` is a process ID, or `self`.
pub(super) fn status(process: impl std::fmt::Display, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}

/// Returns the ID of a process in its innermost PID namespace.
pub(super) fn innermost_pid(pid: i32) -> Option<i32> {
    status(pid, "NSpid")?.split_whitespace().next_back()?.parse().ok()
}
