//! Why `stop` will take long, predicted from the signal masks and states of the processes.

use super::files::Files;
use super::naming::{file_name, signal_name};
use super::shell::{self, ShellInput};
use super::{Code, Verdict};
use crate::container::processes;
use crate::container::request::signal::Signal;
use crate::container::stored::record::{Container, State};
use crate::diag::Failure;
use crate::explain::proc::status;
use crate::sys::process;
use std::fs;
use std::thread;
use std::time::Duration;

/// The state of a process that concerns signals.
struct Process {
    pid: i32,
    parent: i32,
    /// Its process group.
    group: i32,
    /// The state in `/proc/PID/stat`: `R`, `S`, `T`, …
    state: char,
    started: u64,
    caught: u64,
    blocked: u64,
    ignored: u64,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let mask = |name| u64::from_str_radix(&status(pid, name)?, 16).ok();
        let (caught, blocked, ignored) = (mask("SigCgt")?, mask("SigBlk")?, mask("SigIgn")?);
        Some(Self { pid, parent, group, state, started: process::start_time(pid)?, caught, blocked, ignored })
    }

    fn has(mask: u64, signal: i32) -> bool {
        mask >> (signal - 1) & 1 == 1
    }

    /// Whether the process handles a signal. A blocked one is received by signalfd or sigwait.
    fn handles(&self, signal: i32) -> bool {
        Self::has(self.caught | self.blocked, signal) || self.call() == Some(libc::SYS_rt_sigtimedwait)
    }

    /// Returns the number of the current system call. In sigwait the signals that are waited for do not count as blocked.
    fn call(&self) -> Option<i64> {
        let call = fs::read_to_string(format!("/proc/{}/syscall", self.pid)).ok()?;
        call.split_whitespace().next()?.parse().ok()
    }

    /// Returns the program's name; of a script, its interpreter's.
    fn program(&self) -> String {
        let program = fs::read_link(format!("/proc/{}/exe", self.pid)).unwrap_or_default();
        file_name(&program.to_string_lossy())
    }

    fn argv(&self) -> Vec<String> {
        let bytes = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.trim_end_matches('\0').split('\0').map(ToOwned::to_owned).collect()
    }

    fn name(&self) -> String {
        fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default().trim().to_owned()
    }

    /// Returns the time since the process started.
    fn age(&self) -> Option<Duration> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Duration::try_from_secs_f64((uptime - self.started as f64 / ticks).max(0.0)).ok()
    }
}

/// Programs that forward signals to the first program that they started, and do nothing else.
const INITS: [&str; 5] = ["minirun-init", "tini", "tini-static", "dumb-init", "catatonit"];

/// Returns the process that must act on a signal: the first process, or the one that an init forwards signals to.
fn payload(first: Process, all: &[Process]) -> Option<Process> {
    if !INITS.contains(&first.name().as_str()) {
        return Some(first);
    }
    let child = all.iter().filter(|process| process.parent == first.pid).min_by_key(|process| process.started)?;
    Process::read(child.pid)
}

fn all(first: i32) -> Vec<Process> {
    processes::pids(first).into_iter().filter_map(Process::read).collect()
}

/// Explains a stopped process: the first one or another of its process group, which excludes jobs of a shell.
pub(super) fn stopped(container: &Container, state: &State) -> Option<Verdict> {
    let all = all(state.pid);
    let first = all.iter().find(|process| process.pid == state.pid)?;
    let is_it = |process: &&Process| process.state == 'T' && process.group == first.group;
    let found = Some(first).filter(is_it).or_else(|| all.iter().find(is_it))?;
    let inside = status(found.pid, "NSpid")?.split_whitespace().next_back()?.to_owned();
    let name = &container.record.name;
    let advice = match found.pid == first.pid {
        true => format!("minirun kill -s CONT {name}"),
        false => format!("minirun exec {name} kill -CONT {inside}"),
    };
    Some(Verdict::new(Code::Stopped, found.name(), inside).advise(advice))
}

