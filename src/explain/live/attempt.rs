//! What came of a forbidden operation, and what stopped it.

use crate::container::probe::Operation;
use crate::explain::words::Words;
use serde::Serialize;

/// The result of one attempt.
#[derive(Debug, Serialize)]
pub(crate) struct AttemptResult {
    #[serde(rename = "name")]
    pub operation: Operation,
    /// The system call.
    pub call: &'static str,
    pub outcome: Outcome,
    /// What stopped it; each of several would have done so alone. Of an operation that was not tried: what would stop it.
    pub walls: Vec<Wall>,
    /// `None`: it was not tried.
    pub answer: Option<Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    GoesThrough,
    Stopped,
    /// It would harm processes outside the container.
    NotTried,
}

/// The kernel's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Answer {
    Done,
    Errno {
        number: i32,
    },
    /// A signal that ended the process which tried.
    Signal {
        number: i32,
    },
}

impl Answer {
    /// Decodes an answer that the process in the container printed.
    pub(crate) fn of(number: i32) -> Self {
        match number {
            0 => Self::Done,
            number @ 1.. => Self::Errno { number },
            signal => Self::Signal { number: -signal },
        }
    }
}

/// What stops an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Wall {
    Seccomp,
    /// A capability that the container does not have.
    Capability {
        name: caps::Capability,
    },
    /// The container has the capability, but only over its own user namespace.
    UserNamespace,
    /// The process has no ID in the container's namespace.
    PidNamespace,
    MountNamespace,
    ReadOnly,
    Masked,
    /// The operation would only end the processes of this PID namespace.
    OwnPidNamespace,
    /// A limit of the container's control group: the file and its value.
    Limit {
        file: &'static str,
        value: u64,
    },
    /// This flag, which sets the limit, was not given.
    NoLimit {
        flag: &'static str,
    },
    /// The flag was given, but this host does not provide the controller.
    NoController {
        flag: &'static str,
    },
    /// The kernel does not support the operation.
    NotInThisKernel,
    Other,
}

/// Returns an operation as a person reads it.
pub(crate) fn text(operation: Operation, words: &Words) -> &'static str {
    match operation {
        Operation::TooManyProcesses => words.too_many_processes,
        Operation::TooMuchMemory => words.too_much_memory,
        Operation::LoadAModule => words.load_a_module,
        Operation::BootAnotherKernel => words.boot_another_kernel,
        Operation::Reboot => words.reboot,
        Operation::SetTheClock => words.set_the_clock,
        Operation::Mount => words.mount,
        Operation::MakeADevice => words.make_a_device,
        Operation::OpenADisk => words.open_a_disk,
        Operation::SignalAHostProcess => words.signal_a_host_process,
        Operation::WriteIntoALayer => words.write_into_a_layer,
        Operation::SetAKernelParameter => words.set_a_kernel_parameter,
        Operation::SeeTheInterrupts => words.see_the_interrupts,
        Operation::ChangeItsNetwork => words.change_its_network,
        Operation::RaiseALimit => words.raise_a_limit,
        Operation::LoadABpfProgram => words.load_a_bpf_program,
        Operation::WriteIntoItsRoot => words.write_into_its_root,
        Operation::GiveAFileAway => words.give_a_file_away,
        Operation::BecomeAnotherUser => words.become_another_user,
        Operation::OpenARawSocket => words.open_a_raw_socket,
        Operation::BeRootOfANamespace => words.be_root_of_a_namespace,
    }
}
