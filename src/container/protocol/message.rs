//! The conversation of client, monitor and init, each edge one sequenced-packet socket.
//!
//! ```text
//! client → monitor   Job, More… (a memory file, stdio, listeners and mounts ride along)    first, once
//! monitor → client   WantEgress                only if the plan has a way out of the network namespace
//! client → monitor   EgressUp
//! init → monitor     Terminal (the pty rides along), Did…, Born (of an exec), Ready
//! monitor → init     Go                        only if it waits for the way out: become the payload
//! monitor → client   Did…, Started
//! either → upward    Failed                    terminal; whoever holds the plan renders the sentence
//! then, on every connection to the monitor:
//! client → monitor   Attach (its terminal rides along), Stdin…, StdinEnd, Resize, Signal, Stop, Detach, Pause,
//!                    SetPaused, Keep, Probe, Connect, Disconnect
//! monitor → client   Output…, Paused, Done, Probed, Exited     terminal
//! ```
//!
//! A monitor outlives the command that started it, and a newer minirun may come to it: the monitor notes in `state.json` which
//! [`VERSION`] it speaks. A newer client speaks to it as that version did. An older client leaves it alone.
//!
//! End of file: from init before `Ready`, it died in set-up; afterwards, its exec succeeded. From the client, it has
//! detached. From the monitor, it was killed.

use super::failure::Failure;
use crate::sys::{On, SysError, socket};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

/// The version of the messages between a client and a running monitor. It is raised with a change that an older program
/// would misunderstand.
pub(crate) const VERSION: u32 = 1;

/// The version of monitors that do not note one.
pub(crate) const FIRST_VERSION: u32 = 1;

/// The signal that asks a monitor to listen again at its path, from which its socket was removed.
pub(crate) const LISTEN_AGAIN: i32 = libc::SIGUSR1;