/// Explains why the container will not end when `stop` sends its signal.
pub(super) fn will_take_long(files: &Files, state: &State) -> Result<Option<Verdict>, Failure> {
    let container = files.container;
    let asked = &container.record.request;
    let signal = asked.stop_signal.unwrap_or(Signal::TERM).number();
    if asked.stop_timeout == Some(0) || signal == libc::SIGKILL {
        return Ok(None);
    }
    let Some(first) = Process::read(state.pid) else { return Ok(None) };
    let all = all(state.pid);
    let has_init = INITS.contains(&first.name().as_str());
    let Some(payload) = payload(first, &all) else { return Ok(None) };
    if payload.state == 'T' {
        return Ok(None);
    }
    let argv = payload.argv();
    let told = shell::input_of(&argv);
    let name = signal_name(signal);
    if payload.handles(signal) {
        let Some(told) = told else { return Ok(None) };
        return trap_that_delays(files, &payload, &told, signal);
    }
    if Process::has(payload.ignored, signal) {
        return Ok(Some(Verdict::new(Code::IgnoresSigterm, name, payload.name())));
    }
    // Only the first process of a PID namespace is exempt from the default action of signals.
    if has_init {
        return Ok(None);
    }
    let mut children = all.iter().filter(|process| process.parent == payload.pid);
    // A shell can be replaced by one command only.
    let child = children.next().filter(|_| children.next().is_none());
    Ok(Some(match (told, child) {
        (Some(ShellInput::Text(text)), Some(child)) if !shell::has_loop(text) => {
            Verdict::new(Code::ShellForm, name, text).advise(format!("exec {}", child.argv().join(" ")))
        }
        (Some(ShellInput::Script(script)), Some(child)) if !has_loop(files, script)? => {
            Verdict::new(Code::ScriptWithoutExec, name, script).advise(format!("exec {}", child.argv().join(" ")))
        }
        _ => Verdict::new(Code::IgnoresSigterm, name, payload.name()).advise("--init"),
    }))
}

fn text_of(files: &Files, script: &str) -> Result<String, Failure> {
    files.text(&files.container.spec()?.process().clone().unwrap_or_default().cwd().join(script))
}

fn has_loop(files: &Files, script: &str) -> Result<bool, Failure> {
    Ok(shell::has_loop(&text_of(files, script)?))
}

/// A child that is older was not started by a loop that runs a command each second.
const LONG: Duration = Duration::from_millis(1500);

/// Explains a shell that handles the signal only after the command that it waits for, or whose handler does not exit.
fn trap_that_delays(
    files: &Files,
    payload: &Process,
    told: &ShellInput,
    signal: i32,
) -> Result<Option<Verdict>, Failure> {
    let name = signal_name(signal);
    let text = match told {
        ShellInput::Text(text) => (*text).to_owned(),
        ShellInput::Script(script) => text_of(files, script)?,
        ShellInput::Input => return Ok(None),
    };
    let ends = |action: &str| {
        let action_of = |name: &str| function(&text, name).unwrap_or_default();
        let all = format!("{action} {}", action_of(action.trim()));
        all.split(|c: char| !c.is_alphanumeric())
            .any(|word| ["exit", "kill", "exec", "return", "break"].contains(&word))
    };
    if let Some(action) = shell::trap_action(&text, signal)
        && !ends(&action)
    {
        return Ok(Some(Verdict::new(Code::HandlerDoesNotExit, name, action)));
    }
    let Some(child) = foreground_child(payload, &text) else { return Ok(None) };
    // A loop's child has been replaced after this time.
    let age = child.age().unwrap_or_default();
    if age < LONG {
        thread::sleep(LONG - age);
        let now = foreground_child(payload, &text);
        if now.is_none_or(|now| (now.pid, now.started) != (child.pid, child.started)) {
            return Ok(None);
        }
    }
    Ok(Some(Verdict::new(Code::TrapWaits, name, child.argv().join(" "))))
}

/// Returns the body of the shell function with this name.
fn function<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let at = text.find(&format!("{name}()")).or_else(|| text.find(&format!("{name} ()"))).filter(|_| is_name)?;
    let (_, body) = text.split_at(at);
    Some(body.split_once('}').map_or(body, |(body, _)| body))
}

/// Returns the child that a shell waits for: its youngest, unless that was started in the background. A shell without job
/// control makes background children ignore SIGINT and SIGQUIT (POSIX, "Asynchronous Lists"), but a server may handle them.
fn foreground_child(shell: &Process, text: &str) -> Option<Process> {
    if waits_for_background(shell, text) {
        return None;
    }
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.pid)).ok()?;
    let children = children.split_whitespace().filter_map(|pid| Process::read(pid.parse().ok()?));
    let youngest = children.max_by_key(|child| (child.started, child.pid))?;
    let ignores = |process: &Process, signal| Process::has(process.ignored, signal);
    let in_background = ignores(&youngest, libc::SIGINT) && ignores(&youngest, libc::SIGQUIT);
    (!in_background && youngest.group == shell.group).then_some(youngest)
}

/// Whether the shell is in its builtin `wait`, which a signal interrupts.
fn waits_for_background(shell: &Process, text: &str) -> bool {
    // ash and dash wait for a command in wait4, and in `wait` for a signal. bash uses wait4 for both.
    let has_wait = || text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "wait");
    shell.call() != Some(libc::SYS_wait4) || (shell.program() == "bash" && has_wait())
}
