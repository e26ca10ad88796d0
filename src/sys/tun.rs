//! A network device whose other side is a file descriptor (kernel documentation, "Universal TUN/TAP device driver").

use super::{On, SysError};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

pub(crate) const PATH: &str = "/dev/net/tun";

/// What one read of a device gives, and one write takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// An IP packet.
    Packets,
    /// An Ethernet frame.
    Frames,
}

impl Kind {
    /// Returns the name that `ip tuntap` has for it.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Packets => "tun",
            Self::Frames => "tap",
        }
    }
}

/// Makes a device in the network namespace that this process is in. It goes when the descriptor is closed. Neither reads nor
/// writes wait.
pub(crate) fn open(name: &str, kind: Kind) -> Result<OwnedFd, SysError> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let tap = rustix::fs::open(PATH, flags, Mode::empty()).on("open", PATH)?;
    let kind = match kind {
        Kind::Packets => libc::IFF_TUN,
        Kind::Frames => libc::IFF_TAP,
    };
    // SAFETY: a request of zeros is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (kind | libc::IFF_NO_PI) as i16;
    // SAFETY: the request is live, and its name ends with a zero.
    let result = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF as _, &raw const request) };
    if result == 0 { Ok(tap) } else { Err(io::Error::last_os_error()).on("TUNSETIFF", name) }
}
