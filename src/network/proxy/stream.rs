//! One forwarded connection: two ways, each with its own end (half-close) and its own back-pressure.

use super::subject::Subject;
use crate::network::ContainerNetwork;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketType, sockopt};
use rustix::pipe::{PipeFlags, SpliceFlags};
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Its two sides.
pub(super) const CLIENT: usize = 0;
pub(super) const INSIDE: usize = 1;

pub(super) struct Stream {
    sockets: [OwnedFd; 2],
    /// The events that epoll watches on each side; empty if the side is not in the set.
    interests: [EventFlags; 2],
    /// The way that starts at each side.
    ways: [Way; 2],
    client: SocketAddr,
    port: u16,
    /// A service may listen on the other family only.
    other_family_untried: bool,
}

#[derive(Default)]
struct Way {
    /// Read but not yet taken by the other side.
    rest: Vec<u8>,
    /// The pipe through which a busy stream moves without copying.
    pipe: Option<Pipe>,
    /// Bytes in the pipe.
    held: usize,
    is_bulk: bool,
    waits: Waits,
    has_ended: bool,
    is_closed: bool,
}

/// The side that a direction waits for.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Waits {
    #[default]
    Source,
    Sink,
    Nothing,
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

/// The buffer and pipes that all streams share.
#[derive(Default)]
pub(super) struct Carrier {
    buffer: Vec<u8>,
    pipes: Vec<Pipe>,
}

/// Read at once; a source that fills it has more to come.
const BUFFER: usize = 16 * 1024;
const PIPE: usize = 256 * 1024;
const IDLE_PIPES: usize = 4;
/// Moved before the others get their turn.
const SHARE: usize = 1024 * 1024;

impl Carrier {
    fn pipe(&mut self) -> Option<Pipe> {
        self.pipes.pop().or_else(|| {
            let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            // Refused where this user has many: then it is slower.
            let _ = rustix::pipe::fcntl_setpipe_size(&write, PIPE);
            Some(Pipe { read, write })
        })
    }

    fn give_back(&mut self, pipe: Option<Pipe>) {
        if self.pipes.len() < IDLE_PIPES {
            self.pipes.extend(pipe);
        }
    }

    /// Frees its memory.
    pub(super) fn rest(&mut self) {
        *self = Self::default();
    }
}

impl Stream {
    pub(super) fn open(socket: OwnedFd, client: SocketAddr, port: u16, network: &ContainerNetwork) -> io::Result<Self> {
        let connect = |is_v4| network.connect(SocketType::STREAM, client.ip(), is_v4, port);
        let first = connect(client.is_ipv4());
        let other_family_untried = first.is_ok();
        let inside = first.or_else(|_| connect(!client.is_ipv4()));
        let inside = inside.inspect_err(|_| reset(&socket))?;
        Ok(Self {
            sockets: [socket, inside],
            interests: [EventFlags::empty(); 2],
            ways: [Way::default(), Way::default()],
            client,
            port,
            other_family_untried,
        })
    }

    pub(super) fn register(&mut self, epoll: &OwnedFd, slot: usize) -> io::Result<()> {
        (0..2).try_for_each(|side| self.tell(epoll, slot, side))
    }

