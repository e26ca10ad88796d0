//! Datagrams and pings of a container: each of its ports has a socket of the host, as a router would translate it.
//!
//! Only who was written to may answer. A port that is silent for a while loses its socket.

use super::turn::{TURN, Turn};
use super::wire::{Refusal, is_echo_reply, write_datagram, write_echo_reply};
use crate::network::host;
use crate::sys::inet;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long an exchange may be silent: what conntrack gives to one that has had an answer.
pub(super) const SILENCE: Duration = Duration::from_secs(120);

/// The most peers that one port of the container writes to before the earlier ones are forgotten.
const PEERS: usize = 4096;

/// What of a container has a socket of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    Port(SocketAddr),
    Ping { inside: IpAddr, identifier: u16 },
}

impl Origin {
    fn is_v4(self) -> bool {
        match self {
            Self::Port(inside) => inside.is_ipv4(),
            Self::Ping { inside, .. } => inside.is_ipv4(),
        }
    }
}

pub(super) struct Exchange {
    origin: Origin,
    socket: OwnedFd,
    peers: HashSet<SocketAddr>,
    pub used: Instant,
}

impl Exchange {
    pub(super) fn new(origin: Origin) -> Result<Self, Errno> {
        let any: IpAddr = if origin.is_v4() { [0; 4].into() } else { [0; 16].into() };
        let socket = match origin {
            Origin::Port(_) => host::socket(any, SocketType::DGRAM)?,
            Origin::Ping { .. } => host::ping_socket(any)?,
        };
        let _ = inet::keep_errors(&socket, origin.is_v4());
        Ok(Self { origin, socket, peers: HashSet::new(), used: Instant::now() })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends to `target`, where the host reaches it.
    pub(super) fn send(&mut self, bytes: &[u8], target: SocketAddr) -> Result<(), Errno> {
        self.used = Instant::now();
        if self.peers.len() >= PEERS {
            self.peers.clear();
        }
        self.peers.insert(target);
        let send = || rustix::net::sendto(&self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT, &target);
        match send() {
            // The kernel reports the error of an earlier datagram once, and has not sent this one.
            Err(Errno::CONNREFUSED | Errno::HOSTUNREACH) => send().map(drop),
            // The host has no room at this moment; datagrams may be lost.
            Err(Errno::AGAIN | Errno::NOBUFS) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Hands in what has come. `seen_as` says as whom the container sees a peer.
    pub(super) fn carry_in(&mut self, turn: &mut Turn, seen_as: impl Fn(SocketAddr) -> SocketAddr) {
        while let Ok((errno, target)) = inet::receive_error(&self.socket) {
            let refusal = Refusal::of(Errno::from_raw_os_error(errno));
            if let Some((refusal, Origin::Port(inside))) = refusal.map(|refusal| (refusal, self.origin)) {
                // The kernel inside knows by its header which datagram it was.
                write_datagram(&mut turn.buffer, inside, seen_as(target), &[]);
                let refused = turn.buffer.clone();
                turn.refuse(&refused, refusal);
            }
        }
        for _ in 0..TURN {
            let received = rustix::net::recvfrom(&self.socket, turn.space.as_mut_slice(), RecvFlags::DONTWAIT);
            let (length, peer) = match received {
                Ok((length, _, Some(peer))) => (length, SocketAddr::try_from(peer).ok()),
                Ok((_, _, None)) | Err(Errno::INTR | Errno::CONNREFUSED | Errno::HOSTUNREACH) => continue,
                Err(_) => return,
            };
            let Some(peer) = peer else { continue };
            let known = match self.origin {
                Origin::Port(_) => self.peers.contains(&peer),
                Origin::Ping { .. } => self.peers.iter().any(|known| known.ip() == peer.ip()),
            };
            let Some(bytes) = turn.space.get(..length).filter(|_| known) else { continue };
            self.used = Instant::now();
            let peer = seen_as(peer);
            match self.origin {
                Origin::Port(inside) => write_datagram(&mut turn.buffer, peer, inside, bytes),
                Origin::Ping { inside, identifier } if is_echo_reply(bytes, inside.is_ipv4()) => {
                    write_echo_reply(&mut turn.buffer, peer.ip(), inside, identifier, bytes);
                }
                Origin::Ping { .. } => continue,
            }
            turn.flush();
        }
    }
}
