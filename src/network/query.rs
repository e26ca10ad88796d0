//! A name query on its way to name servers, which are asked one after the other until one answers.

use super::host;
use nix::sys::socket::sockopt::BindToDevice;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

pub(in crate::network) const PORT: u16 = 53;

/// How long one server may take, and how often one is asked in all: less than the five seconds after which the asker gives up.
const PATIENCE: Duration = Duration::from_millis(1500);
const ATTEMPTS: usize = 3;

/// Servers to ask.
#[derive(Debug, Clone)]
pub(in crate::network) struct Servers {
    addresses: Vec<SocketAddr>,
    /// How long one may take.
    patience: Duration,
    /// How often one is asked in all.
    attempts: usize,
    /// The device through which they are reached, whatever other routes there are.
    device: Option<String>,
}

impl Servers {
    /// The host's, as /etc/resolv.conf names them at this moment; without any, this machine (resolv.conf(5)).
    pub(in crate::network) fn of_host() -> Self {
        let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver"));
        let named: Vec<_> = lines.filter_map(|rest| rest.trim().parse::<IpAddr>().ok()).collect();
        Self::of(if named.is_empty() { &[IpAddr::V4(Ipv4Addr::LOCALHOST)] } else { &named })
    }

    /// These, each for a while.
    pub(in crate::network) fn of(addresses: &[IpAddr]) -> Self {
        let addresses: Vec<_> = addresses.iter().map(|address| SocketAddr::new(*address, PORT)).collect();
        let attempts = ATTEMPTS.max(addresses.len());
        Self { addresses, patience: PATIENCE, attempts, device: None }
    }

    /// The one of the way out, which asks on, and says itself that nobody has answered.
    pub(in crate::network) fn of_way_out(address: IpAddr, device: &str) -> Self {
        let addresses = vec![SocketAddr::new(address, PORT)];
        Self { addresses, patience: PATIENCE * 4, attempts: 1, device: Some(device.to_owned()) }
    }

    pub(in crate::network) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Begins to connect to the first server.
    pub(in crate::network) fn connect(&self) -> Result<OwnedFd, Errno> {
        let server = self.addresses.first().ok_or(Errno::HOSTUNREACH)?;
        let socket = self.socket(server, SocketType::STREAM)?;
        match rustix::net::connect(&socket, server) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error),
        }
    }

    fn socket(&self, server: &SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
        let socket = host::socket(server.ip(), kind)?;
        if let Some(device) = &self.device {
            let bound = nix::sys::socket::setsockopt(&socket, BindToDevice, &device.into());
            bound.map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
        }
        Ok(socket)
    }
}

/// A query that waits for its answer.
pub(in crate::network) struct Query {
    pub asker: SocketAddr,
    text: Vec<u8>,
    servers: Servers,
    asked: usize,
    socket: OwnedFd,
    pub deadline: Instant,
}

impl Query {
    pub(in crate::network) fn ask(asker: SocketAddr, text: &[u8], servers: Servers) -> Result<Self, Errno> {
        let mut asked = 0;
        let socket = ask_next(&servers, &mut asked, text)?;
        let deadline = Instant::now() + servers.patience;
        Ok(Self { asker, text: text.to_vec(), servers, asked, socket, deadline })
    }

    pub(in crate::network) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Returns whether it asks the same as a query at hand.
    pub(in crate::network) fn is(&self, asker: SocketAddr, text: &[u8]) -> bool {
        self.asker == asker && self.text == text
    }

    /// Reads the answer. `None`: none has come that belongs to the question.
    pub(in crate::network) fn answer<'a>(&self, space: &'a mut [u8]) -> Option<Result<&'a [u8], Errno>> {
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
    pub(in crate::network) fn go_on(&mut self) -> Result<(), Errno> {
        self.socket = ask_next(&self.servers, &mut self.asked, &self.text)?;
        self.deadline = Instant::now() + self.servers.patience;
        Ok(())
    }

    pub(in crate::network) fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Returns the number of a query.
pub(in crate::network) fn identifier(text: &[u8]) -> Option<u16> {
    text.get(..2)?.try_into().ok().map(u16::from_be_bytes)
}

/// Returns the answer that there is none (SERVFAIL, RFC 1035 section 4.1.1), so that the asker need not wait.
pub(in crate::network) fn failure(query: &[u8]) -> Option<Vec<u8>> {
    let mut answer = query.to_vec();
    *answer.get_mut(2)? |= 0x80;
    *answer.get_mut(3)? = 0x82;
    Some(answer)
}

fn ask_next(servers: &Servers, asked: &mut usize, text: &[u8]) -> Result<OwnedFd, Errno> {
    let mut refused = Errno::TIMEDOUT;
    while *asked < servers.attempts {
        let Some(server) = servers.addresses.get(*asked % servers.addresses.len().max(1)) else { break };
        *asked += 1;
        let sent = servers.socket(server, SocketType::DGRAM).and_then(|socket| {
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
