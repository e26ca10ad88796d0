//! Why a program failed, by its last output. Only the last line counts: a program logs many things that did it no harm. A
//! verdict that is drawn from output alone is worded as a guess.

use super::files::Files;
use super::naming::signal_name;
use super::shell::{self, ShellInput};
use super::verdict::{DIRECTORY, Verdict};
use super::{Code, refusal};
use crate::container::live::logs;
use crate::container::request::{Network, Request};
use crate::container::stored::record::Container;
use crate::diag::{Failure, without_escapes};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The number of lines that are read, more than a long stack trace.
const LINES: usize = 60;

/// The most characters of a line; a longer one is cut.
const LONGEST: usize = 300;

/// A line of the container's log.
pub(super) struct Line {
    pub text: String,
    /// It was written to standard error.
    is_error: bool,
}

/// Returns the last non-empty lines that a container printed since it was started, without control characters.
pub(super) fn lines(container: &Container, started: &str) -> Vec<Line> {
    let entries = logs::last(&container.log(), LINES);
    // The log also holds the output of earlier runs.
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let started = time(started);
    let own = entries.iter().filter(|entry| time(&entry.time) >= started);
    let lines = own.map(|entry| Line { text: plain(entry.log.trim_end()), is_error: entry.stream == "stderr" });
    lines.filter(|line| !line.text.trim().is_empty()).collect()
}

