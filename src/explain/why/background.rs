//! Servers that leave the first process and go on in the background, where the container's end takes them along.

use super::files::Files;
use super::naming::file_name;
use super::shell::{self, Told};
use super::{Code, Verdict};
use crate::container::decide::spec::Origin;
use crate::diag::Failure;
use std::path::Path;

struct Server {
    /// A version may follow: `php-fpm8.2`.
    name: &'static str,
    goes: Goes,
    /// Words with which it is no server, but tells or tests something and ends.
    other: &'static [&'static str],
}

/// When a server goes to the background.
enum Goes {
    /// Unless one of these words keeps it in the foreground; the first is the advice.
    Unless(&'static [&'static str]),
    /// Unless a word does, or this setting in one of its files, written without blanks.
    UnlessSet(&'static [&'static str], &'static str, &'static [&'static str]),
    /// When one of these words sends it there.
    With(&'static [&'static str]),
}

use Goes::{Unless, UnlessSet, With};

const SERVERS: [Server; 17] = [
    Server {
        name: "nginx",
        goes: UnlessSet(&["-g 'daemon off;'", "-g daemon off;"], "daemonoff;", &["/etc/nginx/nginx.conf"]),
        other: &["-v", "-V", "-t", "-T", "-s", "-h", "-?"],
    },
    Server { name: "httpd", goes: Unless(&["-DFOREGROUND", "-D FOREGROUND", "-X"]), other: HTTPD },
    Server { name: "apache2", goes: Unless(&["-DFOREGROUND", "-D FOREGROUND", "-X"]), other: HTTPD },
    Server { name: "apache2ctl", goes: Unless(&["-D FOREGROUND", "-DFOREGROUND"]), other: HTTPD },
    Server { name: "apachectl", goes: Unless(&["-D FOREGROUND", "-DFOREGROUND"]), other: HTTPD },
    Server { name: "sshd", goes: Unless(&["-D", "-d", "-i"]), other: &["-t", "-T", "-G", "-V", "-?"] },
    Server { name: "crond", goes: Unless(&["-f", "-n"]), other: &["-V", "-h"] },
    Server { name: "cron", goes: Unless(&["-f"]), other: &[] },
    Server { name: "php-fpm", goes: Unless(&["-F", "--nodaemonize"]), other: &["-v", "-t", "-tt", "-i", "-m", "-h"] },
    Server {
        name: "dnsmasq",
        goes: Unless(&["-k", "--keep-in-foreground", "-d", "--no-daemon"]),
        other: &["-v", "-w", "--test"],
    },
    Server { name: "lighttpd", goes: Unless(&["-D", "-i"]), other: &["-v", "-V", "-t", "-tt", "-p", "-h", "-1"] },
    Server { name: "rsyslogd", goes: Unless(&["-n"]), other: &["-v", "-N1", "-N"] },
    Server {
        name: "supervisord",
        goes: UnlessSet(
            &["-n", "--nodaemon"],
            "nodaemon=true",
            &["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"],
        ),
        other: &["-v", "-h"],
    },
    Server { name: "redis-server", goes: With(&["--daemonize yes"]), other: &["-v", "-h"] },
    Server { name: "memcached", goes: With(&["-d", "--daemon"]), other: &["-V", "-h", "-i"] },
    Server { name: "haproxy", goes: With(&["-D"]), other: &["-v", "-vv", "-c"] },
    Server { name: "mongod", goes: With(&["--fork"]), other: &[] },
];

const HTTPD: &[&str] =
    &["-v", "-V", "-t", "-l", "-L", "-M", "-S", "-h", "-?", "-k stop", "configtest", "status", "stop"];

/// Commands that only tell of what was done before them, or end a shell.
const TRIVIAL: [&str; 9] = ["true", ":", "echo", "printf", "date", "exit", "fi", "done", "wait"];

/// A server that the words started, or that the shell among them did last. `words`: the same as `argv`.
pub(super) fn left(files: &Files, argv: &[(String, Origin)], words: &[String]) -> Result<Option<Verdict>, Failure> {
    let is_command = |origin: &Origin| matches!(origin, Origin::CommandLine | Origin::ImageCmd);
    let own: Vec<&str> = words.iter().map(String::as_str).collect();
    let commands = match shell::told(words) {
        Some(Told::Text(text)) => last(shell::commands(text)),
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

/// The last of a shell's commands that does something: what a server was started for follows after it, and ended well.
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
    let stays = match server.goes {
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

/// Whether a file of settings has a line like this, blanks aside.
fn is_set(files: &Files, path: &str, setting: &str) -> Result<bool, Failure> {
    let text = files.text(Path::new(path))?;
    let without_blanks = |line: &str| line.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    Ok(text.lines().any(|line| without_blanks(line).to_lowercase().starts_with(setting)))
}
