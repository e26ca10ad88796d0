//! The loop over all published ports and connections of a container.

use super::datagram::Flows;
use super::slots::Slots;
use super::stream::{self, Carrier, Stream};
use super::subject::Subject;
use crate::network::ports::{Listener, Protocol};
use crate::network::shared::Member;
use crate::network::{CONTAINER, ContainerNetwork};
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Forwards connections and datagrams of listeners into a container.
pub(crate) struct Proxy {
    epoll: OwnedFd,
    listeners: Vec<Listener>,
    network: ContainerNetwork,
    streams: Slots<Stream>,
    carrier: Carrier,
    flows: Flows,
    /// The most connections, by the limit of descriptors.
    most: usize,
    /// At the limit: further connections wait in the listeners' queues.
    is_full: bool,
    events: Vec<epoll::Event>,
}

/// Rounds of one turn, and events of one round: the caller has other things to look after.
const ROUNDS: usize = 8;
const EVENTS: usize = 64;
/// Connections taken from one listener in one round.
const ACCEPTED: usize = 16;
/// Connections at once, whatever the limit of descriptors.
const MOST: usize = 16 * 1024;
/// Descriptors left to the rest of the process.
const RESERVED: usize = 64;

impl Proxy {
    /// Forwards into the network namespace that this process is in, to the container's address on the first of its networks.
    pub(crate) fn new(listeners: Vec<Listener>, members: &[Member]) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (index, listener) in listeners.iter().enumerate() {
            epoll::add(&epoll, listener, Subject::Listener(index).data(), EventFlags::IN)?;
        }
        let mut proxy = Self {
            epoll,
            listeners,
            network: CONTAINER,
            streams: Slots::default(),
            carrier: Carrier::default(),
            flows: Flows::default(),
            most: most(),
            is_full: false,
            events: Vec::new(),
        };
        proxy.meet(members);
        Ok(proxy)
    }

    /// Forwards to the container's address on the first of these networks.
    pub(crate) fn meet(&mut self, members: &[Member]) {
        self.network = CONTAINER.on(members.first());
        let datagrams = self.listeners.iter().filter(|listener| listener.spec().protocol == Protocol::Udp);
        datagrams.for_each(|listener| self.network.bring_back_datagrams(listener.spec().container_port, members));
    }

    /// Returns a descriptor that is readable when [`Self::turn`] has work.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Does what can be done without waiting.
    pub(crate) fn turn(&mut self) {
        for _ in 0..ROUNDS {
            let mut events = std::mem::take(&mut self.events);
            events.reserve(EVENTS);
            let now = Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 });
            let found = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), now);
            for event in events.drain(..) {
                self.handle(Subject::of(event.data), event.flags);
            }
            self.events = events;
            self.streams.settle();
            self.flows.settle();
            if self.is_full && self.streams.count < self.most {
                self.pause(false);
            }
            if found.is_err() || found == Ok(0) {
                break;
            }
        }
        if self.streams.count == 0 {
            self.carrier.rest();
            self.streams.rest();
        }
    }

    fn handle(&mut self, subject: Subject, flags: EventFlags) {
        match subject {
            Subject::Listener(index) if self.listeners[index].spec().protocol == Protocol::Udp => {
                self.flows.take(&self.epoll, &self.listeners, index, &self.network);
            }
            Subject::Listener(index) => self.accept(index),
            Subject::Client(index) => self.carry(index, stream::CLIENT, flags),
            Subject::Inside(index) => self.carry(index, stream::INSIDE, flags),
            Subject::Flow(index) => self.flows.give_back(&self.listeners, index),
            Subject::FlowTimer => self.flows.expire(),
        }
    }

    fn accept(&mut self, index: usize) {
        let port = self.listeners[index].spec().container_port;
        for _ in 0..ACCEPTED {
            if self.streams.count >= self.most {
                return self.pause(true);
            }
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let (socket, client) = match rustix::net::acceptfrom_with(&self.listeners[index], flags) {
                Ok((socket, client)) => (socket, client.and_then(|client| SocketAddr::try_from(client).ok())),
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) if self.streams.count > 0 => {
                    return self.pause(true);
                }
                Err(_) => return,
            };
            let Some(client) = client else { continue };
            match Stream::open(socket, client, port, &self.network) {
                Ok(stream) => {
                    let slot = self.streams.put(stream);
                    let registered = self.streams.get(slot).map(|stream| stream.register(&self.epoll, slot));
                    if !matches!(registered, Some(Ok(()))) {
                        self.streams.remove(slot);
                    }
                }
                // Nothing inside can be reached: the client was told by the reset.
                Err(_) => continue,
            }
        }
    }

    fn carry(&mut self, slot: usize, side: usize, flags: EventFlags) {
        let Some(stream) = self.streams.get(slot) else { return };
        if stream.carry(side, flags, &mut self.carrier, &self.epoll, slot, &self.network).is_break() {
            self.streams.remove(slot);
        }
    }

    /// Stops or goes on listening for connections.
    fn pause(&mut self, pause: bool) {
        self.is_full = pause;
        let flags = if pause { EventFlags::empty() } else { EventFlags::IN };
        for (index, listener) in self.listeners.iter().enumerate() {
            if listener.spec().protocol == Protocol::Tcp {
                let _ = epoll::modify(&self.epoll, listener, Subject::Listener(index).data(), flags);
            }
        }
    }
}

/// Connections that this process has descriptors for: two sockets each, and pipes for those of them that move much.
fn most() -> usize {
    (crate::sys::process::raise_descriptor_limit().saturating_sub(RESERVED) / 3).clamp(16, MOST)
}