/// Returns a line without escape sequences and other control characters, cut to a readable length.
fn plain(line: &str) -> String {
    let text = without_escapes(line);
    if text.chars().nth(LONGEST).is_none() {
        return text.into_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// Messages of C libraries, language runtimes and shells, and their codes. The first match counts. Those in capitals are
/// names of errors, which must be whole words; others are compared in lower case.
const MESSAGES: [(&str, Code); 69] = [
    ("too many open files", Code::TooManyFiles),
    ("EMFILE", Code::TooManyFiles),
    ("fork: resource temporarily unavailable", Code::TooManyProcesses),
    ("can't fork", Code::TooManyProcesses),
    ("cannot fork", Code::TooManyProcesses),
    ("can't start new thread", Code::TooManyProcesses),
    ("unable to create native thread", Code::TooManyProcesses),
    ("fork failed", Code::TooManyProcesses),
    ("error while loading shared libraries", Code::LibraryMissing),
    ("error loading shared library", Code::LibraryMissing),
    ("error relocating ", Code::LibraryMissing),
    ("version `glibc", Code::LibraryMissing),
    ("cannot open shared object file", Code::LibraryMissing),
    ("read-only file system", Code::ReadOnlyFileSystem),
    ("EROFS", Code::ReadOnlyFileSystem),
    ("no space left on device", Code::NoSpaceLeft),
    ("ENOSPC", Code::NoSpaceLeft),
    ("address already in use", Code::AddressInUse),
    ("address in use", Code::AddressInUse),
    ("EADDRINUSE", Code::AddressInUse),
    ("bad address '", Code::NameNotResolved),
    ("name or service not known", Code::NameNotResolved),
    ("temporary failure in name resolution", Code::NameNotResolved),
    ("name does not resolve", Code::NameNotResolved),
    ("nodename nor servname", Code::NameNotResolved),
    ("could not resolve host", Code::NameNotResolved),
    ("couldn't resolve host", Code::NameNotResolved),
    ("unable to resolve host", Code::NameNotResolved),
    ("could not translate host name", Code::NameNotResolved),
    ("host not found in upstream", Code::NameNotResolved),
    ("unknown host", Code::NameNotResolved),
    ("unknownhost", Code::NameNotResolved),
    ("no such host", Code::NameNotResolved),
    ("ENOTFOUND", Code::NameNotResolved),
    ("EAI_AGAIN", Code::NameNotResolved),
    ("getaddrinfo failed", Code::NameNotResolved),
    ("failed to lookup address information", Code::NameNotResolved),
    ("connection refused", Code::ConnectionRefused),
    ("ECONNREFUSED", Code::ConnectionRefused),
    ("parameter not set", Code::VariableMissing),
    ("parameter null or not set", Code::VariableMissing),
    ("unbound variable", Code::VariableMissing),
    ("keyerror: '", Code::VariableMissing),
    ("environment variable", Code::VariableMissing),
    ("env var", Code::VariableMissing),
    ("must specify", Code::VariableMissing),
    ("need to specify", Code::VariableMissing),
    ("must be set", Code::VariableMissing),
    ("not specified", Code::VariableMissing),
    ("is not set", Code::VariableMissing),
    ("not defined", Code::VariableMissing),
    ("is required", Code::VariableMissing),
    ("is missing", Code::VariableMissing),
    ("missing required", Code::VariableMissing),
    ("modulenotfounderror", Code::ModuleMissing),
    ("no module named", Code::ModuleMissing),
    ("cannot find module", Code::ModuleMissing),
    ("cannot find package", Code::ModuleMissing),
    ("cannot load such file", Code::ModuleMissing),
    ("classnotfoundexception", Code::ModuleMissing),
    ("could not find or load main class", Code::ModuleMissing),
    ("in @inc (", Code::ModuleMissing),
    ("unable to access jarfile", Code::FileMissing),
    ("permission denied", Code::PermissionDenied),
    ("operation not permitted", Code::PermissionDenied),
    ("EACCES", Code::PermissionDenied),
    ("no such file or directory", Code::FileMissing),
    ("ENOENT", Code::FileMissing),
    ("nosuchfileexception", Code::FileMissing),
];

/// Explains why a program exited with an error.
pub(super) fn verdict(files: &Files, program: &str, code: i32, lines: &[Line]) -> Result<Verdict, Failure> {
    let Some(at) = decisive(lines) else { return Ok(failed(program, code, "")) };
    let line = lines[at].text.as_str();
    let lower = line.to_lowercase();
    let has = |words: &str| match words.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
        true => line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == words),
        false => lower.contains(words),
    };
    let matches = |code: Code| MESSAGES.iter().any(|(words, of)| *of == code && has(words));
    // The exit codes of a shell or env that could not execute a command (POSIX, "Exit Status for Commands").
    if [126, 127].contains(&code)
        && !matches(Code::LibraryMissing)
        && let Some(verdict) = not_executed(files, program, code, line)?
    {
        return Ok(verdict);
    }
    if let Some(name) = expanded(files, line)? {
        return Ok(Verdict::new(Code::VariableMissing, program, line).advise(format!("-e {name}=…")));
    }
    let request = &files.container.record.request;
    const SET_USER_ID: [&str; 4] = ["setuid", "suid", "no new privileges", "effective uid is not 0"];
    if request.no_new_privileges && SET_USER_ID.iter().any(|words| has(words)) {
        return Ok(Verdict::new(Code::PermissionDenied, program, line).advise("--security-opt no-new-privileges"));
    }
    for (_, code) in MESSAGES.iter().filter(|(words, _)| has(words)) {
        let verdict = Verdict::new(*code, program, line);
        match code {
            Code::VariableMissing => match variable(files, &lines[at..])? {
                Some(name) => return Ok(verdict.advise(format!("-e {name}=…"))),
                None => continue,
            },
            Code::NameNotResolved if request.network == Network::None => return Ok(verdict.advise("--network none")),
            Code::NameNotResolved if !request.dns.is_empty() => {
                return Ok(verdict
                    .advise(request.dns.iter().map(|server| format!("--dns {server}")).collect::<Vec<_>>().join(" ")));
            }
            Code::TooManyFiles => return Ok(Verdict { advice: limit(request, "nofile"), ..verdict }),
            Code::TooManyProcesses => {
                let pids = request.limits.pids.map(|pids| format!("--pids-limit {pids}"));
                return Ok(Verdict { advice: limit(request, "nproc").or(pids), ..verdict });
            }
            Code::ReadOnlyFileSystem => return Ok(Verdict { advice: read_only(files, line)?, ..verdict }),
            Code::ConnectionRefused => {
                let own = ["localhost", "127.0.0.1", "::1"].into_iter().find(|own| line.contains(own));
                return Ok(Verdict { advice: own.map(ToOwned::to_owned), ..verdict });
            }
            Code::PermissionDenied => {
                let is_root =
                    files.container.spec()?.process().as_ref().is_none_or(|process| process.user().uid() == 0);
                // File ownership does not restrict root: then a capability is missing.
                let is_of_file = has("permission denied") || has("EACCES") || !is_root;
                let advice = if is_of_file { owner(files, line)? } else { None };
                return Ok(Verdict { advice, ..verdict });
            }
            // A configuration file is named that refers to the missing file.
            Code::FileMissing if configuration(files, line)?.is_some() => continue,
            Code::FileMissing => {
                let path = paths(line).next().map(|path| path.display().to_string());
                return Ok(Verdict { advice: path, ..verdict });
            }
            _ => return Ok(verdict),
        }
    }
    // Redis names a line of the file, but not the file.
    let is_fatal = lines[at.saturating_sub(4)..at].iter().any(|line| line.text.contains("FATAL CONFIG FILE ERROR"));
    let file = if is_fatal { argument(files)? } else { configuration(files, line)? };
    if let Some(file) = file {
        return Ok(Verdict::new(Code::ConfigurationRejected, program, line).advise(file));
    }
    Ok(failed(program, code, line))
}

