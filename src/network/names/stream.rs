//! Name queries in a TCP connection, each with its length before it (RFC 1035 section 4.2.2). Those for others go on in a
//! connection to them; answers come as they are there.

use crate::network::query::Servers;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::os::fd::OwnedFd;

/// The most that waits in one direction before no more is read: some queries, or one answer of the longest kind.
const MOST: usize = 2 * 65537;

pub(super) struct Stream {
    client: Side,
    server: Option<Side>,
}

/// One connection: what has come and is not a whole message so far, and what waits to be sent.
struct Side {
    socket: OwnedFd,
    come: Vec<u8>,
    waiting: Vec<u8>,
    has_ended: bool,
}

impl Side {
    fn new(socket: OwnedFd) -> Self {
        Self { socket, come: Vec::new(), waiting: Vec::new(), has_ended: false }
    }

    fn watch(&self, epoll: &OwnedFd, token: u64) -> Result<(), Errno> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(epoll, &self.socket, EventData::new_u64(token), flags)
    }

    /// Reads what there is.
    fn read(&mut self) -> Result<(), Errno> {
        let mut buffer = [0; 4096];
        while !self.has_ended && self.come.len() < MOST {
            match rustix::net::recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.has_ended = true,
                Ok((length, _)) => self.come.extend(buffer.iter().take(length)),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes a whole message.
    fn take(&mut self) -> Option<Vec<u8>> {
        let length: [u8; 2] = self.come.get(..2)?.try_into().ok()?;
        let end = 2 + usize::from(u16::from_be_bytes(length));
        let message = self.come.get(2..end)?.to_vec();
        self.come.drain(..end);
        Some(message)
    }

    fn put(&mut self, message: &[u8]) {
        self.waiting.extend(u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.waiting.extend(message);
    }

    fn write(&mut self) -> Result<(), Errno> {
        while !self.waiting.is_empty() {
            match rustix::net::send(&self.socket, &self.waiting, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(length) => drop(self.waiting.drain(..length)),
                // It is still connecting, or has no room.
                Err(Errno::AGAIN | Errno::NOTCONN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Stream {
    pub(super) fn new(client: OwnedFd) -> Self {
        Self { client: Side::new(client), server: None }
    }

    pub(super) fn watch(&self, epoll: &OwnedFd, token: u64) -> Result<(), Errno> {
        self.client.watch(epoll, token)
    }

    /// Does what can be done without waiting. `answer` knows some; `failure` says that nobody does. `false`: it is over.
    pub(super) fn turn(
        &mut self,
        servers: &Servers,
        (epoll, token): (&OwnedFd, u64),
        answer: impl Fn(&[u8]) -> Option<Vec<u8>>,
        failure: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> bool {
        if self.client.read().is_err() {
            return false;
        }
        while let Some(query) = self.client.take() {
            if let Some(answer) = answer(&query) {
                self.client.put(&answer);
                continue;
            }
            if self.server.is_none() {
                let connected = servers.connect().map(Side::new);
                self.server = connected.ok().filter(|side| side.watch(epoll, token).is_ok());
            }
            match &mut self.server {
                Some(server) => server.put(&query),
                None => failure(&query).iter().for_each(|failure| self.client.put(failure)),
            }
        }
        if let Some(server) = &mut self.server {
            if server.write().and_then(|()| server.read()).is_err() {
                return false;
            }
            while let Some(message) = server.take() {
                self.client.put(&message);
            }
            if server.has_ended {
                self.server = None;
            }
        }
        let is_written = self.client.write().is_ok();
        let is_done = self.client.has_ended && self.client.waiting.is_empty() && self.server.is_none();
        is_written && !is_done && self.client.waiting.len() < MOST
    }
}
