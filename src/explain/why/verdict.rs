//! A verdict: what is wrong with a container, and what mends it.

use super::Code;
use crate::explain::words::Words;
use serde::Serialize;

/// The value of `found` for a directory in place of a program.
pub(super) const DIRECTORY: &str = "directory";

#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub code: Code,
    /// The program, file, port or signal that the verdict is about.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// The part of the advice that depends on the container.
    pub advice: Option<String>,
}

impl Verdict {
    pub(super) fn new(code: Code, subject: impl ToString, found: impl ToString) -> Self {
        Self { code, subject: subject.to_string(), found: found.to_string(), advice: None }
    }

    pub(super) fn advise(self, advice: impl ToString) -> Self {
        Self { advice: Some(advice.to_string()), ..self }
    }

    /// Returns what is wrong and what mends it: texts with places for `subject`, `found`, `advice` and more.
    pub(crate) fn texts(&self, words: &Words) -> (&'static str, &'static str) {
        let (why, mend) = self.code.texts(words);
        match (self.code, &self.advice) {
            (Code::NotExecutable, _) if self.found == DIRECTORY => (words.why_is_directory, words.mend_is_directory),
            (Code::PortTaken, None) => (words.why_port_taken_by_unknown, mend),
            (Code::CouldNotStart, None) => (why, words.mend_could_not_start_by_steps),
            (Code::ProgramFailed, advice) => {
                let why = if self.found.is_empty() { words.why_program_failed_silently } else { why };
                (why, if advice.is_some() { words.mend_program_reports_signal } else { mend })
            }
            (Code::PermissionDenied, Some(advice)) if advice.starts_with("--security-opt") => {
                (why, words.mend_set_user_id)
            }
            (Code::NothingListens, Some(_)) => (words.why_nothing_listens_there, mend),
            (Code::WentToBackground, None) => (why, words.mend_sent_to_background),
            (Code::Crashed, Some(_)) => (why, words.mend_crashed_by_bus),
            (Code::ReadOnlyFileSystem, None) => (why, words.mend_read_only_somewhere),
            (Code::ReadOnlyFileSystem, Some(advice)) if advice.ends_with(":ro") => (why, words.mend_read_only_mount),
            (Code::ReadOnlyFileSystem, Some(advice)) if advice.starts_with('/') => (why, words.mend_read_only_kernel),
            (Code::FileMissing, None) => (why, words.mend_file_missing_somewhere),
            (Code::TooManyFiles, None) => (why, words.mend_too_many_files_of_host),
            (Code::TooManyProcesses, None) => (why, words.mend_too_many_processes_of_host),
            (Code::NameNotResolved, Some(advice)) if advice.starts_with("--dns") => (why, words.mend_name_by_dns),
            (Code::PermissionDenied, None) => (why, words.mend_permission_denied_somewhere),
            (Code::ShellCouldNotExecute, None) => (why, words.mend_shell_could_not_execute_somewhere),
            (Code::NameNotResolved, Some(_)) => (why, words.mend_name_without_network),
            (Code::ConnectionRefused, None) => (why, words.mend_connection_refused_elsewhere),
            (Code::IgnoresSigterm, None) => (words.why_ignores_deliberately, words.mend_ignores_deliberately),
            (Code::MonitorKilled, None) => (why, words.mend_monitor_killed_by_somebody),
            (Code::PeerUnknown, None) => (why, words.mend_peer_unknown_at_all),
            (Code::PeerListensElsewhere, None) => (why, words.mend_listens_on_localhost),
            _ => (why, mend),
        }
    }
}
