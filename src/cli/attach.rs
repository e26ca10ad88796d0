//! Attaches the terminal to a container: streams, signals, window size, and the detach keys.

use crate::container::live::launch::terminal_size;
use crate::container::protocol::{End, Message, Modes, Stream};
use crate::sys::{On, SysError, process};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};

/// What is connected to the container.
pub(super) struct Attachment {
    /// The container has a terminal.
    pub terminal: bool,
    /// Standard input is forwarded.
    pub stdin: bool,
    /// Signals are forwarded.
    pub signals: bool,
    /// The bytes that detach.
    pub detach_keys: Vec<u8>,
}

/// How an attachment ended.
pub(super) enum Parting {
    Exited(u8),
    Detached,
    Lost,
}

/// Docker's default: Ctrl-P, Ctrl-Q.
pub(super) const DETACH_KEYS: [u8; 2] = [16, 17];

/// Parses `ctrl-p,ctrl-q` into bytes.
pub(super) fn detach_keys(text: &str) -> Result<Vec<u8>, InvalidKeys> {
    text.split(',')
        .map(|key| match key.strip_prefix("ctrl-").map_or(key.as_bytes(), str::as_bytes) {
            [letter] if key.starts_with("ctrl-") && (b'@'..=b'_').contains(&letter.to_ascii_uppercase()) => {
                Ok(letter.to_ascii_uppercase() - b'@')
            }
            [letter] if !key.starts_with("ctrl-") => Ok(*letter),
            _ => Err(InvalidKeys(text.to_owned())),
        })
        .collect()
}

#[derive(Debug, thiserror::Error)]
#[error("invalid --detach-keys {0:?}")]
pub(super) struct InvalidKeys(String);

impl crate::diag::Diagnose for InvalidKeys {
    fn hint(&self) -> Option<String> {
        Some("separate keys by commas; each is a letter, or ctrl- and a letter: --detach-keys ctrl-p,ctrl-q".into())
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
pub(super) fn attach(monitor: &End, wanted: &Attachment) -> Result<Parting, SysError> {
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

fn pass_on(monitor: &End, wanted: &Attachment, signals: &impl AsFd) -> Result<Parting, SysError> {
    let stdin = rustix::stdio::stdin();
    let mut reading = wanted.stdin;
    let mut pending: Option<Message> = None;
    let mut keys = Keys { keys: &wanted.detach_keys, held: 0 };
    let mut buffer = [0u8; 16 * 1024];
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
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.map(drop).on("poll", "")?,
        }
        let events: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        while let Some(signal) = process::read_signal(signals.as_fd()) {
            match signal {
                libc::SIGWINCH => send_size(monitor, wanted)?,
                // The terminal is gone; the container goes on.
                libc::SIGHUP => return Ok(Parting::Detached),
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
                    Ok(Some((Message::Output { stream, bytes }, _))) => write_out(stream, &bytes),
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

fn write_out(stream: Stream, bytes: &[u8]) {
    let _ = match stream {
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
    fn keys() {
        assert_eq!(detach_keys("ctrl-p,ctrl-q").unwrap(), DETACH_KEYS);
        assert_eq!(detach_keys("a,ctrl-@").unwrap(), [b'a', 0]);
        assert!(detach_keys("ctrl-").is_err() && detach_keys("ab").is_err());
        let mut keys = Keys { keys: &DETACH_KEYS, held: 0 };
        assert_eq!(keys.sift(b"x\x10").unwrap(), b"x");
        assert_eq!(keys.sift(b"y\x10").unwrap(), b"\x10y");
        assert_eq!(keys.sift(b"\x10z").unwrap(), b"\x10\x10z");
        assert!(keys.sift(b"\x10\x11").is_none());
    }
}
