//! `top`: the processes of a container, as the host sees them.

use super::{Context, human};
use crate::container::processes;
use crate::container::processes::Process;
use crate::container::stored::record::{Container, Phase};
use crate::diag::{Diagnose, Failure, inner_of};
use crate::sys::{On, SysError};
use crate::userns;
use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use std::collections::{BTreeMap, HashSet};
use std::process::Command;

#[derive(Args)]
pub(super) struct TopArgs {
    container: String,
    /// Options of the host's ps(1), such as: -o pid,comm
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PS OPTIONS")]
    options: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
enum TopError {
    #[error("this host has no ps")]
    NoPs,
    #[error("ps failed: {0}")]
    Failed(String),
    #[error("the output of ps has no column PID")]
    NoPid,
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for TopError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoPs => Some("leave out the options of ps, or install procps".into()),
            Self::NoPid => Some("show it too: -o pid,comm".into()),
            Self::Failed(_) => None,
            Self::Sys(error) => error.hint(),
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

pub(super) fn top(arguments: &TopArgs, context: &Context) -> Result<u8, Failure> {
    let container = Container::find(&context.store, &arguments.container)?;
    let state = container.state();
    if state.phase != Phase::Running {
        return Err(container.not_running().into());
    }
    let pids = processes::pids(state.pid);
    let rows =
        if arguments.options.is_empty() { full_listing(&pids) } else { listing_of_ps(&arguments.options, &pids)? };
    let mut rows = rows.into_iter();
    let header = rows.next().unwrap_or_default();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    print!("{}", human::table(&header, &rows.collect::<Vec<_>>()));
    Ok(0)
}

/// Returns what `ps -ef` shows, which Docker shows by default, without that program.
fn full_listing(pids: &[i32]) -> Vec<Vec<String>> {
    let mut rows = vec![["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"].map(str::to_owned).to_vec()];
    let now = Timestamp::now();
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    for process in pids.iter().filter_map(|pid| processes::read(*pid)) {
        let name = names
            .entry(process.uid)
            .or_insert_with(|| userns::listed_user_name(process.uid).unwrap_or_else(|| process.uid.to_string()));
        let seconds = process.ticks / processes::TICKS;
        rows.push(vec![
            name.clone(),
            process.pid.to_string(),
            process.parent.to_string(),
            share_of_processor(&process, now).to_string(),
            start_time(process.started, now),
            terminal(process.terminal),
            format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
            process.command,
        ]);
    }
    rows
}

/// Processor time in percent of the time since the start, as ps(1) counts column C.
fn share_of_processor(process: &Process, now: Timestamp) -> u64 {
    let lived = u64::try_from(now.as_second() - process.started.as_second()).unwrap_or(0);
    (process.ticks * 100 / processes::TICKS).checked_div(lived).unwrap_or(0).min(99)
}

/// The time of day, or the date of a start on another day.
fn start_time(started: Timestamp, now: Timestamp) -> String {
    let local = |time: Timestamp| time.to_zoned(TimeZone::system());
    let (started, now) = (local(started), local(now));
    let form = if started.date() == now.date() {
        "%H:%M"
    } else if started.year() == now.year() {
        "%b%d"
    } else {
        "%Y"
    };
    started.strftime(form).to_string()
}

/// The name of a terminal by its device number.
fn terminal(device: u64) -> String {
    let (major, minor) = (libc::major(device), libc::minor(device));
    match major {
        0 => "?".into(),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 => format!("tty{minor}"),
        _ => format!("{major}:{minor}"),
    }
}

/// Returns the lines of the host's ps(1) about these processes, under its header.
fn listing_of_ps(options: &[String], pids: &[i32]) -> Result<Vec<Vec<String>>, TopError> {
    let ps = userns::program("ps").ok_or(TopError::NoPs)?;
    let list = pids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let run = |more: &[&str]| Command::new(&ps).args(options).args(more).output().on("execve", &ps);
    let mut output = run(&["-q", &list])?;
    if !output.status.success() {
        // Some options exclude -q.
        output = run(&[])?;
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(TopError::Failed(said.lines().find(|line| !line.is_empty()).unwrap_or("no reason").to_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let header: Vec<String> = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let pid_column = header.iter().position(|name| name == "PID").ok_or(TopError::NoPid)?;
    let wanted: HashSet<String> = pids.iter().map(i32::to_string).collect();
    let rows = lines.map(|line| cells(line, header.len()));
    let of_container = rows.filter(|row: &Vec<String>| row.get(pid_column).is_some_and(|pid| wanted.contains(pid)));
    Ok(std::iter::once(header.clone()).chain(of_container).collect())
}

/// Splits a line at blanks into as many cells as there are columns; the last one keeps its blanks.
fn cells(line: &str, columns: usize) -> Vec<String> {
    let mut rest = line.trim_start();
    let mut cells = Vec::new();
    while cells.len() + 1 < columns && !rest.is_empty() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (cell, tail) = rest.split_at(end);
        cells.push(cell.to_owned());
        rest = tail.trim_start();
    }
    if !rest.is_empty() {
        cells.push(rest.trim_end().to_owned());
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::{cells, terminal};

    #[test]
    fn lines_of_ps() {
        assert_eq!(cells("  12 sleep 600  9", 2), ["12", "sleep 600  9"]);
        assert_eq!(cells("12", 2), ["12"]);
        assert_eq!((terminal(0), terminal(34816), terminal(1025)), ("?".into(), "pts/0".into(), "tty1".into()));
    }
}
