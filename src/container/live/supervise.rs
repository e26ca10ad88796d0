//! The one poll loop: a process, its streams or terminal, whoever is attached, its published ports, its end.

use super::init;
use super::logs::Log;
use super::outcome::{Asker, Outcome};
use super::pause;
use super::protocol::{End, Message, Modes, Stream};
use crate::network::proxy::Proxy;
use crate::network::uplink::Uplink;
use crate::sys::process;
use crate::sys::process::Exit;
use crate::sys::{On, SysError, socket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is watched over.
pub(crate) struct Supervised {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// The container's standard input, if somebody may write to it.
    pub stdin: Option<OwnedFd>,
    pub outputs: Vec<(OwnedFd, Stream)>,
    /// Input and output at once, instead of the two above.
    pub terminal: Option<OwnedFd>,
    pub log: Option<Log>,
    pub control: Option<Control>,
    pub proxy: Option<Proxy>,
    pub uplink: Option<Uplink>,
    /// Where it is frozen, if it has one.
    pub cgroup: Option<String>,
    /// It is killed when nobody listens any more.
    pub leashed: bool,
    /// The first process is our own init, which exits for its child.
    pub has_init: bool,
    /// Signals to this process, which it passes on.
    pub signals: Option<OwnedFd>,
    /// How it ended, and what was asked of it before.
    pub outcome: Outcome,
}

/// Where whoever wants to speak with the monitor comes.
pub(crate) struct Control {
    path: PathBuf,
    listener: OwnedFd,
}

const UNANNOUNCED: &str = "early";

impl Control {
    /// Has everything that listening needs, but nobody finds it yet.
    pub(crate) fn prepare(path: PathBuf) -> Result<Self, SysError> {
        let listener = socket::listen(&path.with_file_name(UNANNOUNCED))?;
        Ok(Self { path, listener })
    }

    /// Is found from here on. Where it is, the state was written, so a state that is missing was lost.
    pub(crate) fn announce(&self) -> Result<(), SysError> {
        fs::rename(self.path.with_file_name(UNANNOUNCED), &self.path).on("rename", &self.path)
    }

    /// Somebody has removed the socket, and somebody else wants to come.
    fn listen_again(&mut self) {
        let _ = fs::remove_file(&self.path);
        if let Ok(listener) = socket::listen(&self.path) {
            self.listener = listener;
        }
    }
}

/// Asks a monitor to listen again at its path.
pub(crate) const LISTEN_AGAIN: i32 = libc::SIGUSR1;

impl Supervised {
    /// Ends it before anybody has heard of it.
    pub(crate) fn kill(&self) {
        let _ = process::kill_pidfd(self.pidfd.as_fd(), libc::SIGKILL);
        let _ = process::wait(self.pid);
    }
}

/// Somebody on the other side of a socket.
pub(crate) struct Connection {
    pub end: End,
    output: bool,
    stdin: bool,
    /// Did not fit into its socket yet: nothing more is read from the container until all of it does.
    pending: VecDeque<Message>,
    /// Its terminal and how that was: put back if it is killed while the terminal is raw.
    terminal: Option<(OwnedFd, Modes)>,
    /// Holds the container still.
    pauses: bool,
}

impl Connection {
    /// The last word: from here on the client looks after its terminal itself.
    pub(crate) fn leave_terminal(&mut self) {
        self.terminal = None;
    }

    fn new(end: End) -> Self {
        Self { end, output: false, stdin: false, pending: VecDeque::new(), terminal: None, pauses: false }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some((terminal, modes)) = &self.terminal {
            modes.restore(terminal);
        }
    }
}

const CHUNK: usize = 32 * 1024;

/// Watches until the process has ended and everything it wrote was handed on. `ended` is called as soon as it has.
/// Returns its shell status and those who wait to hear it.
pub(crate) fn supervise(
    this: &mut Supervised,
    first: Option<End>,
    mut ended: impl FnMut(i32, &Outcome),
) -> (i32, Vec<Connection>) {
    let mut connections = Vec::new();
    if let Some(end) = first {
        unblock(end.socket());
        let mut first = Connection::new(end);
        // From its first byte on: nothing is printed before somebody listens.
        (first.output, first.stdin) = (true, true);
        connections.push(first);
    }
    for fd in this.outputs.iter().map(|(fd, _)| fd).chain(&this.stdin).chain(&this.terminal) {
        unblock(fd);
    }
    let mut input: VecDeque<u8> = VecDeque::new();
    let mut input_ended = false;
    let mut deadline: Option<Instant> = None;
    let mut status = None;
    let mut buffer = vec![0u8; CHUNK];
    loop {
        let stalled = connections.iter().any(|c| !c.pending.is_empty());
        let silent = this.outputs.is_empty() && this.terminal.is_none();
        if let Some(status) = status
            && silent
            && !stalled
        {
            if let Some(log) = &mut this.log {
                log.finish();
            }
            return (status, connections);
        }

        let mut polled: Vec<(Source, BorrowedFd, PollFlags)> = Vec::with_capacity(8);
        if status.is_none() {
            polled.push((Source::Process, this.pidfd.as_fd(), PollFlags::IN));
        }
        if let Some(signals) = &this.signals {
            polled.push((Source::Signals, signals.as_fd(), PollFlags::IN));
        }
        if let Some(control) = &this.control {
            polled.push((Source::Control, control.listener.as_fd(), PollFlags::IN));
        }
        if let (Some(proxy), None) = (&this.proxy, status) {
            polled.push((Source::Proxy, proxy.fd(), PollFlags::IN));
        }
        if let (Some(uplink), None) = (&this.uplink, status) {
            polled.push((Source::Uplink, uplink.fd(), PollFlags::IN));
        }
        if !stalled {
            for (index, (fd, _)) in this.outputs.iter().enumerate() {
                polled.push((Source::Output(index), fd.as_fd(), PollFlags::IN));
            }
        }
        if let Some(terminal) = &this.terminal {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !stalled);
            flags.set(PollFlags::OUT, !input.is_empty());
            polled.push((Source::Terminal, terminal.as_fd(), flags));
        }
        if let Some(stdin) = &this.stdin
            && !input.is_empty()
        {
            polled.push((Source::Input, stdin.as_fd(), PollFlags::OUT));
        }
        for (index, connection) in connections.iter().enumerate() {
            let mut flags = PollFlags::empty();
            // What it sends waits in its socket until the container has taken what it sent before.
            flags.set(PollFlags::IN, !(connection.stdin && input.len() > CHUNK));
            flags.set(PollFlags::OUT, !connection.pending.is_empty());
            polled.push((Source::Connection(index), connection.end.as_fd(), flags));
        }
        let mut fds: Vec<PollFd> = polled.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let timeout = deadline.map(|d| {
            let left = d.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
        });
        // What was told is over may have left output behind that nobody will ever finish: a process outside may hold it.
        let timeout =
            if status.is_some() && !stalled { Some(Timespec { tv_sec: 0, tv_nsec: 20_000_000 }) } else { timeout };
        let count = poll(&mut fds, timeout.as_ref()).unwrap_or(0);
        let ready: Vec<(Source, PollFlags)> = fds
            .iter()
            .zip(&polled)
            .filter(|(fd, _)| !fd.revents().is_empty())
            .map(|(fd, (source, ..))| (*source, fd.revents()))
            .collect();
        drop(fds);
        drop(polled);

        if count == 0 && status.is_some() && !stalled {
            this.outputs.clear();
            this.terminal = None;
        }
        if deadline.is_some_and(|d| d <= Instant::now()) {
            deadline = None;
            this.outcome.grace_ran_out = true;
            let _ = process::kill_pidfd(this.pidfd.as_fd(), libc::SIGKILL);
        }
        let mut gone = Vec::new();
        for (source, events) in ready {
            match source {
                Source::Process => {
                    let of_child = if this.has_init { init::signal_of_child(this.pid) } else { None };
                    let exit = process::wait_for_exit(this.pid).unwrap_or(Exit::Code(125));
                    let code = exit.shell_status();
                    this.outcome.ended(of_child.map_or(exit, Exit::Signal));
                    status = Some(code);
                    this.proxy = None;
                    this.stdin = None;
                    input.clear();
                    ended(code, &this.outcome);
                }
                Source::Signals => {
                    while let Some(signal) = this.signals.as_ref().and_then(|s| process::read_signal(s.as_fd())) {
                        match &mut this.control {
                            Some(control) if signal == LISTEN_AGAIN => control.listen_again(),
                            _ => {
                                this.outcome.ask(Asker::Monitor, signal, None);
                                let _ = process::kill_pidfd(this.pidfd.as_fd(), signal);
                            }
                        }
                    }
                }
                Source::Control => {
                    while let Some(socket) = this.control.as_ref().and_then(|c| socket::accept(c.listener.as_fd())) {
                        connections.push(Connection::new(End::new(socket)));
                    }
                }
                Source::Proxy => {
                    if let Some(proxy) = &mut this.proxy {
                        proxy.turn();
                    }
                }
                Source::Uplink => {
                    // Without a way out its device goes, and whoever asks hears so at once.
                    if this.uplink.as_mut().is_some_and(|uplink| uplink.turn().is_err()) {
                        this.uplink = None;
                    }
                }
                Source::Output(index) => {
                    let (fd, stream) = &this.outputs[index];
                    match rustix::io::read(fd, &mut buffer) {
                        Ok(0) => gone.push(Source::Output(index)),
                        Ok(n) => tell(&mut connections, &mut this.log, *stream, &buffer[..n]),
                        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                        Err(_) => gone.push(Source::Output(index)),
                    }
                }
                Source::Terminal => {
                    let Some(terminal) = &this.terminal else { continue };
                    if events.intersects(PollFlags::IN | PollFlags::HUP) {
                        match rustix::io::read(terminal, &mut buffer) {
                            Ok(n) if n > 0 => tell(&mut connections, &mut this.log, Stream::Stdout, &buffer[..n]),
                            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                            // EIO: nobody has its other side open any more. Somebody may open it again while the process lives.
                            _ if status.is_some() => gone.push(Source::Terminal),
                            _ => std::thread::sleep(Duration::from_millis(5)),
                        }
                    }
                    if events.contains(PollFlags::OUT) {
                        feed(&mut input, terminal.as_fd());
                    }
                }
                Source::Input => {
                    if let Some(stdin) = &this.stdin
                        && !feed(&mut input, stdin.as_fd())
                    {
                        this.stdin = None;
                        input.clear();
                    }
                }
                Source::Connection(index) => {
                    let connection = &mut connections[index];
                    while events.contains(PollFlags::OUT)
                        && let Some(message) = connection.pending.front()
                    {
                        match connection.end.send(message) {
                            Ok(()) => drop(connection.pending.pop_front()),
                            Err(error) if error.errno == libc::EAGAIN => break,
                            Err(_) => {
                                connection.pending.clear();
                                gone.push(source);
                            }
                        }
                    }
                    if !events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                        continue;
                    }
                    match connection.end.receive() {
                        Ok(Some((message, mut descriptors))) => match message {
                            Message::Attach { output, stdin, modes } => {
                                (connection.output, connection.stdin) = (output, stdin);
                                connection.terminal = descriptors.pop().zip(modes);
                            }
                            Message::Detach => {
                                connection.terminal = None;
                                gone.push(source);
                            }
                            Message::Stdin(bytes) => input.extend(bytes),
                            Message::StdinEnd => input_ended = true,
                            Message::Resize { rows, columns } => resize(this.terminal.as_ref(), rows, columns),
                            Message::Signal(signal) => {
                                let by = if connection.output { Asker::Client } else { Asker::Kill };
                                this.outcome.ask(by, signal as i32, None);
                                let _ = process::kill_pidfd(this.pidfd.as_fd(), signal as i32);
                            }
                            Message::Stop { signal, grace } => {
                                let grace_ms = Some(grace).filter(|grace| *grace != u32::MAX);
                                this.outcome.ask(Asker::Stop, signal as i32, grace_ms);
                                let _ = process::kill_pidfd(this.pidfd.as_fd(), signal as i32);
                                if let Some(grace) = grace_ms {
                                    deadline = Some(Instant::now() + Duration::from_millis(grace.into()));
                                }
                            }
                            Message::Pause { by_signals } => {
                                pause::freeze(this.pid, this.cgroup.as_deref().filter(|_| !by_signals));
                                connection.pauses = true;
                                let _ = connection.end.send(&Message::Paused);
                            }
                            _ => gone.push(source),
                        },
                        Err(error) if error.errno == libc::EAGAIN => {}
                        _ => gone.push(source),
                    }
                }
            }
        }
        if input_ended && input.is_empty() {
            this.stdin = None;
        }
        // From the back, so that the numbers before stay right.
        gone.sort_by_key(|source| std::cmp::Reverse(source.index()));
        gone.dedup();
        for source in gone {
            match source {
                Source::Output(index) => drop(this.outputs.remove(index)),
                Source::Connection(index) => {
                    if connections.remove(index).pauses && !connections.iter().any(|c| c.pauses) {
                        pause::thaw(this.pid, this.cgroup.as_deref());
                    }
                    if this.leashed && connections.is_empty() {
                        let _ = process::kill_pidfd(this.pidfd.as_fd(), libc::SIGKILL);
                    }
                }
                _ => this.terminal = None,
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Source {
    Process,
    Signals,
    Control,
    Proxy,
    Uplink,
    Terminal,
    Input,
    Output(usize),
    Connection(usize),
}

impl Source {
    fn index(self) -> usize {
        match self {
            Self::Output(index) | Self::Connection(index) => index,
            _ => 0,
        }
    }
}

fn tell(connections: &mut [Connection], log: &mut Option<Log>, stream: Stream, bytes: &[u8]) {
    if let Some(log) = log {
        log.append(stream, bytes);
    }
    for connection in connections.iter_mut().filter(|c| c.output) {
        let message = Message::Output { stream, bytes: bytes.to_vec() };
        // The other stream may have filled the socket a moment ago: what waits keeps its order.
        let waits = !connection.pending.is_empty();
        if waits || connection.end.send(&message).is_err_and(|error| error.errno == libc::EAGAIN) {
            connection.pending.push_back(message);
        }
    }
}

/// Writes what fits. `false`: nobody reads it any more.
fn feed(input: &mut VecDeque<u8>, fd: BorrowedFd) -> bool {
    match rustix::io::write(fd, input.make_contiguous()) {
        Ok(n) => {
            input.drain(..n);
            true
        }
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => true,
        Err(_) => false,
    }
}

pub(crate) fn resize(terminal: Option<&OwnedFd>, rows: u32, columns: u32) {
    if let Some(terminal) = terminal {
        let size = rustix::termios::Winsize { ws_row: rows as u16, ws_col: columns as u16, ws_xpixel: 0, ws_ypixel: 0 };
        let _ = rustix::termios::tcsetwinsize(terminal, size);
    }
}

fn unblock(fd: &OwnedFd) {
    let _ = rustix::io::ioctl_fionbio(fd, true);
}
