//! The loop of a container's name server, a part of its monitor's: no thread, nothing that blocks.

use super::answer::{Known, answer};
use super::stream::Stream;
use crate::network::CONTAINER;
use crate::network::query::{self, Query, Servers};
use crate::network::shared::{self, Attached, Member};
use crate::network::table::Table;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// The longest datagram that is taken.
const DATAGRAM: usize = 4096;
/// Datagrams of one turn: the caller has other things to look after.
const TURN: usize = 64;
/// The most connections at once, and queries that others are asked.
const STREAMS: usize = 32;
const QUERIES: usize = 512;

/// Names that mean the host.
const HOST: [&str; 3] = ["host.docker.internal", "gateway.docker.internal", "host.containers.internal"];

/// The networks that a container is on, and the answers to its questions there.
pub(crate) struct NameServer {
    epoll: OwnedFd,
    networks: Networks,
    servers: Option<Servers>,
    queries: Table<(usize, SocketAddr, u16), Query>,
    streams: Table<u64, Stream>,
    /// The number of connections so far.
    connections: u64,
}

/// The networks by their slots.
#[derive(Default)]
struct Networks {
    attached: Vec<Attached>,
    /// How often names were answered: addresses take turns.
    turns: Cell<usize>,
}

/// What a descriptor of the epoll belongs to.
enum Token {
    Datagrams(usize),
    Listener(usize),
    Query(usize),
    Stream(usize),
}

impl Token {
    fn to_number(&self) -> u64 {
        let (kind, index) = match self {
            Self::Datagrams(slot) => (0, *slot),
            Self::Listener(slot) => (1, *slot),
            Self::Query(index) => (2, *index),
            Self::Stream(index) => (3, *index),
        };
        (index as u64) << 2 | kind
    }

    fn of_number(number: u64) -> Self {
        let index = (number >> 2) as usize;
        match number & 3 {
            0 => Self::Datagrams(index),
            1 => Self::Listener(index),
            2 => Self::Query(index),
            _ => Self::Stream(index),
        }
    }
}