fn failed(program: &str, code: i32, line: &str) -> Verdict {
    let verdict = Verdict::new(Code::ProgramFailed, program, line);
    // A shell exits with 128 + N when signal N ended its command.
    let signal = Some(code - 128).filter(|signal| (1..=31).contains(signal)).map(signal_name);
    Verdict { advice: signal, ..verdict }
}

/// Returns a `--ulimit` as it was given.
fn limit(request: &Request, name: &str) -> Option<String> {
    let is_it = |limited: &str| limited.trim_start_matches("RLIMIT_").eq_ignore_ascii_case(name);
    let given = request.ulimits.iter().find(|ulimit| is_it(&ulimit.name))?;
    Some(format!("--ulimit {name}={}:{}", given.soft, given.hard))
}

/// Returns the first file among the program's arguments.
fn argument(files: &Files) -> Result<Option<String>, Failure> {
    let argv = files.container.spec()?.process().clone().unwrap_or_default().args().clone().unwrap_or_default();
    for word in argv.iter().skip(1).filter(|word| word.starts_with('/')) {
        if files.find(Path::new(word))?.is_some_and(|file| file.is_file()) {
            return Ok(Some(word.clone()));
        }
    }
    Ok(None)
}

/// Returns the index of the line that tells why the program failed: the last one, or the one before a stack trace or remark.
fn decisive(lines: &[Line]) -> Option<usize> {
    let last = lines.len().checked_sub(1)?;
    let errors: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].is_error).collect();
    if let Some(at) = raised(lines, &errors) {
        return Some(at);
    }
    let text = |line: &Line| line.text.clone();
    let lines: Vec<String> = lines.iter().map(text).collect();
    if let Some(trace) = lines.iter().rposition(|line| line.starts_with("goroutine ") && line.ends_with(':')) {
        let is_panic = |line: &&String| line.starts_with("panic: ") || line.starts_with("fatal error: ");
        return lines[..trace].iter().rposition(|line| is_panic(&line)).or(Some(last));
    }
    let is_remark = |line: &str| {
        line.starts_with(char::is_whitespace)
            || line.starts_with("Node.js v")
            || line.starts_with("Require stack:")
            || line.starts_with("- /")
            || line.starts_with("Emitted 'error' event on ")
            || line.starts_with("BEGIN failed--compilation aborted")
            || line.starts_with("Usage: ")
            || line.starts_with("BusyBox v")
            || line.starts_with("note: run with `RUST_BACKTRACE")
            // The summary of dd.
            || line.ends_with(" records in")
            || line.ends_with(" records out")
            || (line.contains(" bytes (") && line.contains(" copied, "))
            || ["}", "]", ")"].contains(&line.trim())
    };
    lines.iter().rposition(|line| !is_remark(line)).or(Some(last))
}

