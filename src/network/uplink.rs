//! The device that leads out of a container, and what carries its packets once the first one has come.
//!
//! Most containers never ask for anything outside, or not for long after their start. So the way out is only started when
//! the kernel hands out the first packet; until it works, packets wait in the device's own queue, and none is lost.

use super::egress::{Carrier, StandIn};
use crate::sys::tun::Kind;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::{Errno, read, write};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest frame: the device's MTU and an Ethernet header.
const FRAME: usize = 64 * 1024;

/// The most frames of one turn, so that the caller gets to its other work.
const TURN: usize = 64;

pub(crate) struct Uplink {
    epoll: OwnedFd,
    /// `None`: the stand-in holds it.
    device: Option<OwnedFd>,
    kind: Kind,
    way: Way,
    frame: Vec<u8>,
}

enum Way {
    Waiting(StandIn),
    Starting(StandIn),
    /// The stand-in carries the packets itself.
    HandedOver(StandIn),
    Open {
        carrier: Carrier,
        /// The frame at hand is one that the carrier had no room for.
        is_full: bool,
    },
    Closed,
}

impl Uplink {
    pub(crate) fn new(device: OwnedFd, kind: Kind, stand_in: StandIn) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch(&epoll, &device, EventFlags::IN)?;
        Ok(Self { epoll, device: Some(device), kind, way: Way::Waiting(stand_in), frame: Vec::new() })
    }

    /// Returns a descriptor that is readable when [`Self::turn`] has work.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Does what can be done without waiting. An error says that there is no way out any more.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.way, Way::Closed) {
            Way::Waiting(stand_in) => {
                let device = self.device.take().ok_or(io::ErrorKind::NotConnected)?;
                epoll::delete(&self.epoll, &device)?;
                let handed = (self.kind == Kind::Packets).then_some(&device);
                stand_in.wake(handed).map_err(|error| io::Error::from_raw_os_error(error.errno))?;
                watch(&self.epoll, stand_in.fd(), EventFlags::IN)?;
                self.way = match self.kind {
                    // The device goes when the stand-in ends.
                    Kind::Packets => Way::HandedOver(stand_in),
                    Kind::Frames => {
                        self.device = Some(device);
                        Way::Starting(stand_in)
                    }
                };
            }
            Way::HandedOver(stand_in) => {
                stand_in.reap();
                return Err(io::ErrorKind::NotConnected.into());
            }
            Way::Starting(stand_in) => {
                epoll::delete(&self.epoll, stand_in.fd())?;
                let carrier = stand_in.answer().ok_or(io::ErrorKind::NotConnected)?;
                watch(&self.epoll, self.device()?, EventFlags::IN)?;
                watch(&self.epoll, &carrier.frames, EventFlags::IN)?;
                self.frame.reserve_exact(FRAME);
                self.way = Way::Open { carrier, is_full: false };
            }
            Way::Open { carrier, is_full } => {
                let now_full = self.carry_out(&carrier, is_full)?;
                if now_full != is_full {
                    let (device, frames) = if now_full {
                        (EventFlags::empty(), EventFlags::OUT)
                    } else {
                        (EventFlags::IN, EventFlags::empty())
                    };
                    epoll::modify(&self.epoll, self.device()?, EventData::new_u64(0), device)?;
                    epoll::modify(&self.epoll, &carrier.frames, EventData::new_u64(0), EventFlags::IN | frames)?;
                }
                if !now_full {
                    self.carry_in(&carrier)?;
                }
                self.way = Way::Open { carrier, is_full: now_full };
            }
            Way::Closed => return Err(io::ErrorKind::NotConnected.into()),
        }
        Ok(())
    }

    fn device(&self) -> io::Result<BorrowedFd<'_>> {
        self.device.as_ref().map(AsFd::as_fd).ok_or(io::ErrorKind::NotConnected.into())
    }

    /// Carries frames from the container to the carrier. Returns `true` if that has no room now.
    fn carry_out(&mut self, carrier: &Carrier, mut is_full: bool) -> io::Result<bool> {
        let device = self.device.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        for _ in 0..TURN {
            if !is_full {
                self.frame.clear();
                match read(device, spare_capacity(&mut self.frame)) {
                    Ok(_) => {}
                    Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
            match send(&carrier.frames, &self.frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => is_full = false,
                Err(Errno::AGAIN) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    fn carry_in(&mut self, carrier: &Carrier) -> io::Result<()> {
        let device = self.device.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        for _ in 0..TURN {
            self.frame.clear();
            match recv(&carrier.frames, spare_capacity(&mut self.frame), RecvFlags::DONTWAIT) {
                Ok(_) if self.frame.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                // A device drops what it has no room for, as any network does.
                Ok(_) => drop(write(device, &self.frame)),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn watch(epoll: &OwnedFd, fd: impl AsFd, flags: EventFlags) -> rustix::io::Result<()> {
    epoll::add(epoll, fd, EventData::new_u64(0), flags)
}