impl NameServer {
    /// `asked`: the servers of `--dns`; else those of the way out are asked, by its device, if there is one.
    pub(crate) fn new(asked: &[IpAddr], device: Option<&str>) -> io::Result<Self> {
        let of_way_out = || device.map(|device| Servers::of_way_out(CONTAINER.dns.into(), device));
        let servers = if asked.is_empty() { of_way_out() } else { Some(Servers::of(asked)) };
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            networks: Networks::default(),
            servers,
            queries: Table::default(),
            streams: Table::default(),
            connections: 0,
        })
    }

    /// Returns a descriptor that is readable when [`Self::turn`] has work.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Returns when [`Self::turn`] has work at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.queries.values().map(|query| query.deadline).min()
    }

    /// Answers on a network, too.
    pub(crate) fn add(&mut self, attached: Attached) -> io::Result<()> {
        let slot = usize::from(attached.member.slot);
        let datagrams = EventData::new_u64(Token::Datagrams(slot).to_number());
        let listener = EventData::new_u64(Token::Listener(slot).to_number());
        epoll::add(&self.epoll, &attached.datagrams, datagrams, EventFlags::IN)?;
        epoll::add(&self.epoll, &attached.listener, listener, EventFlags::IN)?;
        self.networks.attached.push(attached);
        Ok(())
    }

    /// Takes the container off a network. `None`: it is not there.
    pub(crate) fn remove(&mut self, network: &str) -> Option<Attached> {
        let at = self.networks.attached.iter().position(|attached| attached.member.network == network)?;
        Some(self.networks.attached.remove(at))
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.networks.attached.iter().map(|attached| &attached.member)
    }

    /// Does what can be done without waiting.
    pub(crate) fn turn(&mut self) {
        let mut events = Vec::with_capacity(TURN);
        let now = Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 });
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), now);
        for event in events {
            match Token::of_number(event.data.u64()) {
                Token::Datagrams(slot) => self.take_datagrams(slot),
                Token::Listener(slot) => self.accept(slot),
                Token::Query(index) => self.hear_query(index),
                Token::Stream(index) => self.serve_stream(index),
            }
        }
        let now = Instant::now();
        for index in self.queries.places_of(|query| query.deadline <= now) {
            self.ask_next(index);
        }
    }

    fn take_datagrams(&mut self, slot: usize) {
        let mut buffer = [0; DATAGRAM];
        for _ in 0..TURN {
            let Some(attached) = self.networks.at(slot) else { return };
            let received = rustix::net::recvfrom(&attached.datagrams, buffer.as_mut_slice(), RecvFlags::DONTWAIT);
            let (length, asker) = match received {
                Ok((length, _, Some(asker))) => (length, SocketAddr::try_from(asker)),
                Ok(_) | Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            let (Some(text), Ok(asker)) = (buffer.get(..length), asker) else { continue };
            match answer(text, &self.networks, false) {
                Some(answer) => self.send(slot, asker, &answer),
                None => self.ask(slot, asker, text),
            }
        }
    }

    fn send(&self, slot: usize, asker: SocketAddr, answer: &[u8]) {
        if let Some(attached) = self.networks.at(slot) {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let _ = rustix::net::sendto(&attached.datagrams, answer, flags, &asker);
        }
    }

    /// Asks others.
    fn ask(&mut self, slot: usize, asker: SocketAddr, text: &[u8]) {
        let Some(identifier) = query::identifier(text) else { return };
        let key = (slot, asker, identifier);
        if let Some(index) = self.queries.find(&key) {
            if self.queries.get(index).is_some_and(|query| query.is(asker, text)) {
                return;
            }
            self.queries.remove(index);
        }
        let asked = self.servers.clone().filter(|_| self.queries.len() < QUERIES);
        match asked.and_then(|servers| Query::ask(asker, text, servers).ok()) {
            Some(query) => {
                let index = self.queries.add(key, query);
                self.watch_query(index);
            }
            None => query::failure(text).iter().for_each(|failure| self.send(slot, asker, failure)),
        }
    }

    fn watch_query(&mut self, index: usize) {
        let Some(query) = self.queries.get(index) else { return };
        let token = EventData::new_u64(Token::Query(index).to_number());
        let _ = epoll::add(&self.epoll, query.fd(), token, EventFlags::IN);
    }

    fn hear_query(&mut self, index: usize) {
        let mut buffer = [0; DATAGRAM];
        let Some(query) = self.queries.get(index) else { return };
        match query.answer(&mut buffer) {
            Some(Ok(answer)) => {
                if let Some(((slot, asker, _), _)) = self.queries.remove(index) {
                    self.send(slot, asker, answer);
                }
            }
            Some(Err(_)) => self.ask_next(index),
            None => {}
        }
    }

    fn ask_next(&mut self, index: usize) {
        let Some(query) = self.queries.get(index) else { return };
        if query.go_on().is_ok() {
            return self.watch_query(index);
        }
        if let Some(((slot, asker, _), query)) = self.queries.remove(index)
            && let Some(failure) = query::failure(query.text())
        {
            self.send(slot, asker, &failure);
        }
    }

    fn accept(&mut self, slot: usize) {
        while let Some(attached) = self.networks.at(slot) {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let Ok(client) = rustix::net::accept_with(&attached.listener, flags) else { return };
            if self.streams.len() >= STREAMS {
                continue;
            }
            self.connections += 1;
            let index = self.streams.add(self.connections, Stream::new(client));
            let token = Token::Stream(index).to_number();
            if self.streams.get(index).is_some_and(|stream| stream.watch(&self.epoll, token).is_err()) {
                self.streams.remove(index);
            }
        }
    }

    fn serve_stream(&mut self, index: usize) {
        let none = Servers::of(&[]);
        let servers = self.servers.as_ref().unwrap_or(&none);
        let networks = &self.networks;
        let Some(stream) = self.streams.get(index) else { return };
        let watched = (&self.epoll, Token::Stream(index).to_number());
        if !stream.turn(servers, watched, |query| answer(query, networks, true), query::failure) {
            self.streams.remove(index);
        }
    }
}

impl Networks {
    fn at(&self, slot: usize) -> Option<&Attached> {
        self.attached.iter().find(|attached| usize::from(attached.member.slot) == slot)
    }
}

impl Known for Networks {
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if HOST.contains(&name.as_str()) {
            return Some(vec![CONTAINER.gateway_v4.into()]);
        }
        let mut found = Vec::new();
        for Attached { member, .. } in &self.attached {
            let suffix = format!(".{}", member.network.to_ascii_lowercase());
            let mut leases = shared::by_name(&member.directory, &name);
            if let Some(short) = name.strip_suffix(&suffix).filter(|_| leases.is_empty()) {
                leases = shared::by_name(&member.directory, short);
            }
            leases.sort_by_key(|lease| lease.v4);
            found.extend(leases.iter().map(|lease| IpAddr::from(lease.v4)));
            found.extend(leases.iter().filter_map(|lease| lease.v6.map(IpAddr::from)));
        }
        if found.is_empty() {
            return None;
        }
        self.turns.set(self.turns.get().wrapping_add(1));
        let by = self.turns.get() % found.len();
        found.rotate_left(by);
        Some(found)
    }

    fn name(&self, address: IpAddr) -> Option<Option<String>> {
        let Attached { member, .. } = self.attached.iter().find(|attached| attached.member.has(address))?;
        let lease = shared::by_address(&member.directory, address);
        Some(lease.map(|lease| format!("{}.{}", lease.name, member.network)))
    }
}
