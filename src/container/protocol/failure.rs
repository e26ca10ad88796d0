//! A failure on its way to the process that holds the plan and tells it.

use super::call::Call;
use crate::sys::SysError;

/// What failed: where, in which system call, and the kernel's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub stage: Stage,
    pub call: Call,
    pub errno: i32,
}

/// The part of a start that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A step of the plan, by its number.
    Step(u32),
    Task(Task),
}

/// What a monitor does besides the steps of its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    ReadJob,
    OpenStore,
    ReadRecord,
    OpenStreams,
    OpenCgroup,
    StartEgress,
    OpenRoot,
    Listen,
    WatchFirstProcess,
    /// The first process went without a word.
    LostFirstProcess,
    WriteState,
}

impl Task {
    const ALL: [Task; 11] = [
        Self::ReadJob,
        Self::OpenStore,
        Self::ReadRecord,
        Self::OpenStreams,
        Self::OpenCgroup,
        Self::StartEgress,
        Self::OpenRoot,
        Self::Listen,
        Self::WatchFirstProcess,
        Self::LostFirstProcess,
        Self::WriteState,
    ];

    pub fn failed(self, error: &SysError) -> Failure {
        Failure { stage: Stage::Task(self), call: Call::of(error), errno: error.errno }
    }
}

impl Failure {
    pub fn of_step(number: u32, error: &SysError) -> Self {
        Self { stage: Stage::Step(number), call: Call::of(error), errno: error.errno }
    }

    /// Steps count from the first number up, tasks from the last one down.
    pub(super) fn numbers(&self) -> [u32; 3] {
        let stage = match self.stage {
            Stage::Step(number) => number,
            Stage::Task(task) => u32::MAX - task as u32,
        };
        [stage, self.call.number(), self.errno.cast_unsigned()]
    }

    pub(super) fn from_numbers([stage, call, errno]: [u32; 3]) -> Self {
        let task = usize::try_from(u32::MAX - stage).ok().and_then(|index| Task::ALL.get(index));
        let stage = task.map_or(Stage::Step(stage), |task| Stage::Task(*task));
        Self { stage, call: Call::from_number(call), errno: errno.cast_signed() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Stage, Task};
    use crate::container::protocol::Call;

    #[test]
    fn a_failure_survives_its_numbers() {
        let stages = Task::ALL.map(Stage::Task).into_iter().chain([Stage::Step(0), Stage::Step(70)]);
        for stage in stages {
            let failure = Failure { stage, call: Call::Setresgid, errno: libc::EINVAL };
            assert_eq!(Failure::from_numbers(failure.numbers()), failure);
        }
    }
}
