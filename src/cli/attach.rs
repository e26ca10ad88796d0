//! Attaches the terminal to a container: streams, signals, window size, and the detach keys.

use super::flags::DetachKeys;
use crate::container::live::launch::terminal_size;
use crate::container::protocol::{End, Message, Modes, Stream};
use crate::diag::{Diagnose, ErrorCode, Failure, inner_of};
use crate::sys::{On, SysError, process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// What is connected to the container.
pub(super) struct Attachment {
    /// The container has a terminal.
    pub terminal: bool,
    /// Standard input is forwarded.
    pub stdin: bool,
    /// The end of standard input is one for the container too.
    pub closes_stdin: bool,
    /// The streams that are printed.
    pub printed: Printed,
    /// Signals are forwarded.
    pub signals: bool,
    pub detach_keys: DetachKeys,
}

/// The streams of a container that are printed.
#[derive(Clone, Copy)]
pub(super) struct Printed {
    pub stdout: bool,
    pub stderr: bool,
}

impl Printed {
    pub(super) const BOTH: Self = Self { stdout: true, stderr: true };
}

/// How an attachment ended.
enum Parting {
    Exited(u8),
    Detached,
    /// The process did not end at three signals.
    LetGo,
    Lost,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    #[error("cannot attach a terminal: standard input is not a terminal")]
    NoTerminal { instead: &'static str },
    #[error("container {0} has ended: its monitor was killed")]
    Lost(String),
    #[error("container {0} goes on: it did not end at three signals")]
    LetGo(String),
    #[error("the containers go on: they did not end at three signals")]
    LetGoOfAll,
    #[error(transparent)]
    Sys(#[from] SysError),
}

/// What helps a command with -t whose standard input is no terminal.
pub(super) const WITHOUT_T: &str = "leave out -t";

/// What helps `attach`.
pub(super) const WITHOUT_STDIN: &str = "see its output: attach --no-stdin";

impl Diagnose for AttachError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::NoTerminal { .. } => Some(ErrorCode::NoTerminal),
            Self::Lost(_) | Self::LetGo(_) | Self::LetGoOfAll => None,
            Self::Sys(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoTerminal { instead } => Some((*instead).into()),
            Self::LetGo(name) => Some(format!("stop it: minirun stop {name}; or at once: minirun kill {name}")),
            Self::LetGoOfAll => Some("stop them: minirun stop NAME...".into()),
            Self::Lost(_) => None,
            Self::Sys(error) => error.hint(),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            // As in Docker.
            Self::NoTerminal { .. } | Self::LetGo(_) | Self::LetGoOfAll => 1,
            Self::Lost(_) | Self::Sys(_) => crate::diag::ENGINE,
        }
    }
}

impl Attachment {
    /// Refuses to connect a container's terminal to input that is none.
    pub(super) fn check_terminal(&self, instead: &'static str) -> Result<(), AttachError> {
        if self.terminal && self.stdin && !isatty(rustix::stdio::stdin()) {
            return Err(AttachError::NoTerminal { instead });
        }
        Ok(())
    }
}

/// Stays with a container until one side ends. Returns the exit code of the command.
pub(super) fn stay(end: &End, attachment: &Attachment, name: &str) -> Result<u8, Failure> {
    match attach(end, attachment)? {
        Parting::Exited(code) => Ok(code),
        Parting::Detached => Ok(0),
        Parting::LetGo => Err(AttachError::LetGo(name.to_owned()).into()),
        Parting::Lost => Err(AttachError::Lost(name.to_owned()).into()),
    }
}

/// Prints the output of several containers until all have ended, and forwards signals to each. Returns the highest exit
/// code.
pub(super) fn watch_all(mut ends: Vec<End>) -> Result<u8, Failure> {
    let signals = process::signalfd(&[libc::SIGINT, libc::SIGTERM, libc::SIGQUIT])?;
    for end in &ends {
        unless_gone(end.send(&Message::Attach { output: true, stdin: false, modes: None }))?;
    }
    let mut highest = 0;
    let mut impatience = Impatience::default();
    while !ends.is_empty() {
        let mut polled = vec![PollFd::new(&signals, PollFlags::IN)];
        polled.extend(ends.iter().map(|end| PollFd::new(end.socket(), PollFlags::IN)));
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.map(drop).on("poll", "")?,
        }
        let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        while let Some(signal) = process::read_signal(signals.as_fd()) {
            if impatience.grows(signal) {
                return Err(AttachError::LetGoOfAll.into());
            }
            ends.iter().try_for_each(|end| unless_gone(end.send(&Message::Signal(signal.unsigned_abs()))))?;
        }
        for index in (0..ends.len()).rev().filter(|index| ready.get(index + 1) == Some(&true)) {
            match ends[index].receive()? {
                Some((Message::Output { stream, bytes }, _)) => write_out(Printed::BOTH, stream, &bytes),
                Some((Message::Exited { code }, _)) => {
                    highest = highest.max(code as u8);
                    ends.remove(index);
                }
                Some(_) => {}
                None => drop(ends.remove(index)),
            }
        }
    }
    Ok(highest)
}

