//! The loop that carries packets: connections, datagrams, pings and name queries, each to its destination, and the timers.

use super::datagram::{Exchange, Origin, SILENCE};
use super::stream::{self, After, Stream};
use super::turn::{PACKET, TURN, Turn};
use super::wire::{self, Packet, Pair, Refusal};
use crate::network::ContainerNetwork;
use crate::network::host;
use crate::network::query::{self, Query, Servers};
use crate::network::table::Table;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::SocketType;
use smoltcp::time::Instant as StackTime;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How often silent exchanges are looked for.
const SWEEP: Duration = Duration::from_secs(20);

/// Where a packet of the container leads.
enum Target {
    Outside,
    /// The host's own loopback, under the address of the gateway.
    Host,
    Names,
    Nowhere,
}

/// Carries the packets of a container until its device or `monitor` is closed.
pub(crate) fn run(
    device: &OwnedFd,
    monitor: &OwnedFd,
    network: ContainerNetwork,
    host_loopback: bool,
) -> io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (fd, token) in [(device, Token::Device), (monitor, Token::Monitor)] {
        epoll::add(&epoll, fd, EventData::new_u64(token.to_number()), EventFlags::IN)?;
    }
    let space = vec![0; PACKET];
    let turn = Turn { device: Some(device.as_fd()), buffer: Vec::with_capacity(PACKET), space };
    let mut router = Router {
        network,
        host_loopback,
        epoll: &epoll,
        turn,
        begun: Instant::now(),
        swept: Instant::now(),
        streams: Table::default(),
        exchanges: Table::default(),
        queries: Table::default(),
        due: BTreeSet::new(),
        times: HashMap::new(),
        touched: Vec::new(),
    };
    let mut packet = vec![0; PACKET];
    let mut events = Vec::with_capacity(TURN);
    loop {
        events.clear();
        let timeout = router.timeout();
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match Token::of_number(event.data.u64()) {
                Token::Device => router.read_packets(device, &mut packet)?,
                Token::Monitor => return Ok(()),
                Token::Stream(index) => router.hear_stream(index, event.flags),
                Token::Exchange(index) => router.hear_exchange(index),
                Token::Query(index) => router.hear_query(index),
            }
        }
        router.finish_turn();
    }
}

/// What a descriptor of the epoll belongs to.
enum Token {
    Device,
    Monitor,
    Stream(usize),
    Exchange(usize),
    Query(usize),
}

impl Token {
    fn to_number(&self) -> u64 {
        let (kind, index) = match self {
            Self::Device => (0, 0),
            Self::Monitor => (1, 0),
            Self::Stream(index) => (2, *index),
            Self::Exchange(index) => (3, *index),
            Self::Query(index) => (4, *index),
        };
        (index as u64) << 3 | kind
    }

    fn of_number(number: u64) -> Self {
        let index = (number >> 3) as usize;
        match number & 7 {
            0 => Self::Device,
            1 => Self::Monitor,
            2 => Self::Stream(index),
            3 => Self::Exchange(index),
            _ => Self::Query(index),
        }
    }
}

struct Router<'a> {
    network: ContainerNetwork,
    host_loopback: bool,
    epoll: &'a OwnedFd,
    turn: Turn<'a>,
    begun: Instant,
    /// When silent exchanges were last looked for.
    swept: Instant,
    streams: Table<Pair, Stream>,
    exchanges: Table<Origin, Exchange>,
    queries: Table<(SocketAddr, u16), Query>,
    /// The streams that want to be driven at a time, and the time of each.
    due: BTreeSet<(StackTime, usize)>,
    times: HashMap<usize, StackTime>,
    /// The streams for which something has come in this turn.
    touched: Vec<usize>,
}