#[derive(Debug, PartialEq)]
pub enum Message {
    Job,
    /// Descriptors that found no room in the message before.
    More,
    WantEgress,
    EgressUp,
    Terminal,
    /// A step was carried out. `skipped` is 0, or the errno that says why it had nothing to do.
    Did {
        step: u32,
        micros: u32,
        skipped: u32,
    },
    Ready,
    Go,
    /// Another process continues in place of the sender, which ends.
    Born {
        pid: u32,
    },
    Started {
        pid: u32,
    },
    Failed(Failure),
    Attach {
        output: bool,
        stdin: bool,
        /// The modes to restore on the terminal that rides along, should the client be killed.
        modes: Option<Modes>,
    },
    Stdin(Vec<u8>),
    StdinEnd,
    Resize {
        rows: u32,
        columns: u32,
    },
    Signal(u32),
    /// Send a signal now, and SIGKILL after a grace in milliseconds (`u32::MAX`: never).
    Stop {
        signal: u32,
        grace: u32,
    },
    Output {
        stream: Stream,
        bytes: Vec<u8>,
    },
    Exited {
        code: u32,
    },
    /// The client goes, and has restored its terminal.
    Detach,
    /// Pause the container as long as this connection lasts; answered by `Paused`. `by_signals`: processes that start later
    /// in its control group run.
    Pause {
        by_signals: bool,
    },
    Paused,
    /// Pause the container, or let it go on, for good; answered by `Done`.
    SetPaused {
        paused: bool,
    },
    /// What was asked for is done, if the errno is 0.
    Done {
        errno: u32,
    },
    /// Do not remove the container if it ends while this connection lasts.
    Keep,
    /// Come onto a network, as this JSON says; answered by `Done`.
    Connect(Vec<u8>),
    /// Leave the network of this name; answered by `Done`.
    Disconnect(Vec<u8>),
    /// Run the health check now; answered by `Probed`.
    Probe,
    /// The exit code of a probe, `u32::MAX` for one that could not be started or took too long.
    Probed {
        code: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// The modes of a terminal that raw mode changes: input, output, control and local modes, VMIN, VTIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes([u32; 6]);

impl Modes {
    pub fn of(state: &Termios) -> Self {
        Self([
            state.input_modes.bits(),
            state.output_modes.bits(),
            state.control_modes.bits(),
            state.local_modes.bits(),
            state.special_codes[SpecialCodeIndex::VMIN].into(),
            state.special_codes[SpecialCodeIndex::VTIME].into(),
        ])
    }

    /// Restores them on a terminal.
    pub fn restore(&self, terminal: impl AsFd) {
        let Ok(mut state) = tcgetattr(&terminal) else { return };
        let [input, output, control, local, min, time] = self.0;
        state.input_modes = InputModes::from_bits_retain(input);
        state.output_modes = OutputModes::from_bits_retain(output);
        state.control_modes = ControlModes::from_bits_retain(control);
        state.local_modes = LocalModes::from_bits_retain(local);
        state.special_codes[SpecialCodeIndex::VMIN] = min as u8;
        state.special_codes[SpecialCodeIndex::VTIME] = time as u8;
        let _ = tcsetattr(terminal, OptionalActions::Now, &state);
    }
}

impl Message {
    fn encode(&self) -> Vec<u8> {
        let numbers = |tag: u8, numbers: &[u32]| {
            let mut bytes = vec![tag];
            numbers.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
            bytes
        };
        let text = |tag: u8, text: &[u8]| [&[tag], text].concat();
        match self {
            Self::Job => vec![1],
            Self::WantEgress => vec![2],
            Self::EgressUp => vec![3],
            Self::Terminal => vec![4],
            Self::Did { step, micros, skipped } => numbers(5, &[*step, *micros, *skipped]),
            Self::Ready => vec![6],
            Self::Go => vec![7],
            Self::Started { pid } => numbers(8, &[*pid]),
            Self::Failed(failure) => numbers(9, &failure.numbers()),
            Self::Attach { output, stdin, modes } => {
                let mut all = vec![(*output).into(), (*stdin).into()];
                all.extend(modes.iter().flat_map(|modes| modes.0));
                numbers(10, &all)
            }
            Self::Stdin(bytes) => text(11, bytes),
            Self::StdinEnd => vec![12],
            Self::Resize { rows, columns } => numbers(13, &[*rows, *columns]),
            Self::Signal(signal) => numbers(14, &[*signal]),
            Self::Stop { signal, grace } => numbers(15, &[*signal, *grace]),
            Self::Output { stream: Stream::Stdout, bytes } => text(16, bytes),
            Self::Output { stream: Stream::Stderr, bytes } => text(17, bytes),
            Self::Exited { code } => numbers(18, &[*code]),
            Self::Detach => vec![19],
            Self::Pause { by_signals } => numbers(20, &[(*by_signals).into()]),
            Self::Paused => vec![21],
            Self::Born { pid } => numbers(22, &[*pid]),
            Self::More => vec![23],
            Self::SetPaused { paused } => numbers(24, &[(*paused).into()]),
            Self::Done { errno } => numbers(25, &[*errno]),
            Self::Keep => vec![26],
            Self::Probe => vec![27],
            Self::Probed { code } => numbers(28, &[*code]),
            Self::Connect(member) => text(29, member),
            Self::Disconnect(network) => text(30, network),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let number = |i: usize| Some(u32::from_le_bytes(rest.get(i * 4..i * 4 + 4)?.try_into().ok()?));
        Some(match tag {
            1 => Self::Job,
            2 => Self::WantEgress,
            3 => Self::EgressUp,
            4 => Self::Terminal,
            5 => Self::Did { step: number(0)?, micros: number(1)?, skipped: number(2)? },
            6 => Self::Ready,
            7 => Self::Go,
            8 => Self::Started { pid: number(0)? },
            9 => Self::Failed(Failure::from_numbers([number(0)?, number(1)?, number(2)?])),
            10 => {
                let modes: Option<Vec<u32>> = (2..8).map(number).collect();
                let modes = modes.and_then(|modes| modes.try_into().ok()).map(Modes);
                Self::Attach { output: number(0)? != 0, stdin: number(1)? != 0, modes }
            }
            11 => Self::Stdin(rest.to_vec()),
            12 => Self::StdinEnd,
            13 => Self::Resize { rows: number(0)?, columns: number(1)? },
            14 => Self::Signal(number(0)?),
            15 => Self::Stop { signal: number(0)?, grace: number(1)? },
            16 => Self::Output { stream: Stream::Stdout, bytes: rest.to_vec() },
            17 => Self::Output { stream: Stream::Stderr, bytes: rest.to_vec() },
            18 => Self::Exited { code: number(0)? },
            19 => Self::Detach,
            20 => Self::Pause { by_signals: number(0)? != 0 },
            21 => Self::Paused,
            22 => Self::Born { pid: number(0)? },
            23 => Self::More,
            24 => Self::SetPaused { paused: number(0)? != 0 },
            25 => Self::Done { errno: number(0)? },
            26 => Self::Keep,
            27 => Self::Probe,
            28 => Self::Probed { code: number(0)? },
            29 => Self::Connect(rest.to_vec()),
            30 => Self::Disconnect(rest.to_vec()),
            _ => return None,
        })
    }
}

/// An end of a conversation.
pub struct End(OwnedFd);

impl End {
    pub fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Makes two ends that are connected.
    pub fn pair() -> Result<(Self, Self), SysError> {
        socket::pair().map(|(a, b)| (Self(a), Self(b)))
    }

    pub fn send(&self, message: &Message) -> Result<(), SysError> {
        socket::send(self.0.as_fd(), &message.encode(), &[])
    }

    /// Sends, and ignores that the other side is gone.
    pub fn tell(&self, message: &Message) -> Result<(), SysError> {
        match self.send(message) {
            // ECONNRESET: it left something of ours unread.
            Err(error) if matches!(error.errno, libc::EPIPE | libc::ECONNRESET) => Ok(()),
            other => other,
        }
    }

    /// Sends even where the socket does not block: waits until the other side has read enough.
    pub fn wait_and_send(&self, message: &Message) -> Result<(), SysError> {
        rustix::io::ioctl_fionbio(&self.0, false).on("ioctl", "FIONBIO")?;
        self.send(message)
    }

    pub fn send_with(&self, message: &Message, descriptors: &[RawFd]) -> Result<(), SysError> {
        socket::send(self.0.as_fd(), &message.encode(), descriptors)
    }

    /// Waits until the other side is gone.
    pub fn wait_for_end(&self) {
        // A hang-up is told without being asked for.
        let mut waiting = [PollFd::new(&self.0, PollFlags::empty())];
        while poll(&mut waiting, None) == Err(Errno::INTR) {}
    }

    /// Receives the next message. `None`: the other side is gone, or has sent an unknown message.
    pub fn receive(&self) -> Result<Option<(Message, Vec<OwnedFd>)>, SysError> {
        let mut buffer = [0u8; socket::LONGEST];
        let received = socket::receive(self.0.as_fd(), &mut buffer)?;
        Ok(received.and_then(|(length, descriptors)| Some((Message::decode(&buffer[..length])?, descriptors))))
    }

    pub fn socket(&self) -> &OwnedFd {
        &self.0
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::protocol::{Call, Stage};

    #[test]
    fn every_message_has_the_bytes_of_the_first_version() {
        let all: [(Message, &[u8]); 31] = [
            (Message::Job, b"\x01"),
            (Message::WantEgress, b"\x02"),
            (Message::EgressUp, b"\x03"),
            (Message::Terminal, b"\x04"),
            (Message::Did { step: 3, micros: 70_000, skipped: 2 }, b"\x05\x03\0\0\0\x70\x11\x01\0\x02\0\0\0"),
            (Message::Ready, b"\x06"),
            (Message::Go, b"\x07"),
            (Message::Started { pid: 4_000_000 }, b"\x08\0\x09\x3d\0"),
            (
                Message::Failed(Failure { stage: Stage::Step(1), call: Call::Other, errno: 2 }),
                b"\x09\x01\0\0\0\0\0\0\0\x02\0\0\0",
            ),
            (Message::Attach { output: true, stdin: false, modes: None }, b"\x0a\x01\0\0\0\0\0\0\0"),
            (
                Message::Attach { output: true, stdin: true, modes: Some(Modes([1, 2, 3, 4, 5, 6])) },
                b"\x0a\x01\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05\0\0\0\x06\0\0\0",
            ),
            (Message::Stdin(b"ls\n".to_vec()), b"\x0bls\n"),
            (Message::StdinEnd, b"\x0c"),
            (Message::Resize { rows: 24, columns: 80 }, b"\x0d\x18\0\0\0\x50\0\0\0"),
            (Message::Signal(15), b"\x0e\x0f\0\0\0"),
            (Message::Stop { signal: 15, grace: u32::MAX }, b"\x0f\x0f\0\0\0\xff\xff\xff\xff"),
            (Message::Output { stream: Stream::Stdout, bytes: vec![0, 255] }, b"\x10\0\xff"),
            (Message::Output { stream: Stream::Stderr, bytes: vec![] }, b"\x11"),
            (Message::Exited { code: 137 }, b"\x12\x89\0\0\0"),
            (Message::Detach, b"\x13"),
            (Message::Pause { by_signals: true }, b"\x14\x01\0\0\0"),
            (Message::Paused, b"\x15"),
            (Message::Born { pid: 7 }, b"\x16\x07\0\0\0"),
            (Message::More, b"\x17"),
            (Message::SetPaused { paused: true }, b"\x18\x01\0\0\0"),
            (Message::Done { errno: 28 }, b"\x19\x1c\0\0\0"),
            (Message::Keep, b"\x1a"),
            (Message::Probe, b"\x1b"),
            (Message::Probed { code: 1 }, b"\x1c\x01\0\0\0"),
            (Message::Connect(b"{}".to_vec()), b"\x1d{}"),
            (Message::Disconnect(b"net".to_vec()), b"\x1enet"),
        ];
        for (message, bytes) in all {
            assert_eq!(message.encode(), bytes, "{message:?}");
            assert_eq!(Message::decode(bytes), Some(message));
        }
        assert_eq!(Message::decode(&[]), None);
        assert_eq!(Message::decode(&[13, 1]), None);
    }
}