/// Returns the line of the exception that ended a Python program, if that is the last line on its standard error. Standard
/// output is buffered, so earlier output may follow.
fn raised(lines: &[Line], errors: &[usize]) -> Option<usize> {
    let last = *errors.last()?;
    let is_traceback = |at: &&usize| lines[**at].text.starts_with("Traceback (most recent call last)");
    let begun = errors.iter().rposition(|at| is_traceback(&at))?;
    let is_frame = |at: &usize| lines[*at].text.starts_with(' ');
    let frames = &errors[begun + 1..errors.len() - 1];
    (frames.first().is_some_and(is_frame) && frames.iter().all(is_frame) && !is_frame(&last)).then_some(last)
}

/// Explains why a command was not executed: by the container's files if possible, else by the shell's message.
fn not_executed(files: &Files, program: &str, code: i32, line: &str) -> Result<Option<Verdict>, Failure> {
    // The command may be a script whose interpreter `env` does not find.
    let argv = files.container.spec()?.process().clone().unwrap_or_default().args().clone().unwrap_or_default();
    let own = argv.first().map(String::as_str);
    let commands = match shell::input_of(&argv) {
        Some(ShellInput::Text(text)) => shell::commands(text),
        _ => Vec::new(),
    };
    let of_shell = commands.iter().filter_map(|command| command.first().copied());
    let named = line.split([':', ' ', '\'', '"', '‘', '’', '`']).filter(|word| word.len() > 1);
    let words = named.rev().chain(own).chain(of_shell);
    for word in words.filter(|word| word.chars().any(char::is_alphanumeric)) {
        match refusal::of_word(files, word)? {
            Some(verdict) if verdict.code == Code::NotExecutable && verdict.found != DIRECTORY => {
                let path = verdict.subject;
                return Ok(Some(Verdict::new(Code::ShellCouldNotExecute, program, line).advise(path)));
            }
            Some(verdict) => return Ok(Some(verdict)),
            None => {}
        }
    }
    let lower = line.to_lowercase();
    let code = match code {
        127 if lower.contains("not found") || lower.contains("no such file") => Code::ShellFoundNoCommand,
        126 if lower.contains("permission denied") || lower.contains("exec format error") => Code::ShellCouldNotExecute,
        _ => return Ok(None),
    };
    Ok(Some(Verdict::new(code, program, line)))
}

