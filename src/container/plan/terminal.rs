//! The size of a terminal (ioctl_tty(2), TIOCSWINSZ).

use std::os::fd::OwnedFd;

pub(crate) fn resize(terminal: Option<&OwnedFd>, rows: u32, columns: u32) {
    if let Some(terminal) = terminal {
        let size = rustix::termios::Winsize { ws_row: rows as u16, ws_col: columns as u16, ws_xpixel: 0, ws_ypixel: 0 };
        let _ = rustix::termios::tcsetwinsize(terminal, size);
    }
}