    /// Handles events of one side. Returns `Break` when the stream has ended.
    pub(super) fn carry(
        &mut self,
        side: usize,
        flags: EventFlags,
        carrier: &mut Carrier,
        epoll: &OwnedFd,
        slot: usize,
        network: &ContainerNetwork,
    ) -> ControlFlow<()> {
        let troubled = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        let mut result = Ok(());
        if (troubled || flags.contains(EventFlags::IN)) && self.ways[side].waits == Waits::Source {
            result = self.move_along(side, carrier);
        }
        if result.is_ok() && (troubled || flags.contains(EventFlags::OUT)) && self.ways[1 - side].waits == Waits::Sink {
            result = self.move_along(1 - side, carrier);
        }
        match result {
            Ok(()) if self.ways.iter().all(|way| way.is_closed) => return ControlFlow::Break(()),
            Ok(()) => {}
            Err(Errno::CONNREFUSED) if self.try_other_family(network) => {}
            Err(_) => {
                self.sockets.iter().for_each(reset);
                return ControlFlow::Break(());
            }
        }
        if (0..2).any(|side| self.tell(epoll, slot, side).is_err()) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Only the inner side can refuse, and only before anything came from it.
    fn try_other_family(&mut self, network: &ContainerNetwork) -> bool {
        if !std::mem::take(&mut self.other_family_untried) {
            return false;
        }
        match network.connect(SocketType::STREAM, self.client.ip(), !self.client.is_ipv4(), self.port) {
            Ok(inside) => {
                self.sockets[INSIDE] = inside;
                self.interests[INSIDE] = EventFlags::empty();
                true
            }
            Err(_) => false,
        }
    }

    /// Updates the events that epoll watches on a side.
    fn tell(&mut self, epoll: &OwnedFd, slot: usize, side: usize) -> io::Result<()> {
        let mut wanted = EventFlags::empty();
        wanted.set(EventFlags::IN, self.ways[side].waits == Waits::Source);
        wanted.set(EventFlags::OUT, self.ways[1 - side].waits == Waits::Sink);
        let before = std::mem::replace(&mut self.interests[side], wanted);
        let data = if side == CLIENT { Subject::Client(slot) } else { Subject::Inside(slot) }.data();
        let socket = &self.sockets[side];
        Ok(match (before.is_empty(), wanted.is_empty()) {
            _ if before == wanted => Ok(()),
            // An error would be told again and again to one that nothing is wanted from.
            (_, true) => epoll::delete(epoll, socket),
            (true, _) => epoll::add(epoll, socket, data, wanted),
            _ => epoll::modify(epoll, socket, data, wanted),
        }?)
    }

    /// Moves what there is from one side to the other, until one of them has to be waited for.
    fn move_along(&mut self, from: usize, carrier: &mut Carrier) -> Result<(), Errno> {
        let (source, sink) = (&self.sockets[from], &self.sockets[1 - from]);
        let way = &mut self.ways[from];
        let mut moved = 0;
        loop {
            if !way.drain(sink)? {
                way.waits = Waits::Sink;
                return Ok(());
            }
            if way.has_ended {
                // The other side may be gone already.
                let _ = rustix::net::shutdown(sink, Shutdown::Write);
                carrier.give_back(way.pipe.take());
                (way.is_closed, way.waits) = (true, Waits::Nothing);
                return Ok(());
            }
            way.waits = Waits::Source;
            if moved >= SHARE {
                return Ok(());
            }
            let got = if way.is_bulk { way.fill_pipe(source, carrier) } else { way.copy(source, sink, carrier) };
            match got {
                Ok(0) => way.has_ended = true,
                // Less than was asked for: there is no more now.
                Ok(got) if got < BUFFER && way.rest.is_empty() && way.held == 0 => {
                    carrier.give_back(way.pipe.take());
                    return Ok(());
                }
                Ok(got) => moved += got,
                Err(Errno::AGAIN) => {
                    carrier.give_back(way.pipe.take());
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Way {
    /// Whether the sink has taken all that was kept for it.
    fn drain(&mut self, sink: &OwnedFd) -> Result<bool, Errno> {
        while !self.rest.is_empty() {
            match rustix::net::send(sink, &self.rest, SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.rest.drain(..sent)),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        self.rest = Vec::new();
        while let (1.., Some(pipe)) = (self.held, &self.pipe) {
            match rustix::pipe::splice(&pipe.read, None, sink, None, self.held, SPLICE) {
                Ok(sent) => self.held -= sent,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Little at a time: a copy costs less than a pipe.
    fn copy(&mut self, source: &OwnedFd, sink: &OwnedFd, carrier: &mut Carrier) -> Result<usize, Errno> {
        let buffer = &mut carrier.buffer;
        buffer.clear();
        buffer.reserve(BUFFER);
        let (got, _) = rustix::net::recv(source, spare_capacity(buffer), RecvFlags::empty())?;
        self.is_bulk = got >= BUFFER;
        let sent = rustix::net::send(sink, buffer, SendFlags::NOSIGNAL);
        self.rest.extend_from_slice(&buffer[sent.unwrap_or(0)..]);
        match sent {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(got),
            Err(error) => Err(error),
        }
    }

    fn fill_pipe(&mut self, source: &OwnedFd, carrier: &mut Carrier) -> Result<usize, Errno> {
        if self.pipe.is_none() {
            self.pipe = carrier.pipe();
        }
        let Some(pipe) = &self.pipe else {
            self.is_bulk = false;
            return Err(Errno::INTR);
        };
        let got = rustix::pipe::splice(source, None, &pipe.write, None, PIPE, SPLICE)?;
        self.held = got;
        self.is_bulk = got >= BUFFER;
        Ok(got)
    }
}

const SPLICE: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

/// The other side learns that this was no orderly end.
fn reset(socket: &OwnedFd) {
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
