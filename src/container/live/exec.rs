//! Another process in a running container.

use super::cgroup;
use super::job::Job;
use super::launch;
use super::launch::{LaunchError, Silent};
use crate::container::decide::users;
use crate::container::plan::Plan;
use crate::container::probe::{Targets, Without};
use crate::container::protocol::End;
use crate::container::request::capability::{self, Selected};
use crate::container::stored::record::{Container, Phase, RecordError};
use crate::diag::Diagnose;
use crate::journal::{self, Event};
use crate::store::Store;
use crate::userns::Outside;
use std::path::Path;

/// The options of `exec`.
pub(crate) struct Wanted {
    pub command: Vec<String>,
    pub env: Vec<String>,
    pub user: Option<String>,
    pub workdir: Option<String>,
    pub privileged: bool,
    pub terminal: bool,
    pub stdin: bool,
    /// Forbidden operations to try in place of the command.
    pub probe: Option<(Targets, Without)>,
    /// What the journal is told; nothing of a probe.
    pub events: Option<Events>,
}

/// The events of a process: those of its start, and that of its end, which its monitor adds the exit code to.
pub(crate) struct Events {
    pub begin: Vec<Event>,
    pub end: Event,
}

impl Events {
    pub(crate) fn new(container: &Container, command: &[String]) -> Self {
        let (id, typed) = (crate::store::random_hex(32), command.join(" "));
        let event = |action: &str| container.record.event(action).with("execID", &id);
        let begin = vec![event(&format!("exec_create: {typed}")), event(&format!("exec_start: {typed}"))];
        Self { begin, end: event("exec_die") }
    }

    /// Returns what makes the event of a client that lets go of the process, when it does.
    pub(crate) fn detached(&self) -> impl Fn() -> Event + use<> {
        let end = self.end.clone();
        move || end.clone().again("exec_detach")
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error(transparent)]
    User(#[from] users::UserError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

impl Diagnose for ExecError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        match self {
            Self::User(error) => Some(error),
            Self::Launch(error) => Some(error),
        }
    }
}

/// Starts the process. Returns the client's end of the conversation with its monitor.
pub(crate) fn start(store: &Store, container: &Container, wanted: Wanted) -> Result<End, ExecError> {
    let name = &container.record.name;
    let state = container.state();
    if state.phase != Phase::Running {
        return Err(LaunchError::from(container.not_running()).into());
    }
    if state.is_paused {
        return Err(LaunchError::from(RecordError::Paused(name.clone())).into());
    }
    if !container.control().exists() {
        // Its monitor has its name there too, by which the user namespace is found.
        container.reach().map_err(LaunchError::from)?;
    }
    let prepared = launch::prepare_beside(store, name, state.pid)?;
    let spec = container.spec().map_err(LaunchError::from)?;
    let mut process = spec.process().clone().unwrap_or_default();
    let mut env = process.env().clone().unwrap_or_default();
    if let Some(text) = &wanted.user {
        let root = format!("/proc/{}/root", state.pid);
        let user = users::resolve(text, |path| users::read_beneath(Path::new(&root), path))?;
        process.set_user(user_of(&user));
        env.retain(|e| !e.starts_with("HOME="));
        env.push(format!("HOME={}", user.home));
    }
    for entry in &wanted.env {
        let name = entry.split('=').next().unwrap_or_default();
        env.retain(|e| e.split('=').next() != Some(name));
        env.push(entry.clone());
    }
    if !wanted.terminal && container.record.request.terminal {
        // That is the terminal of the container's first process, unless it was asked for.
        let is_asked = container.record.request.env.iter().any(|entry| entry.starts_with("TERM="));
        env.retain(|entry| entry != "TERM=xterm" || is_asked);
    }
    if wanted.terminal && !env.iter().any(|e| e.starts_with("TERM=")) {
        env.push("TERM=xterm".into());
    }
    process.set_env(Some(env));
    process.set_args(Some(wanted.command));
    process.set_terminal(Some(wanted.terminal));
    if let Some(directory) = wanted.workdir {
        process.set_cwd(directory.into());
    }
    if wanted.privileged {
        let shared = if container.record.request.is_strong() { &[][..] } else { &capability::STRONG };
        let left_out: Vec<_> = shared.iter().map(|capability| Selected::One(*capability)).collect();
        let all = capability::choose(&[], &left_out, true);
        let mut capabilities = process.capabilities().clone().unwrap_or_default();
        capabilities.set_bounding(Some(capability::to_spec(&all)));
        process.set_capabilities(Some(capabilities));
    }
    let mut plan = Plan::of_exec(state.pid, spec, &process, prepared.ids().into()).map_err(LaunchError::from)?;
    if let Some((targets, without)) = wanted.probe {
        plan.probe(targets, without);
    }
    let last_event = wanted.events.map(|Events { begin, end }| {
        // Before the process, which may be quicker than we are.
        journal::note(store, &begin);
        end
    });
    let job = Job {
        outside: Outside::of(store),
        plan,
        container: None,
        terminal: wanted.terminal,
        size: launch::terminal_size(),
        stdin: wanted.stdin,
        ports: Vec::new(),
        egress: None,
        runtime: container.runtime.clone(),
        cgroup: state.cgroup.filter(|group| cgroup::admit(group, prepared.pid())),
        told: false,
        leashed: false,
        last_event,
    };
    Ok(launch::converse(prepared, &job, Vec::new(), name, &mut Silent)?)
}

fn user_of(user: &users::User) -> oci_spec::runtime::User {
    let mut of_spec = oci_spec::runtime::User::default();
    of_spec.set_uid(user.uid).set_gid(user.gid).set_additional_gids(Some(user.groups.clone()));
    of_spec
}
