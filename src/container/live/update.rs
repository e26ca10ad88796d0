//! Other limits, or another restart policy, for a container that is there. Of limits the kernel's first, which may refuse them, then the record's.

use super::cgroup;
use crate::container::decide::spec;
use crate::container::plan::limits;
use crate::container::request::{InvalidLimit, Limits, RestartPolicy};
use crate::container::stored::record::{Container, RecordError};
use crate::diag::{Diagnose, inner_of};
use crate::store;
use crate::store::Store;
use crate::sys::SysError;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub(crate) enum UpdateError {
    #[error("invalid limit for container {0}: memory and swap together are less than memory alone")]
    Swap(String),
    #[error("cannot change the restart policy of container {0}: it was made with --rm")]
    RemovesAndRestarts(String),
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
    #[error("the container's specification cannot be made")]
    Spec(#[from] serde_json::Error),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for UpdateError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Limit, Record, Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Swap(_) => Some("give both: --memory 512m --memory-swap 1g".into()),
            Self::RemovesAndRestarts(_) => Some("make it without --rm".into()),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// What is to change.
pub(crate) struct Changes {
    pub limits: Limits,
    pub restart: Option<RestartPolicy>,
}

/// Makes the changes that are given. Returns notes on those that have no effect now.
pub(crate) fn update(store: &Store, container: &Container, changes: &Changes) -> Result<Vec<String>, UpdateError> {
    let wanted = &changes.limits;
    let _lock = container.lock()?;
    // As it is under the lock.
    let container = Container::load(store, &container.record.id)?;
    let mut record = container.record.clone();
    let state = container.state();
    let mut notes = Vec::new();
    if let Some(policy) = changes.restart {
        if record.request.auto_remove && policy != RestartPolicy::No {
            return Err(UpdateError::RemovesAndRestarts(record.name));
        }
        if state.phase.has_monitor() && !record.request.may_restart() && policy != RestartPolicy::No {
            let name = &record.name;
            notes.push(format!(
                "the restart policy of container {name} takes effect at its next start: it runs without one"
            ));
        }
        record.request.restart = policy;
    }
    let limits = &mut record.request.limits;
    *limits = Limits {
        memory: wanted.memory.or(limits.memory),
        swap: wanted.swap.or(limits.swap),
        reservation: wanted.reservation.or(limits.reservation),
        cpus: wanted.cpus.or(limits.cpus),
        cpu_period: wanted.cpu_period.or(limits.cpu_period),
        cpu_shares: wanted.cpu_shares.or(limits.cpu_shares),
        cpuset_cpus: wanted.cpuset_cpus.clone().or(limits.cpuset_cpus.take()),
        cpuset_mems: wanted.cpuset_mems.clone().or(limits.cpuset_mems.take()),
        io_weight: wanted.io_weight.or(limits.io_weight),
        pids: wanted.pids.or(limits.pids),
    };
    limits.check()?;
    if let (Some(memory), Some(both)) = (limits.memory, limits.swap.and_then(|both| u64::try_from(both).ok()))
        && both < memory
    {
        return Err(UpdateError::Swap(record.name));
    }
    let resources = serde_json::from_value(spec::resources(limits))?;
    match state.cgroup.as_deref().map(Path::new) {
        _ if !state.phase.has_monitor() || *wanted == Limits::default() => {}
        Some(group) => notes.extend(cgroup::change(group, limits, &limits::settings(&resources))?),
        None => notes.push(format!(
            "the limits of container {} take effect at its next start: it runs without a control group",
            record.name
        )),
    }
    let mut spec = container.spec()?.clone();
    let mut linux = spec.linux().clone().unwrap_or_default();
    linux.set_resources(Some(resources));
    spec.set_linux(Some(linux));
    store::write_quickly(&container.directory.join("config.json"), &serde_json::to_vec(&spec)?)?;
    store::write_quickly(&container.directory.join("container.json"), &store::format::to_record(&record))?;
    Ok(notes)
}
