//! The sentence for a start that failed.

use super::assemble::Plan;
use super::step::Step;
use crate::container::protocol::{Call, Failure, Stage, Task};
use crate::diag;
use crate::diag::{Diagnose, ErrorCode};
use crate::network::shared::BRIDGE;
use crate::sys::SysError;

/// The part of a start that failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {subject}")]
pub struct StepFailed {
    subject: String,
    hint: Option<String>,
    exit_code: u8,
    code: Option<ErrorCode>,
    #[source]
    source: SysError,
    /// The kernel refuses an overlay.
    pub no_overlay: bool,
    /// The container cannot be on the network that it has not asked for.
    pub no_network: bool,
    /// The kernel cannot execute such a program.
    pub no_program: bool,
}

impl Diagnose for StepFailed {
    fn code(&self) -> Option<ErrorCode> {
        self.code
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl StepFailed {
    /// Whether the client tries again, with less.
    pub(crate) fn is_tried_again(&self) -> bool {
        self.no_overlay || self.no_network
    }
}

impl Plan {
    fn networks(&self) -> usize {
        self.outside.iter().filter(|step| matches!(step, Step::Member(_))).count()
    }

    /// Returns the sentence for a failure that another process has sent as numbers.
    pub fn failure(&self, Failure { stage, call, errno }: Failure) -> StepFailed {
        let step = match stage {
            Stage::Step(number) => self.steps().nth(number as usize),
            Stage::Task(_) => None,
        };
        let source = SysError { call: call.name(), subject: object(step, call), errno };
        let (subject, hint) = match (step, stage) {
            (Some(step), _) => (step.subject(), step.hint(errno)),
            (None, Stage::Task(task)) => (subject(task).to_owned(), hint(task, errno)),
            // A monitor of the same program counts no further than its plan.
            (None, Stage::Step(number)) => (format!("carry out step {number}"), None),
        };
        let exit_code = match (step, errno) {
            (Some(Step::Exec { .. }), libc::ENOENT | libc::ENOTDIR) => diag::NOT_FOUND,
            (Some(Step::Exec { .. } | Step::Directory { .. }), _) => diag::NOT_EXECUTABLE,
            _ => diag::ENGINE,
        };
        let code = match exit_code {
            diag::NOT_FOUND => Some(ErrorCode::ProgramNotFound),
            diag::NOT_EXECUTABLE if matches!(step, Some(Step::Exec { .. })) => Some(ErrorCode::NotExecutable),
            _ => source.code(),
        };
        StepFailed {
            subject,
            hint: hint.or_else(|| source.hint()),
            exit_code,
            code,
            source,
            no_program: matches!(step, Some(Step::Exec { .. })) && errno == libc::ENOEXEC,
            no_network: matches!(step, Some(Step::Member(member)) if member.network == BRIDGE) && self.networks() == 1,
            no_overlay: matches!(step, Some(Step::Overlay(_))) && errno != libc::ENOSPC && errno != libc::ENOENT,
        }
    }
}

/// Returns the argument of the call that failed, as far as the step knows it.
fn object(step: Option<&Step>, call: Call) -> String {
    match (step, call) {
        (Some(Step::Exec { argv, .. }), _) => argv[0].clone(),
        (Some(Step::Directory { path }), _) => path.clone(),
        (Some(Step::Mount(mount)), _) => mount.target.clone(),
        (Some(Step::User { uid, .. }), Call::Setresuid) => uid.to_string(),
        (Some(Step::User { gid, .. }), Call::Setresgid) => gid.to_string(),
        (Some(Step::User { groups: Some(groups), .. }), Call::Setgroups) => format!("{groups:?}"),
        _ => String::new(),
    }
}

fn subject(task: Task) -> &'static str {
    match task {
        Task::ReadJob => "read the monitor's job",
        Task::OpenStore => "open the store from the container's user namespace",
        Task::ReadRecord => "read the container's record",
        Task::OpenStreams => "open the standard streams",
        Task::OpenCgroup => "open the container's control group",
        Task::StartEgress => "start the way out of the network namespace",
        Task::OpenRoot => "open the root directory",
        Task::Listen => "listen on the container's control socket",
        Task::WatchFirstProcess => "watch the container's first process",
        Task::LostFirstProcess => "set up the container: its first process was killed",
        Task::WriteState => "write the container's state",
    }
}

fn hint(task: Task, errno: i32) -> Option<String> {
    match (task, errno) {
        (Task::OpenStore, libc::EACCES | libc::EPERM) => Some(
            "the user of the container may not enter a directory above the store; choose another: minirun --root DIR …"
                .into(),
        ),
        (Task::OpenCgroup, _) => Some("see which controllers this host gives you: minirun doctor".into()),
        (
            Task::ReadJob
            | Task::OpenStore
            | Task::ReadRecord
            | Task::OpenStreams
            | Task::StartEgress
            | Task::OpenRoot
            | Task::Listen
            | Task::WatchFirstProcess
            | Task::LostFirstProcess
            | Task::WriteState,
            _,
        ) => None,
    }
}
