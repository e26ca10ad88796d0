//! The one poll loop of a monitor: a process, its streams or terminal, the clients, its published ports, its end.

use super::connection::Connection;
use super::control::Control;
use super::health::{Checks, Reaction};
use super::logs::Log;
use super::pause::Freezer;
use super::pty::{Pty, Read};
use crate::container::agent::Agent;
use crate::container::plan::{reap, terminal};
use crate::container::protocol::{End, LISTEN_AGAIN, Message, Stream};
use crate::container::stored::health::{Health, HealthStatus};
use crate::container::stored::outcome::{Asker, Outcome};
use crate::network::names::NameServer;
use crate::network::proxy::Proxy;
use crate::network::shared::Member;
use crate::network::uplink::Uplink;
use crate::sys::process::Exit;
use crate::sys::{On, SysError, process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// A process and all that its monitor serves for it.
pub(crate) struct Supervised {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// The write end of its standard input, if it has one.
    pub stdin: Option<OwnedFd>,
    pub outputs: Vec<(OwnedFd, Stream)>,
    /// Input and output at once, instead of the two above.
    pub terminal: Option<Pty>,
    /// Where there is one id only, who answers about owners: without it, its system calls would fail.
    pub agent: Option<Agent>,
    pub log: Option<Log>,
    pub control: Option<Control>,
    pub proxy: Option<Proxy>,
    pub uplink: Option<Uplink>,
    /// The networks that it is on, and the answers to its questions about names there.
    pub names: Option<NameServer>,
    /// The health checks that its monitor does, if it has any.
    pub health: Option<Checks>,
    /// Its control group, if it has one, which can freeze it.
    pub cgroup: Option<String>,
    /// It is killed when the last client goes.
    pub leashed: bool,
    /// Its streams and ports are kept for the process that may follow it.
    pub may_be_followed: bool,
    /// The first process is our own init, which exits with its child's status.
    pub has_init: bool,
    /// Signals to the monitor, which passes them on.
    pub signals: Option<OwnedFd>,
    pub outcome: Outcome,
}

impl Supervised {
    /// Ends the process before anybody has heard of it.
    pub(crate) fn kill(&self) {
        self.send_signal(libc::SIGKILL);
        let _ = process::wait(self.pid);
    }

    /// Lets published ports lead to the container's address on the first of its networks.
    fn meet_members(&mut self) {
        if let (Some(proxy), Some(names)) = (&mut self.proxy, &self.names) {
            proxy.meet(&names.members().cloned().collect::<Vec<_>>());
        }
    }

    fn send_signal(&self, signal: i32) {
        let _ = process::kill_pidfd(self.pidfd.as_fd(), signal);
    }
}

const CHUNK: usize = 32 * 1024;

/// How long output of a process that has ended may take: a process outside may hold its streams open for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(20);

/// How often input is offered to a terminal that no process has open: its opening is not reported.
const RETRY: Duration = Duration::from_millis(50);

/// What becomes of a process, for whoever keeps its record.
pub(crate) enum Change<'a> {
    /// It is paused for good, or goes on.
    Paused(bool),
    /// It has ended, with this shell status.
    Ended(i32, &'a Outcome),
    /// It was sent a signal.
    Signal(i32),
    /// A health check has found something.
    Health { now: &'a Health, has_changed: bool },
}

/// Watches until the process has ended and everything it wrote was handed on. `changed` is called as soon as it has, and for
/// each other change.
/// Returns its shell status and the clients that wait to hear it.
pub(crate) fn supervise(
    this: &mut Supervised,
    connections: Vec<Connection>,
    changed: impl FnMut(Change) -> Result<(), SysError>,
) -> (i32, Vec<Connection>) {
    let terminal = this.terminal.as_ref().map(Pty::master);
    for fd in this.outputs.iter().map(|(fd, _)| fd).chain(&this.stdin).chain(terminal) {
        unblock(fd);
    }
    let (input, buffer) = (VecDeque::new(), vec![0; CHUNK]);
    let supervisor = Supervisor {
        this,
        connections,
        input,
        input_ended: false,
        kill_at: None,
        status: None,
        buffer,
        closed: Vec::new(),
        freezer: Freezer::default(),
        is_paused: false,
        changed,
    };
    supervisor.run()
}

struct Supervisor<'a, F> {
    this: &'a mut Supervised,
    connections: Vec<Connection>,
    /// Input that the process has not taken yet.
    input: VecDeque<u8>,
    /// No more input comes.
    input_ended: bool,
    /// When the grace of a `stop` runs out.
    kill_at: Option<Instant>,
    /// The shell status of the process, once it has ended.
    status: Option<i32>,
    buffer: Vec<u8>,
    /// Sources that ended during this turn.
    closed: Vec<Source>,
    freezer: Freezer,
    /// It is paused until somebody lets it go on.
    is_paused: bool,
    changed: F,
}

/// A descriptor that the monitor polls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Process,
    Agent,
    Signals,
    Control,
    Proxy,
    Uplink,
    Names,
    Health,
    Terminal,
    Input,
    Output(usize),
    Connection(usize),
}

