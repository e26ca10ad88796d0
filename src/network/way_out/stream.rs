//! TCP connections of a container: each ends here, and goes on as a connection of the host.
//!
//! A connection is answered once the host's is there, so that a port where nobody listens is refused inside too, and what
//! is unreachable or silent is so as well. Each has a stack of its own, so that a packet costs the same among a thousand.

use super::turn::Turn;
use super::wire::Pair;
use crate::network::address::MTU;
use crate::network::host;
use crate::sys::inet;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketType, sockopt};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{self, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};

/// The bytes that may be on their way, each way. Only what is really waiting takes memory.
const BUFFER: usize = 512 * 1024;

pub(super) struct Stream {
    pair: Pair,
    host: OwnedFd,
    stage: Stage,
    is_readable: bool,
    is_writable: bool,
}

enum Stage {
    Connecting {
        /// The packet that asked for the connection.
        first: Vec<u8>,
        /// Where to try next.
        others: VecDeque<SocketAddr>,
    },
    Open(Box<Open>),
}

struct Open {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    /// The host's side has sent all that it will.
    host_ended: bool,
    /// The container's side has.
    inside_ended: bool,
    /// The host's side knows that.
    host_told: bool,
    /// The host's side has failed.
    is_aborted: bool,
}

/// What comes of a stream.
pub(super) enum After {
    /// It goes on, and wants to be driven again at that time.
    Goes(Option<Instant>),
    Over,
}

impl Stream {
    /// Begins to connect to the first of `targets` that is not refused at once.
    pub(super) fn connect(pair: Pair, mut targets: VecDeque<SocketAddr>, first: &[u8]) -> Result<Self, Errno> {
        let host = connect(&mut targets)?;
        let stage = Stage::Connecting { first: first.to_vec(), others: targets };
        Ok(Self { pair, host, stage, is_readable: false, is_writable: false })
    }

    pub(super) fn host(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.host.as_fd()
    }

