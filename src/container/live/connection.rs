//! A client that is connected to a monitor.

use crate::container::protocol::{End, Message, Modes, Stream};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

pub(crate) struct Connection {
    pub end: End,
    /// It wants the output of the container.
    pub(super) output: bool,
    /// It may send input to the container.
    pub(super) stdin: bool,
    /// Messages that its socket had no room for. Nothing more is read from the container until all of them are sent.
    pending: VecDeque<Message>,
    /// Its terminal and the modes to restore, should the client be killed while the terminal is raw.
    pub(super) terminal: Option<(OwnedFd, Modes)>,
    /// It keeps the container paused.
    pub(super) pauses: bool,
    /// It keeps a container that ends from removing itself.
    pub(super) keeps: bool,
    /// It waits for the result of a health check.
    pub(super) awaits_probe: bool,
}

impl Connection {
    pub(super) fn new(end: End) -> Self {
        Self {
            end,
            output: false,
            stdin: false,
            pending: VecDeque::new(),
            terminal: None,
            pauses: false,
            keeps: false,
            awaits_probe: false,
        }
    }

    /// The conversation of the client that started the process.
    pub(super) fn first(end: End) -> Self {
        let _ = rustix::io::ioctl_fionbio(end.socket(), true);
        // From its first byte on: nothing is printed before somebody listens.
        let mut first = Self::new(end);
        (first.output, first.stdin) = (true, true);
        first
    }

    /// Leaves the terminal to the client, which restores it itself.
    pub(crate) fn leave_terminal(&mut self) {
        self.terminal = None;
    }

    /// Whether messages wait for room in its socket.
    pub(super) fn is_stalled(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Sends output, behind what waits already: the other stream may have filled the socket a moment ago.
    pub(super) fn send_output(&mut self, stream: Stream, bytes: &[u8]) {
        let message = Message::Output { stream, bytes: bytes.to_vec() };
        if self.is_stalled() || self.end.send(&message).is_err_and(|error| error.errno == libc::EAGAIN) {
            self.pending.push_back(message);
        }
    }

    /// Sends what waits, as much as there is room for. `false`: the client is gone.
    pub(super) fn send_pending(&mut self) -> bool {
        while let Some(message) = self.pending.front() {
            match self.end.send(message) {
                Ok(()) => drop(self.pending.pop_front()),
                Err(error) if error.errno == libc::EAGAIN => return true,
                Err(_) => {
                    self.pending.clear();
                    return false;
                }
            }
        }
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some((terminal, modes)) = &self.terminal {
            modes.restore(terminal);
        }
    }
}
