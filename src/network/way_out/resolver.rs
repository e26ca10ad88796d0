//! The name server that a container sees: its queries go on to the host's, one after the other until one answers.

use super::host;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

pub(super) const PORT: u16 = 53;

/// How long one server may take, and how often one is asked in all: less than the five seconds after which the asker gives up.
const PATIENCE: Duration = Duration::from_millis(1500);
const ATTEMPTS: usize = 3;

/// Returns the host's name servers, as /etc/resolv.conf names them at this moment; without any, this machine (resolv.conf(5)).
pub(super) fn servers() -> Vec<SocketAddr> {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver"));
    let named: Vec<_> = lines.filter_map(|rest| rest.trim().parse::<IpAddr>().ok()).collect();
    let all = if named.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { named };
    all.into_iter().map(|address| SocketAddr::new(address, PORT)).collect()
}

/// A query that waits for its answer.
pub(super) struct Query {
    pub asker: SocketAddr,
    text: Vec<u8>,
    servers: Vec<SocketAddr>,
    asked: usize,
    socket: OwnedFd,
    pub deadline: Instant,
}

impl Query {
    pub(super) fn ask(asker: SocketAddr, text: &[u8]) -> Result<Self, Errno> {
        let servers = servers();
        let mut asked = 0;
        let socket = ask_next(&servers, &mut asked, text)?;
        Ok(Self { asker, text: text.to_vec(), servers, asked, socket, deadline: Instant::now() + PATIENCE })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Returns whether it asks the same as a query at hand.
    pub(super) fn is(&self, asker: SocketAddr, text: &[u8]) -> bool {
        self.asker == asker && self.text == text
    }

    /// Reads the answer. `None`: none has come that belongs to the question.
    pub(super) fn answer<'a>(&self, space: &'a mut [u8]) -> Option<Result<&'a [u8], Errno>> {
        match rustix::net::recv(&self.socket, &mut *space, RecvFlags::DONTWAIT) {
            Ok((length, _)) => {
                let answer = space.get(..length)?;
                (answer.get(..2) == self.text.get(..2)).then_some(Ok(answer))
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Asks the next server.
    pub(super) fn go_on(&mut self) -> Result<(), Errno> {
        self.socket = ask_next(&self.servers, &mut self.asked, &self.text)?;
        self.deadline = Instant::now() + PATIENCE;
        Ok(())
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Returns the number of a query.
pub(super) fn identifier(text: &[u8]) -> Option<u16> {
    text.get(..2)?.try_into().ok().map(u16::from_be_bytes)
}

/// Returns the answer that there is none (SERVFAIL, RFC 1035 section 4.1.1), so that the asker need not wait.
pub(super) fn failure(query: &[u8]) -> Option<Vec<u8>> {
    let mut answer = query.to_vec();
    *answer.get_mut(2)? |= 0x80;
    *answer.get_mut(3)? = 0x82;
    Some(answer)
}

fn ask_next(servers: &[SocketAddr], asked: &mut usize, text: &[u8]) -> Result<OwnedFd, Errno> {
    let mut refused = Errno::TIMEDOUT;
    while *asked < ATTEMPTS.max(servers.len()) {
        let Some(server) = servers.get(*asked % servers.len().max(1)) else { break };
        *asked += 1;
        let sent = host::socket(server.ip(), SocketType::DGRAM).and_then(|socket| {
            rustix::net::connect(&socket, server)?;
            rustix::net::send(&socket, text, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
            Ok(socket)
        });
        match sent {
            Ok(socket) => return Ok(socket),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}