impl Router<'_> {
    fn now(&self) -> StackTime {
        StackTime::from_micros(i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// Returns how long nothing is to be done.
    fn timeout(&self) -> Option<rustix::event::Timespec> {
        let now = Instant::now();
        let stream = self.due.first().map(|(at, _)| {
            let micros = at.total_micros().saturating_sub(self.now().total_micros());
            Duration::from_micros(u64::try_from(micros).unwrap_or(0))
        });
        let query = self.queries.values().map(|query| query.deadline).min();
        let query = query.map(|deadline| deadline.saturating_duration_since(now));
        let exchange = (!self.exchanges.is_empty()).then_some(SWEEP);
        let least = [stream, query, exchange].into_iter().flatten().min()?;
        Some(rustix::event::Timespec {
            tv_sec: i64::try_from(least.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(least.subsec_nanos()),
        })
    }

    fn read_packets(&mut self, device: &OwnedFd, packet: &mut [u8]) -> io::Result<()> {
        for _ in 0..TURN {
            match rustix::io::read(device, &mut *packet) {
                Ok(length) => {
                    if let Some(packet) = packet.get(..length) {
                        self.route(packet);
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn route(&mut self, bytes: &[u8]) {
        let Some(packet) = Packet::parse(bytes) else { return };
        let target = self.target(packet.outside());
        match packet {
            Packet::Segment { pair, is_first } => self.route_segment(pair, is_first, &target, bytes),
            Packet::Datagram { pair, payload, is_whole } => {
                if matches!(target, Target::Names) && pair.outside.port() == query::PORT {
                    self.ask(pair.inside, payload);
                    return;
                }
                let Some(outside) = self.reached(&target, pair.outside) else {
                    return self.turn.refuse(bytes, Refusal::Port);
                };
                let origin = Origin::Port(pair.inside);
                let longest = if is_whole { self.longest(outside, bytes.len()) } else { None };
                let refused = match longest {
                    Some(mtu) => Some(Refusal::TooBig(mtu)),
                    None => self.send(origin, payload, outside).err().and_then(Refusal::of),
                };
                if let Some(refusal) = refused {
                    self.turn.refuse(bytes, refusal);
                }
            }
            Packet::Echo { inside, outside, identifier, message } => match target {
                _ if self.is_ours(outside) => {
                    wire::write_echo_reply(&mut self.turn.buffer, outside, inside, identifier, message);
                    self.turn.flush();
                }
                Target::Outside => {
                    let origin = Origin::Ping { inside, identifier };
                    if let Err(error) = self.send(origin, message, SocketAddr::new(outside, 0))
                        && let Some(refusal) = Refusal::of(error)
                    {
                        self.turn.refuse(bytes, refusal);
                    }
                }
                _ => self.turn.refuse(bytes, Refusal::Host),
            },
        }
    }

    fn is_ours(&self, address: IpAddr) -> bool {
        let network = &self.network;
        address == network.gateway_v4 || address == network.gateway_v6 || address == network.dns
    }

    /// Returns where an address of a packet leads. What would be this machine itself on a socket of the host leads nowhere.
    fn target(&self, address: IpAddr) -> Target {
        let network = &self.network;
        if address == network.dns {
            return Target::Names;
        }
        if address == network.gateway_v4 || address == network.gateway_v6 {
            return if self.host_loopback { Target::Host } else { Target::Nowhere };
        }
        let leads_out = match address {
            IpAddr::V4(v4) => {
                let is_inside = v4.octets().get(..3) == network.v4.octets().get(..3);
                !(v4.is_unspecified() || v4.is_loopback() || v4.is_multicast() || v4.is_broadcast() || is_inside)
            }
            IpAddr::V6(v6) => {
                let is_inside = v6.segments().get(..4) == network.v6.segments().get(..4);
                let is_v4 = v6.to_ipv4().is_some();
                !(v6.is_unspecified()
                    || v6.is_loopback()
                    || v6.is_multicast()
                    || v6.is_unicast_link_local()
                    || is_v4
                    || is_inside)
            }
        };
        if leads_out { Target::Outside } else { Target::Nowhere }
    }

    /// Returns the address of the host's network that is meant.
    fn reached(&self, target: &Target, outside: SocketAddr) -> Option<SocketAddr> {
        match target {
            Target::Outside => Some(outside),
            Target::Host => {
                let loopback: IpAddr =
                    if outside.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
                Some(SocketAddr::new(loopback, outside.port()))
            }
            Target::Names | Target::Nowhere => None,
        }
    }

    fn route_segment(&mut self, pair: Pair, is_first: bool, target: &Target, bytes: &[u8]) {
        let now = self.now();
        if let Some(index) = self.streams.find(&pair) {
            if let Some(stream) = self.streams.get(index) {
                stream.take(bytes, now, &mut self.turn);
                self.touched.push(index);
            }
            return;
        }
        if !is_first || self.streams.is_full() {
            // Where the table is full, the container's kernel tries again.
            if !is_first {
                stream::reset(pair, bytes, now, &mut self.turn);
            }
            return;
        }
        let targets: VecDeque<SocketAddr> = match target {
            Target::Names if pair.outside.port() == query::PORT => Servers::of_host().addresses().to_vec().into(),
            other => self.reached(other, pair.outside).into_iter().collect(),
        };
        if targets.is_empty() {
            return stream::reset(pair, bytes, now, &mut self.turn);
        }
        match Stream::connect(pair, targets, bytes) {
            Ok(stream) => {
                let index = self.streams.add(pair, stream);
                self.watch_stream(index);
            }
            Err(error) => self.refuse_stream(pair, bytes, error),
        }
    }

    fn watch_stream(&mut self, index: usize) {
        let Some(stream) = self.streams.get(index) else { return };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let token = EventData::new_u64(Token::Stream(index).to_number());
        let _ = epoll::add(self.epoll, stream.host(), token, flags);
    }

    /// Refuses a connection as the host's network did.
    fn refuse_stream(&mut self, pair: Pair, first: &[u8], error: Errno) {
        let now = self.now();
        match Refusal::of(error) {
            Some(Refusal::Port) => stream::reset(pair, first, now, &mut self.turn),
            Some(refusal) => self.turn.refuse(first, refusal),
            // It timed out, as it does inside; or the host had no descriptor for it, and the container's kernel tries again.
            None => {}
        }
    }

    fn hear_stream(&mut self, index: usize, events: EventFlags) {
        let now = self.now();
        let Some(stream) = self.streams.get(index) else { return };
        match stream.hear(events, now, &mut self.turn) {
            Ok(false) => self.touched.push(index),
            Ok(true) => self.watch_stream(index),
            Err(error) => {
                if let Some((pair, stream)) = self.streams.remove(index)
                    && let Some(first) = stream.unanswered()
                {
                    self.refuse_stream(pair, &first, error);
                }
            }
        }
    }

    fn send(&mut self, origin: Origin, bytes: &[u8], target: SocketAddr) -> Result<(), Errno> {
        let index = match self.exchanges.find(&origin) {
            Some(index) => index,
            None => {
                if self.exchanges.is_full() {
                    return Ok(());
                }
                let exchange = Exchange::new(origin)?;
                let index = self.exchanges.add(origin, exchange);
                if let Some(exchange) = self.exchanges.get(index) {
                    let token = EventData::new_u64(Token::Exchange(index).to_number());
                    epoll::add(self.epoll, exchange.fd(), token, EventFlags::IN)?;
                }
                index
            }
        };
        self.exchanges.get(index).map_or(Ok(()), |exchange| exchange.send(bytes, target))
    }

    /// Returns the longest packet that fits on the way, if this one does not.
    fn longest(&self, target: SocketAddr, length: usize) -> Option<u16> {
        const ETHERNET: usize = 1500;
        if length <= ETHERNET {
            return None;
        }
        let socket = host::socket(target.ip(), SocketType::DGRAM).ok()?;
        rustix::net::connect(&socket, &target).ok()?;
        let mtu = crate::sys::inet::mtu(&socket, target.is_ipv4()).ok()?;
        (length > usize::from(mtu)).then_some(mtu)
    }

    fn hear_exchange(&mut self, index: usize) {
        let (gateway_v4, gateway_v6) = (self.network.gateway_v4, self.network.gateway_v6);
        let Some(exchange) = self.exchanges.get(index) else { return };
        exchange.carry_in(&mut self.turn, |peer| match peer.ip() {
            IpAddr::V4(v4) if v4.is_loopback() => SocketAddr::new(gateway_v4.into(), peer.port()),
            IpAddr::V6(v6) if v6.is_loopback() => SocketAddr::new(gateway_v6.into(), peer.port()),
            _ => peer,
        });
    }

    fn ask(&mut self, asker: SocketAddr, text: &[u8]) {
        let Some(identifier) = query::identifier(text) else { return };
        let key = (asker, identifier);
        if let Some(index) = self.queries.find(&key) {
            if self.queries.get(index).is_some_and(|query| query.is(asker, text)) {
                return;
            }
            self.queries.remove(index);
        }
        if self.queries.is_full() {
            return;
        }
        match Query::ask(asker, text, Servers::of_host()) {
            Ok(query) => {
                let index = self.queries.add(key, query);
                self.watch_query(index);
            }
            Err(_) => {
                if let Some(answer) = query::failure(text) {
                    self.answer(asker, &answer);
                }
            }
        }
    }

    fn watch_query(&mut self, index: usize) {
        let Some(query) = self.queries.get(index) else { return };
        let token = EventData::new_u64(Token::Query(index).to_number());
        let _ = epoll::add(self.epoll, query.fd(), token, EventFlags::IN);
    }

    fn answer(&mut self, asker: SocketAddr, answer: &[u8]) {
        let server = SocketAddr::new(self.network.dns.into(), query::PORT);
        wire::write_datagram(&mut self.turn.buffer, server, asker, answer);
        self.turn.flush();
    }

    fn hear_query(&mut self, index: usize) {
        let Some(query) = self.queries.get(index) else { return };
        let mut space = std::mem::take(&mut self.turn.space);
        let asker = query.asker;
        match query.answer(&mut space) {
            Some(Ok(answer)) => {
                self.answer(asker, answer);
                self.queries.remove(index);
            }
            Some(Err(_)) => self.ask_next(index),
            None => {}
        }
        self.turn.space = space;
    }

    fn ask_next(&mut self, index: usize) {
        let Some(query) = self.queries.get(index) else { return };
        if query.go_on().is_ok() {
            return self.watch_query(index);
        }
        let (asker, failure) = (query.asker, query::failure(query.text()));
        self.queries.remove(index);
        if let Some(answer) = failure {
            self.answer(asker, &answer);
        }
    }

    /// Moves what has come in this turn, and does what is due.
    fn finish_turn(&mut self) {
        let now = self.now();
        while let Some((at, index)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, index));
            self.times.remove(&index);
            self.touched.push(index);
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for index in touched.drain(..) {
            let Some(stream) = self.streams.get(index) else { continue };
            let after = stream.drive(now, &mut self.turn);
            if let Some(at) = self.times.remove(&index) {
                self.due.remove(&(at, index));
            }
            match after {
                After::Over => drop(self.streams.remove(index)),
                After::Goes(None) => {}
                After::Goes(Some(at)) => {
                    self.due.insert((at, index));
                    self.times.insert(index, at);
                }
            }
        }
        self.touched = touched;
        let instant = Instant::now();
        let late = self.queries.places_of(|query| query.deadline <= instant);
        late.into_iter().for_each(|index| self.ask_next(index));
        if instant.duration_since(self.swept) >= SWEEP {
            self.swept = instant;
            let silent = self.exchanges.places_of(|exchange| instant.duration_since(exchange.used) >= SILENCE);
            silent.into_iter().for_each(|index| drop(self.exchanges.remove(index)));
        }
    }
}
