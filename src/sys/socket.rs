//! Sequenced-packet sockets: whole messages, which can carry descriptors.

use super::{On, SysError};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, recvmsg, sendmsg,
    socketpair,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// The longest message; below the default size of a socket's buffer.
pub const LONGEST: usize = 64 * 1024;

/// The most descriptors of one message: SCM_MAX_FD of the kernel.
pub(crate) const DESCRIPTORS: usize = 253;

/// A connected pair, closed by exec.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), SysError> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).on("socketpair", "AF_UNIX")
}

/// Sends one message. `EAGAIN` is an error like others where the socket does not block.
pub fn send(socket: BorrowedFd, bytes: &[u8], descriptors: &[RawFd]) -> Result<(), SysError> {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let rights = if descriptors.is_empty() { &rights[..0] } else { &rights[..] };
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], rights, MsgFlags::MSG_NOSIGNAL, None) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.map(drop).on("sendmsg", ""),
        }
    }
}

/// Receives one message into `buffer`. `None`: the peer has closed.
pub fn receive(socket: BorrowedFd, buffer: &mut [u8]) -> Result<Option<(usize, Vec<OwnedFd>)>, SysError> {
    let mut space = nix::cmsg_space!([RawFd; DESCRIPTORS]);
    let mut parts = [IoSliceMut::new(buffer)];
    let (length, received) = loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(nix::errno::Errno::EINTR) => {}
            // The peer closed with a message of ours unread. This comes once, and what it sent before can still be read.
            Err(nix::errno::Errno::ECONNRESET) => {}
            Err(error) => return Err(error).on("recvmsg", ""),
            Ok(message) => {
                let mut received = Vec::new();
                for part in message.cmsgs().on("recvmsg", "")? {
                    if let ControlMessageOwned::ScmRights(list) = part {
                        // SAFETY: the kernel has made these descriptors for this message.
                        received.extend(list.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                    }
                }
                break (message.bytes, received);
            }
        }
    };
    Ok(if length == 0 && received.is_empty() { None } else { Some((length, received)) })
}

/// Listens at `path`, which may be longer than a socket address can hold.
pub fn listen(path: &Path) -> Result<OwnedFd, SysError> {
    let socket = new_socket(SockFlag::SOCK_NONBLOCK)?;
    with_short_path(path, |short| {
        nix::sys::socket::bind(socket.as_raw_fd(), &UnixAddr::new(short).on("bind", path)?).on("bind", path)
    })?;
    nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::new(64).on("listen", path)?).on("listen", path)?;
    Ok(socket)
}

/// Accepts the next connection of a listening socket, without waiting.
pub fn accept(socket: BorrowedFd) -> Option<OwnedFd> {
    let fd = nix::sys::socket::accept4(socket.as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK).ok()?;
    // SAFETY: the kernel has made the descriptor for this call.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Connects to a listener at `path`.
pub fn connect(path: &Path) -> Result<OwnedFd, SysError> {
    let socket = new_socket(SockFlag::empty())?;
    with_short_path(path, |short| {
        nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new(short).on("connect", path)?).on("connect", path)
    })?;
    Ok(socket)
}

fn new_socket(flags: SockFlag) -> Result<OwnedFd, SysError> {
    nix::sys::socket::socket(AddressFamily::Unix, SockType::SeqPacket, flags | SockFlag::SOCK_CLOEXEC, None)
        .on("socket", "AF_UNIX")
}

/// Names the socket through its directory's descriptor: unix(7) allows 108 bytes only.
fn with_short_path<T>(path: &Path, act: impl FnOnce(&Path) -> Result<T, SysError>) -> Result<T, SysError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return act(path);
    };
    let directory = std::fs::File::open(parent).on("open", parent)?;
    act(&Path::new(&format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name))
}