    /// Takes note of what the host's socket is ready for. Returns a refusal, or `true` if it has another socket, after a
    /// connection that failed.
    pub(super) fn hear(&mut self, events: EventFlags, now: Instant, turn: &mut Turn) -> Result<bool, Errno> {
        let ended = EventFlags::ERR | EventFlags::HUP;
        self.is_readable |= events.intersects(EventFlags::IN | EventFlags::RDHUP | ended);
        self.is_writable |= events.intersects(EventFlags::OUT | ended);
        let Stage::Connecting { first, others } = &mut self.stage else { return Ok(false) };
        if !self.is_writable {
            return Ok(false);
        }
        match sockopt::socket_error(&self.host).unwrap_or(Err(Errno::IO)) {
            Ok(()) => {
                let mut open = Box::new(Open::new(self.pair, now));
                open.take(first, now, turn);
                self.stage = Stage::Open(open);
                Ok(false)
            }
            Err(_) if !others.is_empty() => {
                self.host = connect(others)?;
                self.is_readable = false;
                self.is_writable = false;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the packet that asked for the connection, if it has not come about.
    pub(super) fn unanswered(self) -> Option<Vec<u8>> {
        match self.stage {
            Stage::Connecting { first, .. } => Some(first),
            Stage::Open(_) => None,
        }
    }

    /// Takes a packet of the container.
    pub(super) fn take(&mut self, packet: &[u8], now: Instant, turn: &mut Turn) {
        if let Stage::Open(open) = &mut self.stage {
            open.take(packet, now, turn);
        }
    }

    /// Moves what can be moved, both ways.
    pub(super) fn drive(&mut self, now: Instant, turn: &mut Turn) -> After {
        let Stage::Open(open) = &mut self.stage else { return After::Goes(None) };
        loop {
            let moved =
                open.carry_out(&self.host, &mut self.is_writable) | open.carry_in(&self.host, &mut self.is_readable);
            open.interface.poll(now, &mut Wire { arriving: None, turn }, &mut open.sockets);
            if !moved {
                break;
            }
        }
        if open.is_over() {
            if !(open.host_ended && open.host_told) {
                // It was reset inside, and so it is outside.
                let _ = sockopt::set_socket_linger(&self.host, Some(std::time::Duration::ZERO));
            }
            return After::Over;
        }
        After::Goes(open.interface.poll_at(now, &open.sockets))
    }
}

impl Open {
    fn new(pair: Pair, now: Instant) -> Self {
        let mut device = Wire { arriving: None, turn: &mut Turn::idle() };
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, now);
        let outside = IpAddress::from(pair.outside.ip());
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(outside, if pair.outside.is_ipv4() { 32 } else { 128 }));
        });
        let _ = match pair.outside.ip() {
            IpAddr::V4(gateway) => interface.routes_mut().add_default_ipv4_route(gateway).map(drop),
            IpAddr::V6(gateway) => interface.routes_mut().add_default_ipv6_route(gateway).map(drop),
        };
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        // Packets come in batches, and are acknowledged at the end of each.
        socket.set_ack_delay(None);
        let _ = socket.listen((outside, pair.outside.port()));
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Self { interface, sockets, handle, host_ended: false, inside_ended: false, host_told: false, is_aborted: false }
    }

    /// Returns whether nothing is left to be done: both sides have ended and have all, or one was reset.
    fn is_over(&self) -> bool {
        let socket = self.sockets.get::<tcp::Socket>(self.handle);
        let both_ended = self.host_ended && self.inside_ended;
        match socket.state() {
            State::Closed if self.is_aborted || !both_ended => true,
            State::Closed | State::TimeWait => both_ended && self.host_told,
            _ => false,
        }
    }

    fn take(&mut self, packet: &[u8], now: Instant, turn: &mut Turn) {
        self.interface.poll_ingress_single(now, &mut Wire { arriving: Some(packet), turn }, &mut self.sockets);
    }

    /// Hands on what the container has sent. Returns whether anything was moved.
    fn carry_out(&mut self, host: &OwnedFd, is_writable: &mut bool) -> bool {
        let mut moved = false;
        let socket = self.sockets.get_mut::<tcp::Socket>(self.handle);
        while *is_writable && !self.is_aborted && socket.can_recv() {
            let sent = socket.recv(|bytes| match rustix::net::send(host, bytes, SendFlags::NOSIGNAL) {
                Ok(length) => (length, Ok(length)),
                Err(error) => (0, Err(error)),
            });
            match sent {
                Ok(Ok(_)) => moved = true,
                Ok(Err(Errno::INTR)) => {}
                Ok(Err(Errno::AGAIN)) => *is_writable = false,
                Ok(Err(_)) | Err(_) => {
                    socket.abort();
                    self.is_aborted = true;
                }
            }
        }
        self.inside_ended |=
            matches!(socket.state(), State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        if self.inside_ended && !self.host_told && socket.recv_queue() == 0 {
            let _ = rustix::net::shutdown(host, Shutdown::Write);
            self.host_told = true;
        }
        moved
    }

    /// Hands on what the host's side has sent. Returns whether anything was moved.
    fn carry_in(&mut self, host: &OwnedFd, is_readable: &mut bool) -> bool {
        let mut moved = false;
        let socket = self.sockets.get_mut::<tcp::Socket>(self.handle);
        while *is_readable && !self.is_aborted && socket.can_send() {
            let received = socket.send(|space| match rustix::net::recv(host, space, RecvFlags::empty()) {
                Ok((length, _)) => (length, Ok(length)),
                Err(error) => (0, Err(error)),
            });
            match received {
                Ok(Ok(0)) => {
                    socket.close();
                    self.host_ended = true;
                    *is_readable = false;
                    return true;
                }
                Ok(Ok(_)) => moved = true,
                Ok(Err(Errno::INTR)) => {}
                Ok(Err(Errno::AGAIN)) => *is_readable = false,
                Ok(Err(_)) | Err(_) => {
                    socket.abort();
                    self.is_aborted = true;
                }
            }
        }
        moved
    }
}

/// Refuses a connection as a host does where nobody listens.
pub(super) fn reset(pair: Pair, first: &[u8], now: Instant, turn: &mut Turn) {
    let mut open = Open::new(pair, now);
    open.sockets.remove(open.handle);
    open.take(first, now, turn);
}

fn connect(targets: &mut VecDeque<SocketAddr>) -> Result<OwnedFd, Errno> {
    let mut refused = Errno::NETUNREACH;
    while let Some(target) = targets.pop_front() {
        let socket = host::socket(target.ip(), SocketType::STREAM)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        let _ = inet::set_bind_address_no_port(&socket);
        match rustix::net::connect(&socket, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => return Ok(socket),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// The container's device, as the stack of one connection sees it.
struct Wire<'a, 'b> {
    arriving: Option<&'a [u8]>,
    turn: &'a mut Turn<'b>,
}

impl Device for Wire<'_, '_> {
    type RxToken<'t>
        = Arriving<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Leaving<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Arriving<'_>, Leaving<'_>)> {
        let packet = self.arriving.take()?;
        Some((Arriving(packet), Leaving { device: self.turn.device, buffer: &mut self.turn.buffer }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_>> {
        Some(Leaving { device: self.turn.device, buffer: &mut self.turn.buffer })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU as usize;
        capabilities
    }
}

struct Arriving<'a>(&'a [u8]);

impl RxToken for Arriving<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

struct Leaving<'a> {
    device: Option<BorrowedFd<'a>>,
    buffer: &'a mut Vec<u8>,
}

impl TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        self.buffer.resize(length, 0);
        let result = write(self.buffer);
        if let Some(device) = self.device {
            // A device drops what it has no room for, as any network does.
            let _ = rustix::io::write(device, self.buffer);
        }
        result
    }
}