impl<F: FnMut(Change) -> Result<(), SysError>> Supervisor<'_, F> {
    fn run(mut self) -> (i32, Vec<Connection>) {
        loop {
            if let Some(status) = self.status
                && self.is_silent()
                && !self.is_stalled()
            {
                if let Some(log) = &mut self.this.log {
                    log.finish();
                }
                return (status, self.connections);
            }
            let ready = self.wait();
            if ready.is_empty() && self.status.is_some() && !self.is_stalled() {
                self.this.outputs.clear();
                self.this.terminal = None;
            }
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.kill_at = None;
                self.this.outcome.grace_ran_out = true;
                self.this.send_signal(libc::SIGKILL);
                let _ = (self.changed)(Change::Signal(libc::SIGKILL));
            }
            for (source, events) in ready {
                self.handle(source, events);
            }
            if let Some(names) = self.this.names.as_mut().filter(|_| self.status.is_none()) {
                names.turn();
            }
            self.check_health();
            self.offer_input_again();
            if self.input_ended && self.input.is_empty() {
                self.this.stdin = None;
            }
            self.drop_closed();
        }
    }

    /// Whether a client has no room for what it is to be sent.
    fn is_stalled(&self) -> bool {
        self.connections.iter().any(Connection::is_stalled)
    }

    /// Whether no output can come any more.
    fn is_silent(&self) -> bool {
        self.this.outputs.is_empty() && self.this.terminal.is_none()
    }

    /// Returns the sources with something to do, none after a timeout.
    fn wait(&self) -> Vec<(Source, PollFlags)> {
        let polled = self.sources();
        let mut fds: Vec<PollFd> = polled.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let timeout = self
            .timeout()
            .map(|left| Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) });
        if poll(&mut fds, timeout.as_ref()).is_err() {
            // EINTR: a signal that was for somebody else.
            fds.iter_mut().for_each(PollFd::clear_revents);
        }
        let events = fds.iter().map(PollFd::revents);
        let ready = events.zip(&polled).filter(|(events, _)| !events.is_empty());
        ready.map(|(events, (source, ..))| (*source, events)).collect()
    }

    fn timeout(&self) -> Option<Duration> {
        if self.status.is_some() && !self.is_stalled() {
            return Some(LAST_OUTPUT);
        }
        let grace = self.kill_at.map(|at| at.saturating_duration_since(Instant::now()));
        let is_waiting = !self.input.is_empty() && self.this.terminal.as_ref().is_some_and(|pty| !pty.is_held());
        let health = self.this.health.as_ref().filter(|_| !self.is_held());
        let probe = health.map(|health| health.deadline().saturating_duration_since(Instant::now()));
        let name = self.this.names.as_ref().and_then(NameServer::deadline);
        let name = name.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        grace.into_iter().chain(is_waiting.then_some(RETRY)).chain(probe).chain(name).min()
    }

    fn sources(&self) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let this = &*self.this;
        let (is_stalled, is_running) = (self.is_stalled(), self.status.is_none());
        let mut polled = Vec::with_capacity(8);
        if is_running {
            polled.push((Source::Process, this.pidfd.as_fd(), PollFlags::IN));
        }
        if let Some(agent) = this.agent.as_ref().filter(|_| is_running) {
            polled.push((Source::Agent, agent.as_fd(), PollFlags::IN));
        }
        if let Some(signals) = &this.signals {
            polled.push((Source::Signals, signals.as_fd(), PollFlags::IN));
        }
        if let Some(control) = &this.control {
            polled.push((Source::Control, control.as_fd(), PollFlags::IN));
        }
        if let Some(proxy) = this.proxy.as_ref().filter(|_| is_running) {
            polled.push((Source::Proxy, proxy.fd(), PollFlags::IN));
        }
        if let Some(uplink) = this.uplink.as_ref().filter(|_| is_running) {
            polled.push((Source::Uplink, uplink.fd(), PollFlags::IN));
        }
        if let Some(names) = this.names.as_ref().filter(|_| is_running) {
            polled.push((Source::Names, names.fd(), PollFlags::IN));
        }
        if let Some(health) = this.health.as_ref().filter(|_| is_running) {
            polled.extend(health.fds().map(|fd| (Source::Health, fd, PollFlags::IN)));
        }
        if !is_stalled {
            for (index, (fd, _)) in this.outputs.iter().enumerate() {
                polled.push((Source::Output(index), fd.as_fd(), PollFlags::IN));
            }
        }
        if let Some(terminal) = &this.terminal {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !is_stalled);
            flags.set(PollFlags::OUT, terminal.is_held() && !self.input.is_empty());
            polled.push((Source::Terminal, terminal.to_poll(), flags));
        }
        if let Some(stdin) = this.stdin.as_ref().filter(|_| !self.input.is_empty()) {
            polled.push((Source::Input, stdin.as_fd(), PollFlags::OUT));
        }
        for (index, connection) in self.connections.iter().enumerate() {
            let mut flags = PollFlags::empty();
            // What it sends waits in its socket until the container has taken what it sent before.
            flags.set(PollFlags::IN, !(connection.stdin && self.input.len() > CHUNK));
            flags.set(PollFlags::OUT, connection.is_stalled());
            polled.push((Source::Connection(index), connection.end.as_fd(), flags));
        }
        polled
    }

    fn handle(&mut self, source: Source, events: PollFlags) {
        match source {
            Source::Process => self.take_exit(),
            Source::Agent => {
                if self.this.agent.take().is_some_and(|agent| agent.was_killed()) {
                    self.this.send_signal(libc::SIGKILL);
                }
            }
            Source::Signals => self.pass_signals_on(),
            Source::Control => self.accept_clients(),
            Source::Proxy => {
                if let Some(proxy) = &mut self.this.proxy {
                    proxy.turn();
                }
            }
            Source::Uplink => {
                // Without a way out its device goes, and whoever asks hears so at once.
                if self.this.uplink.as_mut().is_some_and(|uplink| uplink.turn().is_err()) {
                    self.this.uplink = None;
                }
            }
            // After all others.
            Source::Health | Source::Names => {}
            Source::Terminal => self.serve_terminal(events),
            Source::Input => self.feed_stdin(),
            Source::Output(index) => self.read_output(index),
            Source::Connection(index) => self.serve_client(index, events),
        }
    }

    fn take_exit(&mut self) {
        let of_child = if self.this.has_init { reap::signal_of_child(self.this.pid) } else { None };
        let exit = process::wait_for_exit(self.this.pid).unwrap_or(Exit::Code(125));
        let status = exit.shell_status();
        self.this.outcome.ended(of_child.map_or(exit, Exit::Signal));
        self.status = Some(status);
        if !self.this.may_be_followed {
            self.this.proxy = None;
            self.this.stdin = None;
        }
        // Its own processes end with the container's first.
        self.this.health = None;
        self.input.clear();
        if let Some(terminal) = &mut self.this.terminal {
            terminal.assume_held();
        }
        // Its control group may hold the process that follows it.
        self.freezer.thaw(self.this.pid, self.this.cgroup.as_deref());
        // An end that cannot be noted is one all the same.
        let _ = (self.changed)(Change::Ended(status, &self.this.outcome));
    }

    fn pass_signals_on(&mut self) {
        while let Some(signal) = self.this.signals.as_ref().and_then(|fd| process::read_signal(fd.as_fd())) {
            match &mut self.this.control {
                Some(control) if signal == LISTEN_AGAIN => control.listen_again(),
                _ => self.pass_on(Asker::Monitor, signal, None),
            }
        }
    }

    /// Sends a signal to the process, and notes who asked for it.
    fn pass_on(&mut self, by: Asker, signal: i32, grace_ms: Option<u32>) {
        self.this.outcome.ask(by, signal, grace_ms);
        self.this.send_signal(signal);
        let _ = (self.changed)(Change::Signal(signal));
        if self.is_paused && (by == Asker::Stop || signal == libc::SIGTERM) {
            let _ = self.set_paused(false);
        }
    }

    fn check_health(&mut self) {
        if self.is_held() {
            return;
        }
        let (pid, group) = (self.this.pid, self.this.cgroup.clone());
        let Some(health) = &mut self.this.health else { return };
        let Some(finding) = health.turn(pid, group.as_deref()) else { return };
        let _ = (self.changed)(Change::Health { now: &health.health, has_changed: finding.has_changed });
        let (action, is_unhealthy) = (health.action(), health.health.status == HealthStatus::Unhealthy);
        for client in self.connections.iter_mut().filter(|client| client.awaits_probe) {
            client.awaits_probe = false;
            let _ = client.end.send(&Message::Probed { code: finding.exit_code.cast_unsigned() });
        }
        if finding.has_changed && is_unhealthy {
            match action {
                Reaction::Nothing => {}
                Reaction::Kill => self.pass_on(Asker::Health, libc::SIGKILL, None),
                Reaction::Stop { signal, grace_ms } => self.stop(Asker::Health, signal, Some(grace_ms)),
            }
        }
    }

    /// Sends a signal, and SIGKILL after a grace.
    fn stop(&mut self, by: Asker, signal: i32, grace_ms: Option<u32>) {
        self.pass_on(by, signal, grace_ms);
        if let Some(grace) = grace_ms {
            self.kill_at = Some(Instant::now() + Duration::from_millis(grace.into()));
        }
    }

    fn accept_clients(&mut self) {
        while let Some(socket) = self.this.control.as_ref().and_then(Control::accept) {
            self.connections.push(Connection::new(End::new(socket)));
        }
    }

    fn read_output(&mut self, index: usize) {
        let (fd, stream) = &self.this.outputs[index];
        match rustix::io::read(fd, &mut self.buffer) {
            Ok(length) if length > 0 => {
                let stream = *stream;
                self.hand_on(stream, length);
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => self.closed.push(Source::Output(index)),
        }
    }

    fn serve_terminal(&mut self, events: PollFlags) {
        let Some(terminal) = &mut self.this.terminal else { return };
        if events.intersects(PollFlags::IN | PollFlags::HUP) {
            match terminal.read(&mut self.buffer) {
                Read::Bytes(length) => self.hand_on(Stream::Stdout, length),
                // While the process lives, it may open its terminal again.
                Read::HungUp if self.status.is_some() => self.closed.push(Source::Terminal),
                Read::HungUp | Read::Nothing => {}
            }
        }
        if events.contains(PollFlags::OUT)
            && let Some(terminal) = &self.this.terminal
        {
            feed(&mut self.input, terminal.master().as_fd());
        }
    }

    /// Gives the first `length` bytes of the buffer to the log and to every client that listens.
    fn hand_on(&mut self, stream: Stream, length: usize) {
        let bytes = &self.buffer[..length];
        if let Some(log) = &mut self.this.log {
            log.append(stream, bytes);
        }
        self.connections.iter_mut().filter(|c| c.output).for_each(|client| client.send_output(stream, bytes));
    }

    fn feed_stdin(&mut self) {
        if let Some(stdin) = &self.this.stdin
            && !feed(&mut self.input, stdin.as_fd())
        {
            self.this.stdin = None;
            self.input.clear();
        }
    }

    fn offer_input_again(&mut self) {
        if let Some(terminal) = self.this.terminal.as_mut().filter(|terminal| !terminal.is_held())
            && !self.input.is_empty()
            && feed(&mut self.input, terminal.master().as_fd())
        {
            terminal.assume_held();
        }
    }

    fn serve_client(&mut self, index: usize, events: PollFlags) {
        let source = Source::Connection(index);
        let connection = &mut self.connections[index];
        if events.contains(PollFlags::OUT) && !connection.send_pending() {
            self.closed.push(source);
        }
        if !events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            return;
        }
        match connection.end.receive() {
            Ok(Some((message, descriptors))) => {
                if !self.obey(index, message, descriptors) {
                    self.closed.push(source);
                }
            }
            Err(error) if error.errno == libc::EAGAIN => {}
            Ok(None) | Err(_) => self.closed.push(source),
        }
    }

    /// Does what a client asks for. `false`: the conversation is over.
    fn obey(&mut self, index: usize, message: Message, mut descriptors: Vec<OwnedFd>) -> bool {
        let connection = &mut self.connections[index];
        match message {
            Message::Attach { output, stdin, modes } => {
                (connection.output, connection.stdin) = (output, stdin);
                connection.terminal = descriptors.pop().zip(modes);
            }
            Message::Detach => {
                connection.leave_terminal();
                return false;
            }
            Message::Stdin(bytes) => self.input.extend(bytes),
            Message::StdinEnd => self.input_ended = true,
            Message::Resize { rows, columns } => {
                terminal::resize(self.this.terminal.as_ref().map(Pty::master), rows, columns);
            }
            Message::Signal(signal) => {
                let by = if connection.output { Asker::Client } else { Asker::Kill };
                self.pass_on(by, signal.cast_signed(), None);
            }
            Message::Stop { signal, grace } => {
                let grace_ms = Some(grace).filter(|grace| *grace != u32::MAX);
                self.stop(Asker::Stop, signal.cast_signed(), grace_ms);
            }
            Message::Pause { by_signals } => {
                let group = self.this.cgroup.as_deref().filter(|_| !by_signals);
                self.freezer.freeze(self.this.pid, group);
                connection.pauses = true;
                let _ = connection.end.send(&Message::Paused);
            }
            Message::SetPaused { paused } => {
                self.answer(index, |this| this.set_paused(paused));
            }
            Message::Connect(member) => self.answer(index, |this| this.connect(&member)),
            Message::Disconnect(network) => self.answer(index, |this| this.disconnect(&network)),
            Message::Keep => connection.keeps = true,
            Message::Probe => match &mut self.this.health {
                Some(health) => {
                    health.hurry();
                    connection.awaits_probe = true;
                }
                None => return false,
            },
            // Only a monitor or a first process says these.
            Message::Job
            | Message::More
            | Message::WantEgress
            | Message::EgressUp
            | Message::Terminal
            | Message::Did { .. }
            | Message::Ready
            | Message::Go
            | Message::Born { .. }
            | Message::Started { .. }
            | Message::Failed(_)
            | Message::Output { .. }
            | Message::Exited { .. }
            | Message::Paused
            | Message::Probed { .. }
            | Message::Done { .. } => return false,
        }
        true
    }

    /// Does something for a client, and tells it what came of that.
    fn answer(&mut self, index: usize, act: impl FnOnce(&mut Self) -> Result<(), SysError>) {
        let errno = act(self).map_or_else(|error| error.errno.unsigned_abs(), |()| 0);
        let _ = self.connections[index].end.send(&Message::Done { errno });
    }

    /// Comes onto a network.
    fn connect(&mut self, member: &[u8]) -> Result<(), SysError> {
        let invalid = SysError { call: "setns", subject: "a network".into(), errno: libc::EINVAL };
        let member: Member = serde_json::from_slice(member).map_err(|_| invalid)?;
        let alone = SysError { call: "setns", subject: member.network.clone(), errno: libc::ENOTSUP };
        let names = self.this.names.as_mut().ok_or(alone)?;
        names.add(member.join()?).on("epoll_ctl", "the name server")?;
        self.this.meet_members();
        Ok(())
    }

    /// Leaves a network.
    fn disconnect(&mut self, network: &[u8]) -> Result<(), SysError> {
        let network = String::from_utf8_lossy(network);
        let absent = SysError { call: "setns", subject: network.to_string(), errno: libc::ENOENT };
        let left = self.this.names.as_mut().and_then(|names| names.remove(&network)).ok_or(absent)?;
        left.leave()?;
        self.this.meet_members();
        // The way to the name server may have gone with the device.
        self.this.names.as_ref().and_then(|names| names.members().next()).map_or(Ok(()), Member::lead_names)
    }

    /// Pauses the process until somebody lets it go on, or lets it go on.
    fn set_paused(&mut self, paused: bool) -> Result<(), SysError> {
        self.is_paused = paused;
        let group = self.this.cgroup.as_deref();
        if paused {
            self.freezer.freeze(self.this.pid, group);
        }
        let noted = (self.changed)(Change::Paused(paused));
        self.is_paused &= noted.is_ok();
        if !self.is_held() {
            self.freezer.thaw(self.this.pid, self.this.cgroup.as_deref());
        }
        noted
    }

    /// Whether anybody wants it to stand still.
    fn is_held(&self) -> bool {
        self.is_paused || self.connections.iter().any(|client| client.pauses)
    }

    /// Drops the sources that ended, from the back, so that the numbers before stay right.
    fn drop_closed(&mut self) {
        let mut closed = std::mem::take(&mut self.closed);
        closed.sort_unstable();
        closed.dedup();
        for source in closed.into_iter().rev() {
            match source {
                Source::Output(index) => drop(self.this.outputs.remove(index)),
                Source::Connection(index) => self.drop_client(index),
                Source::Terminal => self.this.terminal = None,
                // These end with the process or the monitor.
                Source::Process
                | Source::Agent
                | Source::Signals
                | Source::Control
                | Source::Proxy
                | Source::Uplink
                | Source::Names
                | Source::Health
                | Source::Input => {}
            }
        }
    }

    fn drop_client(&mut self, index: usize) {
        let has_paused = self.connections.remove(index).pauses;
        if has_paused && !self.is_held() {
            self.freezer.thaw(self.this.pid, self.this.cgroup.as_deref());
        }
        if self.this.leashed && self.connections.is_empty() {
            self.this.send_signal(libc::SIGKILL);
        }
    }
}

/// Writes what fits. `false`: nobody reads it any more.
fn feed(input: &mut VecDeque<u8>, fd: BorrowedFd) -> bool {
    match rustix::io::write(fd, input.make_contiguous()) {
        Ok(length) => {
            input.drain(..length);
            true
        }
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => true,
        Err(_) => false,
    }
}

fn unblock(fd: &OwnedFd) {
    let _ = rustix::io::ioctl_fionbio(fd, true);
}
