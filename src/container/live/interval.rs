//! The time between the end of a container's process and its next start: its monitor listens to clients meanwhile.

use super::connection::Connection;
use super::control::Control;
use super::restart;
use super::supervise::Supervised;
use crate::container::protocol::{End, LISTEN_AGAIN, Message};
use crate::container::stored::outcome::Asker;
use crate::sys::process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::time::Instant;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// It is to be started.
    Due,
    /// Somebody wants it to stay as it is.
    Stopped,
}

/// Waits until the container is to be started, or a client wants it to end.
pub(super) fn wait(
    this: &mut Supervised,
    connections: &mut Vec<Connection>,
    until: Instant,
    stop_signal: Option<i32>,
) -> Waited {
    loop {
        if this.outcome.asked.iter().any(|asked| restart::is_final(asked, stop_signal)) {
            return Waited::Stopped;
        }
        let is_held = connections.iter().any(|client| client.pauses);
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() && !is_held {
            return Waited::Due;
        }
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) };
        poll_all(this, connections, (!is_held).then_some(&timeout));
        while let Some(signal) = this.signals.as_ref().and_then(|fd| process::read_signal(fd.as_fd())) {
            match &mut this.control {
                Some(control) if signal == LISTEN_AGAIN => control.listen_again(),
                _ => this.outcome.ask(Asker::Monitor, signal, None),
            }
        }
        while let Some(socket) = this.control.as_ref().and_then(Control::accept) {
            connections.push(Connection::new(End::new(socket)));
        }
        // Who connects to a published port hears that nobody listens.
        if let Some(proxy) = &mut this.proxy {
            proxy.turn();
        }
        connections.retain_mut(|client| serve(this, client));
    }
}

fn poll_all(this: &Supervised, connections: &[Connection], timeout: Option<&Timespec>) {
    let own = [
        this.signals.as_ref().map(AsFd::as_fd),
        this.control.as_ref().map(AsFd::as_fd),
        this.proxy.as_ref().map(|proxy| proxy.fd()),
    ];
    let clients = connections.iter().map(|client| client.end.as_fd());
    let all = own.into_iter().flatten().chain(clients);
    let mut polled: Vec<PollFd> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let _ = poll(&mut polled, timeout);
}

/// Takes what a client has sent. `false`: the conversation is over.
fn serve(this: &mut Supervised, client: &mut Connection) -> bool {
    loop {
        let (message, mut descriptors) = match client.end.receive() {
            Ok(Some(received)) => received,
            Err(error) if error.errno == libc::EAGAIN => return true,
            Ok(None) | Err(_) => return false,
        };
        match message {
            Message::Attach { output, stdin, modes } => {
                (client.output, client.stdin) = (output, stdin);
                client.terminal = descriptors.pop().zip(modes);
            }
            Message::Detach => {
                client.leave_terminal();
                return false;
            }
            Message::Signal(signal) => {
                let by = if client.output { Asker::Client } else { Asker::Kill };
                this.outcome.ask(by, signal.cast_signed(), None);
            }
            Message::Stop { signal, grace } => {
                this.outcome.ask(Asker::Stop, signal.cast_signed(), Some(grace).filter(|grace| *grace != u32::MAX));
            }
            Message::Pause { .. } => {
                client.pauses = true;
                let _ = client.end.send(&Message::Paused);
            }
            Message::Keep => client.keeps = true,
            // There is no process that could take input.
            Message::Stdin(_) | Message::StdinEnd | Message::Resize { .. } => {}
            _ => return false,
        }
    }
}