/// Counts the signals of somebody who wants to get away from a process that does not end.
#[derive(Default)]
struct Impatience {
    signals: u32,
    last: Option<Instant>,
}

impl Impatience {
    /// Notes a signal. Returns whether it is the third within a short time.
    fn grows(&mut self, signal: i32) -> bool {
        const FORGOTTEN: Duration = Duration::from_secs(5);
        if ![libc::SIGINT, libc::SIGTERM].contains(&signal) {
            return false;
        }
        let is_recent = self.last.is_some_and(|last| last.elapsed() < FORGOTTEN);
        self.signals = if is_recent { self.signals + 1 } else { 1 };
        self.last = Some(Instant::now());
        self.signals == 3
    }
}

/// The terminal in raw mode; restored on drop.
struct Raw(Termios);

impl Raw {
    fn new() -> Option<Self> {
        let stdin = rustix::stdio::stdin();
        let before = tcgetattr(stdin).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin, OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Forwards input, output and signals until one side ends.
fn attach(monitor: &End, wanted: &Attachment) -> Result<Parting, SysError> {
    let stdin = rustix::stdio::stdin();
    let our_terminal = wanted.terminal && wanted.stdin && isatty(stdin);
    let rides_along = [stdin.as_raw_fd()];
    let rides_along = if our_terminal { &rides_along[..] } else { &rides_along[..0] };
    let modes = if our_terminal { tcgetattr(stdin).ok().as_ref().map(Modes::of) } else { None };
    unless_gone(monitor.send_with(&Message::Attach { output: true, stdin: wanted.stdin, modes }, rides_along))?;
    let told = [libc::SIGWINCH, libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];
    let signals = process::signalfd(&told)?;
    let raw = if our_terminal { Raw::new() } else { None };
    send_size(monitor, wanted)?;
    rustix::io::ioctl_fionbio(monitor.socket(), true).on("ioctl", "FIONBIO")?;

    let result = pass_on(monitor, wanted, &signals);
    let was_raw = raw.is_some();
    drop(raw);
    if was_raw && !matches!(result, Ok(Parting::Exited(_))) {
        // The shell's prompt then begins on a new line.
        eprintln!();
    }
    if matches!(result, Ok(Parting::Detached)) {
        let _ = monitor.send(&Message::Detach);
    }
    result
}

/// How long the answer to the last input may take, before who leaves a container that keeps its input goes.
const LAST_WORDS: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

fn pass_on(monitor: &End, wanted: &Attachment, signals: &impl AsFd) -> Result<Parting, SysError> {
    let stdin = rustix::stdio::stdin();
    let mut reading = wanted.stdin;
    let mut pending: Option<Message> = None;
    let mut keys = Keys { keys: &wanted.detach_keys.0, held: 0 };
    let mut buffer = [0u8; 16 * 1024];
    let mut impatience = Impatience::default();
    // Input has ended, and the container's has not.
    let mut leaving = false;
    loop {
        let mut polled = vec![
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(
                monitor.socket(),
                if pending.is_some() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN },
            ),
        ];
        // One message at a time: input that the container does not accept yet stays in standard input.
        if reading && pending.is_none() {
            polled.push(PollFd::new(&stdin, PollFlags::IN));
        }
        match poll(&mut polled, leaving.then_some(&LAST_WORDS)) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) => return Ok(Parting::Detached),
            other => other.map(drop).on("poll", "")?,
        }
        let events: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        while let Some(signal) = process::read_signal(signals.as_fd()) {
            match signal {
                libc::SIGWINCH => send_size(monitor, wanted)?,
                // The terminal is gone; the container goes on.
                libc::SIGHUP => return Ok(Parting::Detached),
                signal if wanted.signals && impatience.grows(signal) => return Ok(Parting::LetGo),
                signal if wanted.signals => unless_gone(monitor.send(&Message::Signal(signal.unsigned_abs())))?,
                _ => return Ok(Parting::Detached),
            }
        }
        if let Some(message) = pending.take()
            && let Err(error) = monitor.send(&message)
        {
            match error.errno {
                libc::EAGAIN => pending = Some(message),
                _ => unless_gone(Err(error))?,
            }
        }
        if !events[1].is_empty() {
            loop {
                match monitor.receive() {
                    Ok(Some((Message::Output { stream, bytes }, _))) => write_out(wanted.printed, stream, &bytes),
                    Ok(Some((Message::Exited { code }, _))) => return Ok(Parting::Exited(code as u8)),
                    Ok(Some(_)) => {}
                    Ok(None) => return Ok(Parting::Lost),
                    Err(error) if error.errno == libc::EAGAIN => break,
                    Err(error) => return Err(error),
                }
            }
        }
        if events.get(2).is_some_and(|e| !e.is_empty()) {
            let count = rustix::io::read(stdin, &mut buffer).unwrap_or(0);
            let typed = &buffer[..count];
            let Some(typed) = (if wanted.terminal { keys.sift(typed) } else { Some(typed.to_vec()) }) else {
                return Ok(Parting::Detached);
            };
            let message = if count == 0 {
                reading = false;
                leaving = !wanted.closes_stdin;
                if leaving {
                    continue;
                }
                Message::StdinEnd
            } else {
                Message::Stdin(typed)
            };
            match monitor.send(&message) {
                Err(error) if error.errno == libc::EAGAIN => pending = Some(message),
                other => unless_gone(other)?,
            }
        }
    }
}

