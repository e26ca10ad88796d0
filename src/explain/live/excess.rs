//! Attempts to exceed a container's limits: whether a limit is set, whether it can be exceeded without harm to others, and
//! what the control group recorded.

use super::attempt::{Answer, AttemptResult, Outcome, Wall};
use crate::container::live::cgroup;
use crate::container::probe::{Operation, TOO_MANY_PROCESSES_CALL, TOO_MUCH_MEMORY_CALL, Targets};
use crate::container::stored::record::Container;
use std::fs;
use std::path::PathBuf;

/// Larger limits are not tried: that would take long, and resources of the host.
const MOST_BIRTHS: u64 = 1024;
const MOST_BYTES: u64 = 1 << 30;

/// Both limits, read before the attempts.
pub(super) struct Excess {
    group: Option<PathBuf>,
    processes: Limit,
    memory: Limit,
}

struct Limit {
    operation: Operation,
    /// The system call that goes beyond it.
    call: &'static str,
    /// The flag of `run` that sets it.
    flag: &'static str,
    file: &'static str,
    /// `None`: the container has no such limit.
    value: Option<u64>,
    is_wanted: bool,
    /// An amount beyond the limit, if it is small enough to be tried.
    to_try: Option<u64>,
    /// How often the limit was reached so far.
    met: u64,
}

impl Excess {
    pub(super) fn of(container: &Container) -> Self {
        let group = container.state().cgroup.map(PathBuf::from);
        let read = |file| group.as_ref().and_then(|group| cgroup::limit(group, file));
        let wanted = &container.record.request.limits;
        let births = read("pids.max").map(|most| {
            // A few processes may end meanwhile.
            most.saturating_sub(read("pids.current").unwrap_or(0)) + 8
        });
        let bytes = read("memory.max")
            .map(|most| most + read("memory.swap.max").unwrap_or_else(|| of_host("SwapTotal:")) + (16 << 20));
        let alone = read("memory.oom.group") == Some(0);
        let free = of_host("MemAvailable:");
        let (met_processes, met_memory) = met(group.as_ref());
        Self {
            processes: Limit {
                operation: Operation::TooManyProcesses,
                call: TOO_MANY_PROCESSES_CALL,
                flag: "--pids-limit",
                file: "pids.max",
                value: read("pids.max"),
                is_wanted: wanted.pids.is_some_and(|most| most > 0),
                to_try: births.filter(|births| *births <= MOST_BIRTHS),
                met: met_processes,
            },
            memory: Limit {
                operation: Operation::TooMuchMemory,
                call: TOO_MUCH_MEMORY_CALL,
                flag: "--memory",
                file: "memory.max",
                value: read("memory.max"),
                is_wanted: wanted.memory.is_some(),
                to_try: bytes.filter(|bytes| alone && *bytes <= MOST_BYTES && *bytes < free / 2),
                met: met_memory,
            },
            group,
        }
    }

    pub(super) fn is_tried(&self) -> bool {
        self.processes.to_try.is_some() || self.memory.to_try.is_some()
    }

    /// Adds these attempts to those of the probe.
    pub(super) fn targets(&self, others: &Targets) -> Targets {
        Targets { births: self.processes.to_try, bytes: self.memory.to_try, ..others.clone() }
    }

    /// Returns what came of it. `answer` gives the printed number of an operation.
    pub(super) fn results(&self, answer: impl Fn(Operation) -> Option<i32>) -> [AttemptResult; 2] {
        let (births, bytes) = (answer(Operation::TooManyProcesses), answer(Operation::TooMuchMemory));
        let (processes, memory) = met(self.group.as_ref());
        let killed = bytes == Some(-libc::SIGKILL) && memory > self.memory.met;
        if let Some(group) = self.group.as_ref().filter(|_| killed) {
            cgroup::provoked_a_kill(group);
        }
        let refused = births == Some(libc::EAGAIN) && processes > self.processes.met;
        [self.processes.result(births, refused), self.memory.result(bytes, killed)]
    }
}

impl Limit {
    fn result(&self, answer: Option<i32>, was_met: bool) -> AttemptResult {
        let (operation, call, flag) = (self.operation, self.call, self.flag);
        let walls = match (self.value, answer) {
            (None, _) if self.is_wanted => vec![Wall::NoController { flag }],
            (None, _) => vec![Wall::NoLimit { flag }],
            (Some(_), Some(0)) => Vec::new(),
            (Some(_), Some(_)) if !was_met => vec![Wall::Other],
            (Some(value), _) => vec![Wall::Limit { file: self.file, value }],
        };
        let outcome = match answer {
            None => Outcome::NotTried,
            Some(0) => Outcome::GoesThrough,
            Some(_) => Outcome::Stopped,
        };
        AttemptResult { operation, call, outcome, walls, answer: answer.map(Answer::of) }
    }
}

/// Returns how often each limit was reached so far.
fn met(group: Option<&PathBuf>) -> (u64, u64) {
    group.map_or((0, 0), |group| (cgroup::events(group, "pids.events", "max"), cgroup::killed_for_memory(group)))
}

/// Returns a value of `/proc/meminfo` in bytes.
fn of_host(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes =
        text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}
