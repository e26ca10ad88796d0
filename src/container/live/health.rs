//! Health checks: a container's monitor runs a probe from time to time, beside everything else that it does.

use super::init;
use crate::container::plan::step::Step;
use crate::container::plan::{Ids, Plan, Walk};
use crate::container::processes;
use crate::container::protocol::{End, Failure, Message, Task};
use crate::container::request::signal::Signal;
use crate::container::request::{HealthCheck, OnUnhealthy, STOP_TIMEOUT};
use crate::container::rootfs::root::Root;
use crate::container::stored::health::{Health, ProbeResult};
use crate::container::stored::record::Container;
use crate::sys::process::Exit;
use crate::sys::{On, SysError, descriptor, process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::error::Error;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// The health checks of a running container.
pub(crate) struct Checks {
    container: Container,
    command: Vec<String>,
    ids: Ids,
    pub(super) health: Health,
    started: Instant,
    /// When the next probe begins.
    due: Instant,
    probe: Option<Probe>,
}

/// What a monitor does to a container that has become unhealthy.
pub(super) enum Reaction {
    Nothing,
    Kill,
    Stop { signal: i32, grace_ms: u32 },
}

/// What a probe that has ended says.
pub(super) struct Finding {
    pub exit_code: i32,
    pub has_changed: bool,
}

impl Checks {
    /// Returns the checks of a container that has been started. `None`: it has no health check.
    pub(super) fn new(container: &Container, ids: Ids) -> Option<Self> {
        let command = container.record.health_command.clone()?;
        let mut checks = Self {
            container: container.clone(),
            command,
            ids,
            health: Health::default(),
            started: Instant::now(),
            due: Instant::now(),
            probe: None,
        };
        checks.due += checks.interval();
        Some(checks)
    }

    fn check(&self) -> &HealthCheck {
        &self.container.record.request.health
    }

    fn is_starting(&self) -> bool {
        self.started.elapsed() < self.check().start_period() && self.health.is_starting()
    }

    fn interval(&self) -> Duration {
        if self.is_starting() { self.check().start_interval() } else { self.check().interval() }
    }

    /// Returns what happens when the container becomes unhealthy.
    pub(super) fn action(&self) -> Reaction {
        let request = &self.container.record.request;
        let signal = request.stop_signal.unwrap_or(Signal::TERM).number();
        let grace_ms = request.stop_timeout.unwrap_or(STOP_TIMEOUT).saturating_mul(1000);
        match request.on_unhealthy {
            OnUnhealthy::None => Reaction::Nothing,
            OnUnhealthy::Kill => Reaction::Kill,
            OnUnhealthy::Stop | OnUnhealthy::Restart => Reaction::Stop { signal, grace_ms },
        }
    }

    /// Lets the next probe begin at once.
    pub(super) fn hurry(&mut self) {
        self.due = Instant::now();
    }

    /// When there is something to do even if no descriptor is ready.
    pub(super) fn deadline(&self) -> Instant {
        self.probe.as_ref().map_or(self.due, |probe| probe.begun + self.check().timeout())
    }

    /// Returns the descriptors to poll.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.probe.iter().flat_map(Probe::fds)
    }

    /// Does what can be done without waiting. `payload`: the container's first process.
    pub(super) fn turn(&mut self, payload: i32, group: Option<&str>) -> Option<Finding> {
        let timeout = self.check().timeout();
        let result = match &mut self.probe {
            None if Instant::now() < self.due => return None,
            None => match Probe::start(&self.container, payload, &self.command, self.ids, group) {
                Ok(probe) => {
                    self.probe = Some(probe);
                    return None;
                }
                Err(error) => ProbeResult { start: now(), end: now(), exit_code: -1, output: error.to_string() },
            },
            Some(probe) => match probe.end(timeout)? {
                Ended::With(result) => result,
                Ended::Failed(failure, result) => ProbeResult { output: self.sentence(payload, failure), ..result },
            },
        };
        let counts = !self.is_starting();
        self.probe = None;
        let exit_code = result.exit_code;
        let retries = self.check().retries();
        let has_changed = self.health.take(result, counts, retries);
        self.due = Instant::now() + self.interval();
        crate::sys::memory::give_back();
        Some(Finding { exit_code, has_changed })
    }

    /// Returns why a probe could not be started.
    fn sentence(&self, payload: i32, failure: Failure) -> String {
        match plan(&self.container, payload, &self.command, self.ids) {
            Ok(plan) => {
                let error = plan.failure(failure);
                error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
            }
            Err(error) => error,
        }
    }
}

fn plan(container: &Container, payload: i32, command: &[String], ids: Ids) -> Result<Plan, String> {
    let spec = container.spec().map_err(|error| error.to_string())?;
    let mut process = spec.process().clone().unwrap_or_default();
    process.set_args(Some(command.to_vec()));
    process.set_terminal(Some(false));
    Plan::of_exec(payload, spec, &process, ids).map_err(|error| error.to_string())
}

/// The most bytes of a probe's output that are kept, as with Docker.
const LONGEST: usize = 4096;

/// How often the processes of a probe are looked for, to be killed.
const ROUNDS: usize = 20;

/// A probe that runs.
struct Probe {
    pid: i32,
    pidfd: OwnedFd,
    /// The conversation until it has become the command.
    end: Option<End>,
    output: Option<OwnedFd>,
    text: Vec<u8>,
    failure: Option<Failure>,
    start: String,
    begun: Instant,
    has_ended: bool,
}

