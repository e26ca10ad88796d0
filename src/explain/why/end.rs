//! Why the first process ended: by the monitor's record, then by the last lines of its output.

use super::files::Files;
use super::naming::{file_name, signal_name};
use super::{Code, Verdict, background, last_words, shell};
use crate::container::decide::spec::{Origin, SHM_SIZE};
use crate::container::live::session::Ending;
use crate::container::stored::outcome::{Asked, Asker, Outcome};
use crate::container::stored::record::{Container, Phase, State};
use crate::diag::Failure;
use std::fs;

/// Seconds after which a container that was restarted counts as well again.
const IS_WELL: i64 = 10;

/// Tells of a container that ends and is restarted, again and again.
pub(super) fn loops(container: &Container, state: &State) -> Option<Verdict> {
    let is_short = seconds(&state.started, &jiff::Timestamp::now().to_string()).is_none_or(|up| up < IS_WELL);
    let is_loop = state.phase == Phase::Restarting || (state.restarts > 0 && is_short);
    is_loop.then(|| Verdict::new(Code::CrashLoop, &container.record.name, state.restarts))
}

/// Seconds in which a server goes to the background, or a program ends after a signal.
const AT_ONCE: i64 = 10;

pub(super) fn ended(
    files: &Files,
    state: &State,
    argv: &[(String, Origin)],
    lines: &[last_words::Line],
) -> Result<Option<Verdict>, Failure> {
    let program = argv.first().map(|(word, _)| file_name(word)).unwrap_or_default();
    let verdict = |code, found: String| Some(Verdict::new(code, &program, found));
    let outcome = state.outcome.clone().unwrap_or_default();
    if state.oom_killed {
        let was_first = outcome.signal == Some(libc::SIGKILL) && !outcome.grace_ran_out && !was_asked(&outcome);
        return Ok(match files.container.record.request.limits.memory {
            Some(limit) if was_first => verdict(Code::OutOfMemory, limit.to_string()),
            Some(limit) => verdict(Code::ChildOutOfMemory, limit.to_string()),
            None => verdict(Code::HostOutOfMemory, signal_name(libc::SIGKILL)),
        });
    }
    if !state.error.is_empty() {
        return Ok(Some(monitor_died(&program, state)));
    }
    if state.outcome.is_none() && (129..=159).contains(&state.exit_code) {
        return Ok(verdict(Code::EndNotRecorded, signal_name(state.exit_code - 128)));
    }
    match outcome.signal {
        Some(signal) => {
            let verdict = by_signal(&program, signal, &outcome);
            // A full /dev/shm shows only when the memory is touched, as SIGBUS.
            let is_bus = signal == libc::SIGBUS;
            let shm = files.container.record.request.shm_size.unwrap_or(SHM_SIZE);
            Ok(verdict.map(|verdict| if is_bus { verdict.advise(shm) } else { verdict }))
        }
        None if state.exit_code == 0 => {
            Ok(if outcome.asked.is_empty() { quiet_end(files, state, argv)? } else { None })
        }
        None if ends_on_request(state, outcome.asked.last()) => Ok(None),
        None => last_words::verdict(files, &program, state.exit_code, lines).map(Some),
    }
}

/// Whether the signal that ended it was sent by minirun.
fn was_asked(outcome: &Outcome) -> bool {
    outcome.asked.iter().any(|asked| Some(asked.signal) == outcome.signal)
}

fn by_signal(program: &str, signal: i32, outcome: &Outcome) -> Option<Verdict> {
    let name = signal_name(signal);
    if outcome.grace_ran_out && signal == libc::SIGKILL {
        let stop = outcome.asked.iter().rfind(|asked| asked.by == Asker::Stop)?;
        // A stop without a grace period is meant to kill.
        let had_time = stop.grace_ms != Some(0) && stop.signal != signal;
        return had_time.then(|| Verdict::new(Code::GraceRanOut, program, signal_name(stop.signal)));
    }
    match outcome.asked.iter().rfind(|asked| asked.signal == signal) {
        Some(Asked { by: Asker::Stop, .. }) => None,
        Some(_) => Some(Verdict::new(Code::KilledBySignal, program, name)),
        None => {
            let crashes = [libc::SIGSEGV, libc::SIGABRT, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGSYS];
            let code = if crashes.contains(&signal) { Code::Crashed } else { Code::KilledFromElsewhere };
            Some(Verdict::new(code, program, name))
        }
    }
}

/// Whether an exit was requested: after a `stop`, soon after another signal that ends programs, or with the code that shells
/// use for the signal that was sent.
fn ends_on_request(state: &State, asked: Option<&Asked>) -> bool {
    let is_to_end = |signal| [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT].contains(&signal);
    let is_soon = |asked: &Asked| seconds(&asked.at, &state.finished).is_some_and(|seconds| seconds <= AT_ONCE);
    asked.is_some_and(|asked| {
        asked.by == Asker::Stop || state.exit_code == 128 + asked.signal || (is_to_end(asked.signal) && is_soon(asked))
    })
}

fn seconds(from: &str, to: &str) -> Option<i64> {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    Some(time(to)?.as_second() - time(from)?.as_second())
}

fn monitor_died(program: &str, state: &State) -> Verdict {
    let booted = || {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let seconds = stat.lines().find_map(|line| line.strip_prefix("btime ")?.parse().ok())?;
        jiff::Timestamp::from_second(seconds).ok()
    };
    let started = || state.started.parse::<jiff::Timestamp>().ok();
    match (started(), booted()) {
        (Some(started), Some(booted)) if started < booted => Verdict::new(Code::HostRestarted, program, booted),
        _ => {
            let verdict = Verdict::new(Code::MonitorKilled, program, &state.error);
            // The end of a log-in session may have killed it, where sessions end their processes.
            Verdict { advice: Ending::of(std::process::id() as i32).map(Ending::mend), ..verdict }
        }
    }
}

/// Explains an exit with 0 that was perhaps not intended.
fn quiet_end(files: &Files, state: &State, argv: &[(String, Origin)]) -> Result<Option<Verdict>, Failure> {
    let request = &files.container.record.request;
    let words: Vec<String> = argv.iter().map(|(word, _)| word.clone()).collect();
    let program = words.first().map(|word| file_name(word)).unwrap_or_default();
    let told = shell::input_of(&words);
    if told == Some(shell::ShellInput::Input) {
        let reads_nothing = !request.stdin && !words.iter().any(|word| word.starts_with("--") && word.len() > 2);
        return Ok(reads_nothing.then(|| Verdict::new(Code::NothingToRead, program, "-it")));
    }
    if seconds(&state.started, &state.finished).is_none_or(|seconds| seconds > AT_ONCE) {
        return Ok(None);
    }
    background::left(files, argv, &words)
}
