//! UDP: each client of each port has a flow, a socket inside that is connected to the service, until it falls silent.

use super::slots::Slots;
use super::subject::Subject;
use crate::network::ContainerNetwork;
use crate::network::ports::Listener;
use crate::sys::inet;
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType, sockopt};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Flows {
    flows: Slots<Flow>,
    known: HashMap<Key, usize>,
    buffer: Vec<u8>,
    /// Set while there are flows.
    timer: Option<OwnedFd>,
}

/// A client and the address and port it talks to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    listener: usize,
    client: SocketAddr,
    local: Option<IpAddr>,
}

struct Flow {
    key: Key,
    inside: OwnedFd,
    is_v4: bool,
    /// A service may listen on the other family only.
    other_family_untried: bool,
    used: Instant,
}

/// The longest datagram there is.
const LONGEST: usize = 65536;
/// Datagrams of one socket in one round.
const SHARE: usize = 64;
const MOST: usize = 1024;
const SILENCE: Duration = Duration::from_secs(90);
const LOOK: i64 = 15;

impl Flows {
    /// Forwards datagrams from a listener into the container.
    pub(super) fn take(&mut self, epoll: &OwnedFd, listeners: &[Listener], index: usize, network: &ContainerNetwork) {
        self.buffer.resize(LONGEST, 0);
        let listener = &listeners[index];
        for _ in 0..SHARE {
            let (length, client, local) = match inet::receive_datagram(listener, &mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An error of an earlier answer, told once.
                Err(_) => continue,
            };
            let key = Key { listener: index, client, local };
            let port = listener.spec().container_port;
            let slot = match self.known.get(&key) {
                Some(slot) => *slot,
                None => match self.open(epoll, key, port, network) {
                    Ok(slot) => slot,
                    Err(_) => continue,
                },
            };
            let Some(flow) = self.flows.get(slot) else { continue };
            flow.used = Instant::now();
            let send = |flow: &Flow| rustix::net::send(&flow.inside, &self.buffer[..length], SendFlags::NOSIGNAL);
            let _ = send(flow);
            // Within one namespace a refusal comes at once.
            if flow.other_family_untried
                && let Ok(Err(Errno::CONNREFUSED)) = sockopt::socket_error(&flow.inside)
            {
                flow.try_other_family(epoll, slot, port, network);
                let _ = send(flow);
            }
        }
    }

    /// Forwards datagrams of a flow from the container to its client.
    pub(super) fn give_back(&mut self, listeners: &[Listener], slot: usize) {
        self.buffer.resize(LONGEST, 0);
        let Some(flow) = self.flows.get(slot) else { return };
        let listener = &listeners[flow.key.listener];
        for _ in 0..SHARE {
            match rustix::net::recv(&flow.inside, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((_, length)) => {
                    (flow.used, flow.other_family_untried) = (Instant::now(), false);
                    let _ = inet::send_datagram(listener, &self.buffer[..length], flow.key.client, flow.key.local);
                }
                // Told once; there may be datagrams behind it.
                Err(Errno::CONNREFUSED | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn open(&mut self, epoll: &OwnedFd, key: Key, port: u16, network: &ContainerNetwork) -> io::Result<usize> {
        if self.flows.count >= MOST {
            let oldest = self.flows.places.iter().flatten().min_by_key(|flow| flow.used).map(|flow| flow.key);
            if let Some(slot) = oldest.and_then(|key| self.known.remove(&key)) {
                self.flows.remove(slot);
            }
        }
        if self.timer.is_none() {
            let timer = rustix::time::timerfd_create(
                TimerfdClockId::Monotonic,
                TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
            )?;
            let every = Timespec { tv_sec: LOOK, tv_nsec: 0 };
            let times = Itimerspec { it_interval: every, it_value: every };
            rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
            epoll::add(epoll, &timer, Subject::FlowTimer.data(), EventFlags::IN)?;
            self.timer = Some(timer);
        }
        let connect = |is_v4| network.connect(SocketType::DGRAM, key.client.ip(), is_v4, port).map(|s| (s, is_v4));
        let first = connect(key.client.is_ipv4());
        let other_family_untried = first.is_ok();
        let (inside, is_v4) = first.or_else(|_| connect(!key.client.is_ipv4()))?;
        let slot = self.flows.put(Flow { key, inside, is_v4, other_family_untried, used: Instant::now() });
        self.known.insert(key, slot);
        if let Some(flow) = self.flows.get(slot) {
            epoll::add(epoll, &flow.inside, Subject::Flow(slot).data(), EventFlags::IN)?;
        }
        Ok(slot)
    }

    /// Removes the flows that have been silent for too long.
    pub(super) fn expire(&mut self) {
        if let Some(timer) = &self.timer {
            let _ = rustix::io::read(timer, &mut [0u8; 8]);
        }
        let now = Instant::now();
        let flows = &mut self.flows;
        self.known.retain(|_, slot| {
            let is_silent = flows.get(*slot).is_none_or(|flow| now - flow.used > SILENCE);
            if is_silent {
                flows.remove(*slot);
            }
            !is_silent
        });
    }

    /// Ends a round.
    pub(super) fn settle(&mut self) {
        self.flows.settle();
        if self.timer.is_some() && self.flows.count == 0 {
            *self = Self::default();
        }
    }
}

impl Flow {
    fn try_other_family(&mut self, epoll: &OwnedFd, slot: usize, port: u16, network: &ContainerNetwork) {
        if !std::mem::take(&mut self.other_family_untried) {
            return;
        }
        if let Ok(inside) = network.connect(SocketType::DGRAM, self.key.client.ip(), !self.is_v4, port) {
            let _ = epoll::add(epoll, &inside, Subject::Flow(slot).data(), EventFlags::IN);
            (self.inside, self.is_v4) = (inside, !self.is_v4);
        }
    }
}