enum Ended {
    With(ProbeResult),
    /// It could not be started.
    Failed(Failure, ProbeResult),
}

impl Probe {
    fn start(
        container: &Container,
        payload: i32,
        command: &[String],
        ids: Ids,
        group: Option<&str>,
    ) -> Result<Self, SysError> {
        let group = group.map(|path| File::open(path).on("open", path)).transpose()?;
        let (ours, theirs) = End::pair()?;
        let (output, input) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).on("pipe2", "")?;
        let Some(child) = process::clone3(0, group.as_ref().map(AsFd::as_fd))? else {
            drop((ours, output, group));
            let failure = become_probe(container, payload, command, ids, &theirs, &input);
            let _ = theirs.send(&Message::Failed(failure));
            process::exit_now(125);
        };
        let _ = rustix::io::ioctl_fionbio(ours.socket(), true);
        let _ = rustix::io::ioctl_fionbio(&output, true);
        Ok(Self {
            pid: child.pid,
            pidfd: child.pidfd,
            end: Some(ours),
            output: Some(output),
            text: Vec::new(),
            failure: None,
            start: now(),
            begun: Instant::now(),
            has_ended: false,
        })
    }

    fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let own = [self.end.as_ref().map(AsFd::as_fd), self.output.as_ref().map(AsFd::as_fd)];
        std::iter::once(self.pidfd.as_fd()).chain(own.into_iter().flatten())
    }

    /// Returns its result if it has ended, or has run for too long and was killed.
    fn end(&mut self, timeout: Duration) -> Option<Ended> {
        self.listen();
        self.read();
        let born = self.pid;
        let exit_code = if self.is_over() {
            // The last words of a process that has made way for another come before its end.
            self.listen();
            if self.pid != born {
                return None;
            }
            self.read();
            self.has_ended = true;
            process::wait_for_exit(self.pid).map_or(-1, Exit::shell_status)
        } else if self.begun.elapsed() >= timeout {
            self.kill();
            self.read();
            -1
        } else {
            return None;
        };
        let mut output = String::from_utf8_lossy(&self.text).into_owned();
        if exit_code == -1 {
            output =
                format!("Health check exceeded timeout ({timeout:?}): {output}").trim_end_matches([':', ' ']).into();
        }
        let result = ProbeResult { start: std::mem::take(&mut self.start), end: now(), exit_code, output };
        Some(match self.failure {
            Some(failure) => Ended::Failed(failure, ProbeResult { exit_code: -1, ..result }),
            None => Ended::With(result),
        })
    }

    /// Hears what the process says until it has become the command.
    fn listen(&mut self) {
        while let Some(end) = &self.end {
            match end.receive() {
                Ok(Some((Message::Born { pid }, _))) => {
                    let Ok(pidfd) = process::pidfd_open(pid.cast_signed()) else { return };
                    let _ = process::wait(self.pid);
                    (self.pid, self.pidfd) = (pid.cast_signed(), pidfd);
                }
                Ok(Some((Message::Failed(failure), _))) => self.failure = Some(failure),
                Ok(Some(_)) => {}
                Err(error) if error.errno == libc::EAGAIN => return,
                Ok(None) | Err(_) => self.end = None,
            }
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; LONGEST];
        while let Some(output) = &self.output {
            match rustix::io::read(output, &mut buffer) {
                Ok(length) if length > 0 => {
                    let room = LONGEST.saturating_sub(self.text.len());
                    self.text.extend(buffer.iter().take(length.min(room)));
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return,
                Ok(_) | Err(_) => self.output = None,
            }
        }
    }

    fn is_over(&self) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&at_once)) == Ok(1)
    }

    /// Kills it with the processes that it has started.
    fn kill(&mut self) {
        self.listen();
        // One may be born while the others are being killed.
        for _ in 0..ROUNDS {
            let family = processes::family(self.pid);
            if family.is_empty() {
                break;
            }
            family.iter().for_each(|pid| drop(process::kill(*pid, libc::SIGKILL)));
        }
        let _ = process::kill_pidfd(self.pidfd.as_fd(), libc::SIGKILL);
        let _ = process::wait(self.pid);
        self.has_ended = true;
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.has_ended {
            self.kill();
        }
    }
}

/// The child's side: enters the container and becomes the command. Returns only if that fails.
fn become_probe(
    container: &Container,
    payload: i32,
    command: &[String],
    ids: Ids,
    monitor: &End,
    output: &OwnedFd,
) -> Failure {
    process::die_with_parent(libc::SIGKILL);
    let [_, stdout, stderr] = descriptor::STREAMS;
    for stream in [stdout, stderr] {
        if let Err(error) = stream.replace(output.as_fd()) {
            return Task::OpenStreams.failed(&error);
        }
    }
    let Ok(plan) = plan(container, payload, command, ids) else {
        let error = SysError { call: "read", subject: "config.json".into(), errno: libc::EBADMSG };
        return Task::ReadRecord.failed(&error);
    };
    let mut walk = Walk::default();
    for (index, step) in (0..).zip(&plan.outside) {
        if matches!(step, Step::Clone { .. }) {
            continue;
        }
        if let Err(error) = step.apply(&mut walk) {
            return Failure::of_step(index, &error);
        }
    }
    match Root::open("/") {
        Ok(root) => walk.root = Some(root),
        Err(error) => return Task::OpenRoot.failed(&error),
    }
    init::walk(&plan.inside, plan.outside.len() as u32, walk, monitor, false, false)
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}