fn is_name(word: &str) -> bool {
    word.len() > 2
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn is_set(env: &[String], name: &str) -> bool {
    env.iter().any(|entry| entry.split_once('=').is_some_and(|(set, value)| set == name && !value.is_empty()))
}

/// Returns the variable of `${NAME:?message}`, for which a shell prints `sh: line 3: NAME: message`.
fn expanded(files: &Files, line: &str) -> Result<Option<String>, Failure> {
    let parts: Vec<&str> = line.split(": ").collect();
    let is_number = |part: &str| part.strip_prefix("line ").unwrap_or(part).chars().all(|c| c.is_ascii_digit());
    let at = if parts.get(1).is_some_and(|part| is_number(part)) { 2 } else { 1 };
    let env = files.env()?;
    let name = parts.get(at).filter(|name| is_name(name) && !is_set(&env, name));
    let says_more = parts.get(at + 1).is_some_and(|message| !message.ends_with("not found"));
    Ok(name.filter(|_| says_more).map(|name| (*name).to_owned()))
}

/// Returns a variable that the lines name and that is not set in the container.
fn variable(files: &Files, lines: &[Line]) -> Result<Option<String>, Failure> {
    let env = files.env()?;
    let is_set = |name: &&str| is_set(&env, name);
    let line = lines.first().map_or("", |line| line.text.as_str());
    let words = lines.iter().flat_map(|line| line.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let is_level =
        |word: &&str| ["ERROR", "FATAL", "WARN", "WARNING", "INFO", "DEBUG", "CRITICAL", "PANIC"].contains(word);
    // `sh: name: parameter not set` names a variable of any case.
    let lower = line.strip_suffix(": parameter not set").or_else(|| line.strip_suffix(": parameter null or not set"));
    let lower = lower.or_else(|| line.strip_suffix(": unbound variable"));
    let by_shell = lower.and_then(|line| line.rsplit(": ").next()).filter(|name| !name.contains(' '));
    let mut named = words.filter(|word| is_name(word));
    let found = by_shell.or_else(|| named.find(|word| !is_set(word) && !is_level(word)));
    Ok(found.map(ToOwned::to_owned))
}

/// Returns the absolute paths in a line.
fn paths(line: &str) -> impl Iterator<Item = &Path> {
    let words = line.split(|c: char| c.is_whitespace() || "\"'`‘’()[],;".contains(c));
    // `/etc/nginx/nginx.conf:12:`
    words.map(|word| Path::new(word.split(':').next().unwrap_or_default())).filter(|path| path.is_absolute())
}

/// Returns why the path in a line is read-only: the `-v` that mounted it, its path if it belongs to the kernel, or the
/// `--tmpfs` that would make it writable under a read-only root.
fn read_only(files: &Files, line: &str) -> Result<Option<String>, Failure> {
    let request = &files.container.record.request;
    for path in paths(line) {
        let over = request.volumes.iter().filter(|volume| path.starts_with(&volume.target));
        if let Some(volume) = over.max_by_key(|volume| volume.target.len()) {
            return Ok(volume.read_only.then(|| format!("-v …:{}:ro", volume.target)));
        }
        if path.starts_with("/proc") || path.starts_with("/sys") {
            return Ok(Some(path.display().to_string()));
        }
        for directory in path.ancestors().skip(1).filter(|_| request.read_only) {
            if directory != Path::new("/") && files.find(directory)?.is_some_and(|directory| directory.is_dir()) {
                return Ok(Some(format!("--tmpfs {}", directory.display())));
            }
        }
    }
    Ok(None)
}

/// Returns the container's user, and the owner and mode of the file in a line.
fn owner(files: &Files, line: &str) -> Result<Option<String>, Failure> {
    let process = files.container.spec()?.process().clone().unwrap_or_default();
    let (uid, gid) = (process.user().uid(), process.user().gid());
    for path in paths(line) {
        // If the file does not exist, its directory decides.
        for path in path.ancestors() {
            let Some(metadata) = files.find(path)?.and_then(|file| fs::metadata(file).ok()) else { continue };
            let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.permissions().mode() & 0o7777);
            return Ok(Some(format!("{uid}:{gid} ≠ {} {owner}:{group} {mode:o}", path.display())));
        }
    }
    Ok(None)
}

/// Returns the configuration file that a line complains about: a file of the container that is named with a line number or a
/// word such as `error`.
fn configuration(files: &Files, line: &str) -> Result<Option<String>, Failure> {
    const ENDINGS: [&str; 8] = ["conf", "cnf", "cfg", "ini", "json", "toml", "yaml", "yml"];
    const OF_EVERY_PROGRAM: [&str; 6] =
        ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
    const COMPLAINTS: [&str; 12] = [
        "error",
        "invalid",
        "unknown",
        "unexpected",
        "syntax",
        "fail",
        "parse",
        "parsing",
        "bad ",
        "illegal",
        "unrecognized",
        "cannot",
    ];
    let lower = line.to_lowercase();
    let complains = COMPLAINTS.iter().any(|word| lower.contains(word));
    for path in paths(line) {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let is_configuration = path.starts_with("/etc") || ending.is_some_and(|ending| ENDINGS.contains(&ending));
        let name = path.display().to_string();
        let after =
            line.split_once(&name).map_or("", |(_, after)| after).trim_start_matches(['"', '\'', '`', ')', '’']);
        let has_line_number =
            after.strip_prefix(':').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
                || lower.contains(" line ");
        if is_configuration
            && !OF_EVERY_PROGRAM.contains(&name.as_str())
            && (complains || has_line_number)
            && files.find(path)?.is_some_and(|file| file.is_file())
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
