//! Why the first process ended: as its monitor has recorded it, then by the last lines that it wrote.

use super::refusal::Files;
use super::{Code, Verdict, file_name, last_words, shell, signal_name};
use crate::container::outcome::{Asked, Asker, Outcome};
use crate::container::record::State;
use crate::container::session::Ending;
use crate::container::spec::Origin;
use crate::diag::Failure;
use std::fs;

/// A server that leaves the first process unless it is told not to.
struct Server {
    name: &'static str,
    /// Words that keep it in the foreground; the first is the advice.
    foreground: &'static [&'static str],
    /// Words with which it is no server, but tells or tests something and ends.
    other: &'static [&'static str],
}

const SERVERS: [Server; 9] = [
    Server { name: "nginx", foreground: &["-g 'daemon off;'"], other: &["-v", "-V", "-t", "-T", "-s", "-h", "-?"] },
    Server { name: "httpd", foreground: &["-DFOREGROUND", "-D FOREGROUND", "-X"], other: HTTPD },
    Server { name: "apache2", foreground: &["-DFOREGROUND", "-D FOREGROUND", "-X"], other: HTTPD },
    Server { name: "apache2ctl", foreground: &["-D FOREGROUND", "-DFOREGROUND"], other: HTTPD },
    Server { name: "apachectl", foreground: &["-D FOREGROUND", "-DFOREGROUND"], other: HTTPD },
    Server { name: "sshd", foreground: &["-D", "-d", "-i"], other: &["-t", "-T", "-G", "-V", "-?"] },
    Server { name: "crond", foreground: &["-f", "-n"], other: &["-V", "-h"] },
    Server { name: "cron", foreground: &["-f"], other: &[] },
    Server { name: "php-fpm", foreground: &["-F", "--nodaemonize"], other: &["-v", "-t", "-tt", "-i", "-m", "-h"] },
];

const HTTPD: &[&str] =
    &["-v", "-V", "-t", "-l", "-L", "-M", "-S", "-h", "-?", "-k stop", "configtest", "status", "stop"];

/// Seconds within which a server goes to the background.
const AT_ONCE: i64 = 10;

pub fn ended(
    files: &Files,
    state: &State,
    argv: &[(String, Origin)],
    lines: &[String],
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
        Some(signal) => Ok(by_signal(&program, signal, &outcome)),
        None if state.exit_code == 0 => {
            Ok(if outcome.asked.is_empty() { quiet_end(files, state, argv)? } else { None })
        }
        None if ends_on_request(state.exit_code, outcome.asked.last()) => Ok(None),
        None => last_words::verdict(files, &program, state.exit_code, lines).map(Some),
    }
}

/// The signal that ended it was sent through minirun.
fn was_asked(outcome: &Outcome) -> bool {
    outcome.asked.iter().any(|asked| Some(asked.signal) == outcome.signal)
}

fn by_signal(program: &str, signal: i32, outcome: &Outcome) -> Option<Verdict> {
    let name = signal_name(signal);
    if outcome.grace_ran_out && signal == libc::SIGKILL {
        let stop = outcome.asked.iter().rfind(|asked| asked.by == Asker::Stop)?;
        // Whoever gave it no time wanted that.
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

/// An exit that somebody wanted: after a `stop`, or with the code that shells give to the signal that was asked for.
fn ends_on_request(code: i32, asked: Option<&Asked>) -> bool {
    asked.is_some_and(|asked| asked.by == Asker::Stop || code == 128 + asked.signal)
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
            // Where the end of a session ends what it leaves behind, it may have been that.
            Verdict { advice: Ending::of(std::process::id() as i32).map(Ending::mend), ..verdict }
        }
    }
}

/// An exit with 0 that was perhaps not meant.
fn quiet_end(files: &Files, state: &State, argv: &[(String, Origin)]) -> Result<Option<Verdict>, Failure> {
    let request = &files.container.record.request;
    let words: Vec<String> = argv.iter().map(|(word, _)| word.clone()).collect();
    let program = words.first().map(|word| file_name(word)).unwrap_or_default();
    let told = shell::told(&words);
    if told == Some(shell::Told::Input) {
        let reads_nothing = !request.stdin && !words.iter().any(|word| word.starts_with("--") && word.len() > 2);
        return Ok(reads_nothing.then(|| Verdict::new(Code::NothingToRead, program, "-it")));
    }
    let ran = |state: &State| {
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        Some(time(&state.finished)?.as_second() - time(&state.started)?.as_second())
    };
    if ran(state).is_none_or(|seconds| seconds > AT_ONCE) {
        return Ok(None);
    }
    let is_command = |origin: &Origin| matches!(origin, Origin::CommandLine | Origin::ImageCmd);
    let own: Vec<&str> = words.iter().map(String::as_str).collect();
    let commands = match &told {
        Some(shell::Told::Text(text)) => shell::commands(text),
        // An entrypoint that ends with `exec "$@"`.
        _ if argv.iter().any(|(_, origin)| is_command(origin)) && !argv.first().is_some_and(|(_, o)| is_command(o)) => {
            let command = argv.iter().filter(|(_, origin)| is_command(origin)).map(|(word, _)| word.as_str());
            vec![own, command.collect()]
        }
        _ => vec![own],
    };
    for command in commands {
        let Some((first, rest)) = command.split_first() else { continue };
        let name = file_name(first);
        let rest = format!(" {} ", rest.join(" "));
        // `service nginx start`
        if let Some(server) = rest.strip_suffix(" start ").filter(|_| name == "service") {
            return Ok(Some(Verdict::new(Code::WentToBackground, first, "start").advise(server.trim())));
        }
        let Some(server) = SERVERS.iter().find(|server| server.name == name) else { continue };
        // busybox has servers of the same names, and one option for all.
        let is_busybox = files.program(first)?.is_some_and(|(_, file)| file.ends_with("bin/busybox"));
        let foreground = if is_busybox { &["-f"][..] } else { server.foreground };
        let has = |word: &&str| rest.contains(&format!(" {word} "));
        let is_no_server = [foreground, server.other, &["--version", "--help"]].concat().iter().any(has);
        if is_no_server || rest.contains("daemon off") {
            continue;
        }
        let advice = foreground.first().copied().unwrap_or_default();
        return Ok(Some(Verdict::new(Code::WentToBackground, name, advice).advise(format!("{first} {advice}"))));
    }
    Ok(None)
}
