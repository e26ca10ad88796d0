//! A container's life under its monitor: its process, and those that follow it where its policy says so.

use super::birth::Supplies;
use super::cgroup;
use super::connection::Connection;
use super::health::Checks;
use super::interval::{self, Waited};
use super::restart::{Restarts, is_final};
use super::supervise::{Change, Supervised, supervise};
use crate::container::plan::Ids;
use crate::container::processes;
use crate::container::protocol::Message;
use crate::container::request::{OnUnhealthy, RestartPolicy};
use crate::container::stored::health::Health;
use crate::container::stored::outcome::Outcome;
use crate::container::stored::record::{Container, Phase, State};
use crate::diag::Diagnose;
use crate::journal::Event;
use crate::store;
use crate::store::Store;
use crate::sys::process;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) struct Lifetime<'a> {
    pub store: &'a Store,
    pub container: &'a Container,
    pub state: &'a mut State,
    /// `None`: no other process follows the first.
    pub supplies: Option<Supplies>,
    pub ids: Ids,
}

impl Lifetime<'_> {
    /// Supervises the container until it ends for good. Returns its shell status and the clients that wait to hear it.
    pub(super) fn run(mut self, supervised: &mut Supervised, mut clients: Vec<Connection>) -> (i32, Vec<Connection>) {
        let stop_signal = self.container.record.request.stop_signal.map(|signal| signal.number());
        let mut restarts = Restarts::default();
        let mut killed_for_memory = 0;
        loop {
            let begun = Instant::now();
            let mut delay = None;
            // In a PID namespace of others, its processes outlive the first one.
            let mounts = Some(self.state.pid).filter(|pid| !processes::owns_pids(*pid));
            let mut mounts = mounts.and_then(|pid| process::namespace(pid, "mnt").ok());
            let (status, listening) = supervise(supervised, clients, |change| {
                match change {
                    Change::Paused(is_paused) => {
                        self.state.is_paused = is_paused;
                        return self.container.write_state(self.state);
                    }
                    Change::Ended(status, outcome) => {
                        if let Some(mounts) = mounts.take() {
                            processes::kill_in_mounts(&mounts);
                        }
                        let policy = self.policy();
                        delay = restarts.after(policy, status, outcome, stop_signal, begun.elapsed());
                        self.note_end(status, outcome, &mut killed_for_memory);
                        self.state.restarts = restarts.count;
                        self.settle(if delay.is_some() { Phase::Restarting } else { Phase::Exited });
                        self.tell_end(status, begun.elapsed());
                    }
                    Change::Signal(signal) => self.note(&[self.event("kill").with("signal", signal)]),
                    Change::Health { now, has_changed } => {
                        self.state.health = Some(now.clone());
                        let _ = self.container.write_state(self.state);
                        if has_changed {
                            self.note(&[self.event(&format!("health_status: {}", now.status))]);
                        }
                    }
                }
                Ok(())
            });
            let Some(delay) = delay else { return (status, listening) };
            // A request that came while the last output was read is known already, and its client hears of the end only then.
            let is_stopped = supervised.outcome.asked.iter().any(|asked| is_final(asked, stop_signal));
            clients = if is_stopped { listening } else { part(listening, status) };
            let until = Instant::now() + delay;
            if interval::wait(supervised, &mut clients, until, stop_signal) == Waited::Stopped {
                self.state.outcome = Some(supervised.outcome.clone());
                self.settle(Phase::Exited);
                return (status, clients);
            }
            if !self.start_again(supervised) {
                return (self.state.exit_code, clients);
            }
        }
    }

    /// Returns the policy as it is now: `update` may have changed it.
    fn policy(&self) -> (RestartPolicy, OnUnhealthy) {
        if self.supplies.is_none() {
            return (RestartPolicy::No, OnUnhealthy::None);
        }
        let now = Container::load(self.store, &self.container.record.id);
        let request = &now.as_ref().unwrap_or(self.container).record.request;
        (request.restart, request.on_unhealthy)
    }

    fn note_end(&mut self, status: i32, outcome: &Outcome, killed_for_memory: &mut u64) {
        let state = &mut *self.state;
        (state.pid, state.pid_started, state.is_paused) = (0, 0, false);
        state.exit_code = status;
        state.outcome = Some(outcome.clone());
        if let Some(group) = &state.cgroup {
            let killed = cgroup::killed_without_intent(Path::new(group));
            state.oom_killed = killed > *killed_for_memory;
            *killed_for_memory = killed;
        }
        state.finished = jiff::Timestamp::now().to_string();
    }

    /// Returns an event of the container under its present name.
    fn event(&self, action: &str) -> Event {
        let now = Container::load(self.store, &self.container.record.id);
        now.as_ref().unwrap_or(self.container).record.event(action)
    }

    fn note(&self, events: &[Event]) {
        crate::journal::note(self.store, events);
    }

    fn tell_end(&self, status: i32, uptime: Duration) {
        let end = self.event("die").with("exitCode", status).with("execDuration", uptime.as_secs());
        let out_of_memory = self.state.oom_killed.then(|| self.event("oom"));
        self.note(&out_of_memory.into_iter().chain([end]).collect::<Vec<_>>());
    }

    /// Writes how the container is without a process. If none will follow, all that only a running one has goes.
    fn settle(&mut self, phase: Phase) {
        self.state.phase = phase;
        let is_final = phase == Phase::Exited;
        if is_final {
            self.supplies = None;
            if let Some(group) = &self.state.cgroup {
                cgroup::remove(Path::new(group));
            }
        }
        // Together, as whoever starts it again sees it: nothing of ours may meet what is the next monitor's.
        let _lock = self.container.lock();
        if is_final {
            crate::network::shared::leave_all(self.store, self.container.record.id.as_str());
        }
        let _ = self.container.write_state(self.state);
        if is_final {
            let _ = store::remove_tree(&self.container.runtime);
        }
    }

    /// Starts the next process. `false`: it could not be started, which the state tells.
    fn start_again(&mut self, supervised: &mut Supervised) -> bool {
        let Some(supplies) = &self.supplies else { return false };
        let started = supplies.start();
        crate::sys::memory::give_back();
        match started {
            Ok(born) => {
                (supervised.pid, supervised.pidfd, supervised.terminal) = (born.pid, born.pidfd, born.terminal);
                supervised.outputs = supplies.outputs().unwrap_or_default();
                supervised.outcome = Outcome::default();
                supervised.health = Checks::new(self.container, self.ids);
                let state = &mut *self.state;
                state.phase = Phase::Running;
                state.pid = supervised.pid;
                state.pid_started = process::start_time(supervised.pid).unwrap_or_default();
                (state.outcome, state.oom_killed) = (None, false);
                state.health = supervised.health.as_ref().map(|_| Health::default());
                state.started = jiff::Timestamp::now().to_string();
                let _ = self.container.write_state(state);
                self.note(&[self.event("start")]);
                true
            }
            Err(error) => {
                self.state.error = match error.source() {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                };
                (self.state.hint, self.state.exit_code) = (error.hint(), error.exit_code().into());
                self.state.outcome = None;
                self.settle(Phase::Exited);
                false
            }
        }
    }
}

/// Tells the clients that the process has ended. Those that keep the container paused stay.
fn part(clients: Vec<Connection>, status: i32) -> Vec<Connection> {
    let last = Message::Exited { code: status.unsigned_abs() };
    let (stay, go): (Vec<_>, Vec<_>) = clients.into_iter().partition(|client| client.pauses);
    for mut client in go {
        client.leave_terminal();
        if client.end.send(&last).is_err_and(|error| error.errno == libc::EAGAIN) {
            let _ = client.end.wait_and_send(&last);
        }
    }
    stay
}
