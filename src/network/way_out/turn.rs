//! What one turn of the loop works with.

use super::wire::{self, Refusal};
use std::os::fd::BorrowedFd;

/// The longest packet.
pub(super) const PACKET: usize = 64 * 1024;

/// The most packets of one source in one turn, so that the others get their turn, too.
pub(super) const TURN: usize = 64;

pub(super) struct Turn<'a> {
    pub device: Option<BorrowedFd<'a>>,
    /// The packet that is being written.
    pub buffer: Vec<u8>,
    /// Room for what comes from a socket.
    pub space: Vec<u8>,
}

impl Turn<'_> {
    /// Returns one without a device, to make what only needs one later.
    pub(super) fn idle() -> Self {
        Self { device: None, buffer: Vec::new(), space: Vec::new() }
    }

    /// Hands the packet to the container.
    pub(super) fn flush(&mut self) {
        if let Some(device) = self.device {
            // A device drops what it has no room for, as any network does.
            let _ = rustix::io::write(device, &self.buffer);
        }
    }

    pub(super) fn refuse(&mut self, packet: &[u8], refusal: Refusal) {
        if wire::write_refusal(&mut self.buffer, packet, refusal) {
            self.flush();
        }
    }
}
