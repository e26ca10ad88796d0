//! `top`: the processes of a container, as the host sees them.

use super::Context;
use super::human;
use crate::container::record::{Container, Phase};
use crate::diag::Failure;
use clap::Args;
use std::fs;
use std::os::unix::fs::MetadataExt;

#[derive(Args)]
pub struct TopArgs {
    container: String,
}

#[derive(Debug, thiserror::Error)]
#[error("container {0} is not running")]
struct NotRunning(String);

impl crate::diag::Diagnose for NotRunning {
    fn exit_code(&self) -> u8 {
        1
    }
}

pub fn top(arguments: &TopArgs, context: &Context) -> Result<u8, Failure> {
    let container = Container::find(&context.store, &arguments.container)?;
    let state = container.state();
    if state.phase != Phase::Running {
        return Err(NotRunning(container.record.name).into());
    }
    let mut rows = Vec::new();
    for process in processes(state.pid) {
        let seconds = process.ticks / 100;
        rows.push(vec![
            process.uid.to_string(),
            process.pid.to_string(),
            process.parent.to_string(),
            process.started,
            format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
            process.command,
        ]);
    }
    print!("{}", human::table(&["UID", "PID", "PPID", "STIME", "TIME", "CMD"], &rows));
    Ok(0)
}

struct Process {
    uid: u32,
    pid: i32,
    parent: i32,
    started: String,
    ticks: u64,
    command: String,
}

/// All in the PID namespace of `first`; where there is no cgroup, that is what makes them the container's.
fn processes(first: i32) -> Vec<Process> {
    let namespace = |pid: i32| fs::metadata(format!("/proc/{pid}/ns/pid")).map(|m| m.ino()).ok();
    let own = namespace(first);
    let pids = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<Process> = pids.filter(|pid| own.is_some() && namespace(*pid) == own).filter_map(read).collect();
    found.sort_by_key(|p| p.pid);
    found
}

/// proc_pid_stat(5).
fn read(pid: i32) -> Option<Process> {
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
