//! Servers that continue in the background after the first process, whose end ends the container.

use super::files::Files;
use super::naming::file_name;
use super::shell::{self, ShellInput};
use super::{Code, Verdict};
use crate::container::decide::spec::Origin;
use crate::diag::Failure;
use std::path::Path;

struct Server {
    /// A version may follow: `php-fpm8.2`.
    name: &'static str,
    background: Background,
    /// Arguments with which it does not serve, but prints or tests something and exits.
    other: &'static [&'static str],
}

/// The condition on which a server goes to the background.
enum Background {
    /// Unless one of these arguments keeps it in the foreground; the first is the advice.
    Unless(&'static [&'static str]),
    /// Unless an argument does, or this setting (written without blanks) in one of its files.
    UnlessSet(&'static [&'static str], &'static str, &'static [&'static str]),
    /// With one of these arguments.
    With(&'static [&'static str]),
}

use Background::{Unless, UnlessSet, With};

const SERVERS: [Server; 17] = [
    Server {
        name: "nginx",
        background: UnlessSet(&["-g 'daemon off;'", "-g daemon off;"], "daemonoff;", &["/etc/nginx/nginx.conf"]),
        other: &["-v", "-V", "-t", "-T", "-s", "-h", "-?"],
    },
    Server { name: "httpd", background: Unless(&["-DFOREGROUND", "-D FOREGROUND", "-X"]), other: HTTPD },
    Server { name: "apache2", background: Unless(&["-DFOREGROUND", "-D FOREGROUND", "-X"]), other: HTTPD },
    Server { name: "apache2ctl", background: Unless(&["-D FOREGROUND", "-DFOREGROUND"]), other: HTTPD },
    Server { name: "apachectl", background: Unless(&["-D FOREGROUND", "-DFOREGROUND"]), other: HTTPD },
    Server { name: "sshd", background: Unless(&["-D", "-d", "-i"]), other: &["-t", "-T", "-G", "-V", "-?"] },
    Server { name: "crond", background: Unless(&["-f", "-n"]), other: &["-V", "-h"] },
    Server { name: "cron", background: Unless(&["-f"]), other: &[] },
    Server {
        name: "php-fpm",
        background: Unless(&["-F", "--nodaemonize"]),
        other: &["-v", "-t", "-tt", "-i", "-m", "-h"],
    },
    Server {
        name: "dnsmasq",
        background: Unless(&["-k", "--keep-in-foreground", "-d", "--no-daemon"]),
        other: &["-v", "-w", "--test"],
    },
    Server { name: "lighttpd", background: Unless(&["-D", "-i"]), other: &["-v", "-V", "-t", "-tt", "-p", "-h", "-1"] },
    Server { name: "rsyslogd", background: Unless(&["-n"]), other: &["-v", "-N1", "-N"] },
    Server {
        name: "supervisord",
        background: UnlessSet(
            &["-n", "--nodaemon"],
            "nodaemon=true",
            &["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"],
        ),
        other: &["-v", "-h"],
    },
    Server { name: "redis-server", background: With(&["--daemonize yes"]), other: &["-v", "-h"] },
    Server { name: "memcached", background: With(&["-d", "--daemon"]), other: &["-V", "-h", "-i"] },
    Server { name: "haproxy", background: With(&["-D"]), other: &["-v", "-vv", "-c"] },
    Server { name: "mongod", background: With(&["--fork"]), other: &[] },
];

const HTTPD: &[&str] =
    &["-v", "-V", "-t", "-l", "-L", "-M", "-S", "-h", "-?", "-k stop", "configtest", "status", "stop"];

/// Commands that only report, wait or end a shell.
const TRIVIAL: [&str; 9] = ["true", ":", "echo", "printf", "date", "exit", "fi", "done", "wait"];

/// Finds a server that the command started, or that its shell started last. `words`: the words of `argv`.
pub(super) fn left(files: &Files, argv: &[(String, Origin)], words: &[String]) -> Result<Option<Verdict>, Failure> {
    let is_command = |origin: &Origin| matches!(origin, Origin::CommandLine | Origin::ImageCmd);
    let own: Vec<&str> = words.iter().map(String::as_str).collect();
    let commands = match shell::input_of(words) {
        Some(ShellInput::Text(text)) => last(shell::commands(text)),
        // An entrypoint that ends with `exec "$@"`.
        _ if argv.iter().any(|(_, origin)| is_command(origin)) && !argv.first().is_some_and(|(_, o)| is_command(o)) => {
            let command = argv.iter().filter(|(_, origin)| is_command(origin)).map(|(word, _)| word.as_str());
            vec![own, command.collect()]
        }
        _ => vec![own],
    };
    for command in commands {
        if let Some(verdict) = of_command(files, &command)? {
            return Ok(Some(verdict));
        }
    }
    Ok(None)
}

/// Returns the last of a shell's commands that is not trivial. If a command follows a server, the shell did not end with it.
fn last(mut commands: Vec<Vec<&str>>) -> Vec<Vec<&str>> {
    let is_trivial = |command: &Vec<&str>| command.first().is_some_and(|first| TRIVIAL.contains(first));
    while commands.last().is_some_and(is_trivial) {
        commands.pop();
    }
    commands.pop().into_iter().collect()
}

fn of_command(files: &Files, command: &[&str]) -> Result<Option<Verdict>, Failure> {
    let Some((first, rest)) = command.split_first() else { return Ok(None) };
    let name = file_name(first);
    let text = format!(" {} ", rest.join(" "));
    // `service nginx start`
    if let Some(server) = text.strip_suffix(" start ").filter(|_| name == "service") {
        return Ok(Some(Verdict::new(Code::WentToBackground, first, "start").advise(server.trim())));
    }
    let is_it = |server: &&Server| {
        let version = name.strip_prefix(server.name);
        version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
    };
    let Some(server) = SERVERS.iter().find(is_it) else { return Ok(None) };
    let has = |word: &&&str| text.contains(&format!(" {word} "));
    if server.other.iter().chain(&["--version", "--help"]).any(|word| has(&word)) {
        return Ok(None);
    }
    // busybox has servers of the same names, and one option for all.
    let is_busybox = files.program(first)?.is_some_and(|(_, file)| file.ends_with("bin/busybox"));
    let stays = match server.background {
        _ if is_busybox => &["-f"][..],
        Unless(words) => words,
        UnlessSet(words, setting, places) => {
            let places = places.iter().chain(rest).filter(|place| place.starts_with('/'));
            for place in places {
                if is_set(files, place, setting)? {
                    return Ok(None);
                }
            }
            words
        }
        With(words) => {
            let sent = words.iter().find(|word| has(word));
            return Ok(sent.map(|word| Verdict::new(Code::WentToBackground, name, word)));
        }
    };
    if stays.iter().any(|word| has(&word)) || text.contains("daemon off") {
        return Ok(None);
    }
    let advice = stays.first().copied().unwrap_or_default();
    Ok(Some(Verdict::new(Code::WentToBackground, name, advice).advise(format!("{first} {advice}"))))
}

/// Whether a configuration file has a line that begins with this setting, blanks aside.
fn is_set(files: &Files, path: &str, setting: &str) -> Result<bool, Failure> {
    let text = files.text(Path::new(path))?;
    let without_blanks = |line: &str| line.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    Ok(text.lines().any(|line| without_blanks(line).to_lowercase().starts_with(setting)))
}