/// Finds the detach keys in the input, also where a read splits them.
struct Keys<'a> {
    keys: &'a [u8],
    /// How many of them were typed last. They are held back, since they may be meant for the container.
    held: usize,
}

impl Keys<'_> {
    /// Returns the bytes for the container; `None` when the detach keys are complete.
    fn sift(&mut self, typed: &[u8]) -> Option<Vec<u8>> {
        let mut through = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.get(self.held) == Some(byte) {
                self.held += 1;
                if self.held == self.keys.len() {
                    return None;
                }
                continue;
            }
            through.extend_from_slice(&self.keys[..self.held]);
            self.held = usize::from(self.keys.first() == Some(byte));
            if self.held == 0 {
                through.push(*byte);
            }
        }
        Some(through)
    }
}

fn send_size(monitor: &End, wanted: &Attachment) -> Result<(), SysError> {
    if !wanted.terminal {
        return Ok(());
    }
    match terminal_size() {
        Some((rows, columns)) => {
            unless_gone(monitor.send(&Message::Resize { rows: rows.into(), columns: columns.into() }))
        }
        None => Ok(()),
    }
}

/// Ignores the error of a monitor that has ended: its last message can still be read.
fn unless_gone(sent: Result<(), SysError>) -> Result<(), SysError> {
    match sent {
        // ECONNRESET: it ended before it read all messages.
        Err(error) if matches!(error.errno, libc::EPIPE | libc::ECONNRESET) => Ok(()),
        other => other,
    }
}

fn write_out(printed: Printed, stream: Stream, bytes: &[u8]) {
    let _ = match stream {
        Stream::Stdout if !printed.stdout => Ok(()),
        Stream::Stderr if !printed.stderr => Ok(()),
        Stream::Stdout => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
        Stream::Stderr => std::io::stderr().lock().write_all(bytes),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_across_reads() {
        let default = DetachKeys::default();
        let mut keys = Keys { keys: &default.0, held: 0 };
        assert_eq!(keys.sift(b"x\x10").unwrap(), b"x");
        assert_eq!(keys.sift(b"y\x10").unwrap(), b"\x10y");
        assert_eq!(keys.sift(b"\x10z").unwrap(), b"\x10\x10z");
        assert!(keys.sift(b"\x10\x11").is_none());
    }
}
