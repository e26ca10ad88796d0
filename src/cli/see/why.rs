//! `why`: reasons instead of states.

use super::super::{Context, json};
use super::Telling;
use crate::container::record::Container;
use crate::container::spec::Origin;
use crate::diag::Failure;
use crate::explain::why::{self, Code, Reasons, Verdict, Word};
use crate::explain::words::{Language, Words, fill};
use crate::userns;
use clap::Args;

#[derive(Args)]
pub struct WhyArgs {
    #[command(flatten)]
    telling: Telling,
    container: String,
}

impl WhyArgs {
    pub fn run(self, context: &Context) -> Result<u8, Failure> {
        userns::enter(&context.store)?;
        let container = Container::find(&context.store, &self.container)?;
        let reasons = why::look(&context.store, &container)?;
        if self.telling.json {
            json::print(&reasons)?;
        } else {
            print!("{}", told(&reasons, &container.record.name, self.telling.speech.language()));
        }
        Ok(0)
    }
}

fn told(reasons: &Reasons, name: &str, language: Language) -> String {
    let words = language.words();
    let mut text = String::new();
    let width = reasons.argv.iter().map(|Word { word, .. }| word.chars().count()).max().unwrap_or(0).min(40);
    for (index, Word { word, origin }) in reasons.argv.iter().enumerate() {
        let from = match origin {
            Origin::EntrypointOption => words.from_entrypoint_option,
            Origin::ImageEntrypoint => words.from_image_entrypoint,
            Origin::CommandLine => words.from_command_line,
            Origin::ImageCmd => words.from_image_cmd,
        };
        let title = if index == 0 { words.what_ran } else { "" };
        let indent = words.what_ran.chars().count();
        text += &format!("{title:<indent$}   {word:<width$}   {from}\n");
    }
    text.push('\n');
    if reasons.verdicts.is_empty() {
        text += &match reasons.phase.as_str() {
            "exited" => fill(words.ended_well, &[&name, &reasons.exit_code]),
            "running" => fill(words.runs_well, &[&name]),
            _ => fill(words.was_never_started, &[&name]),
        };
        text.push('\n');
    }
    for verdict in &reasons.verdicts {
        let (reason, mend) = sentence(verdict, words);
        text += &format!("{reason}\n   → {mend}\n");
    }
    text
}

/// What is wrong, and what mends it.
fn sentence(verdict: &Verdict, words: &Words) -> (String, String) {
    let Verdict { code, subject, found } = verdict;
    let (reason, mend) = match code {
        Code::CommandNotFound => (words.why_command_not_found, words.mend_command_not_found),
        Code::NotExecutable => (words.why_not_executable, words.mend_not_executable),
        Code::InterpreterMissing => (words.why_interpreter_missing, words.mend_interpreter_missing),
        Code::ScriptHasCrlf => (words.why_script_has_crlf, words.mend_script_has_crlf),
        Code::WrongArchitecture => (words.why_wrong_architecture, words.mend_wrong_architecture),
        Code::PortTaken => (words.why_port_taken, words.mend_port_taken),
        Code::PortPrivileged => (words.why_port_privileged, words.mend_port_privileged),
        Code::CouldNotStart => (words.why_could_not_start, words.mend_could_not_start),
        Code::OutOfMemory => (words.why_out_of_memory, words.mend_out_of_memory),
        Code::MonitorKilled => (words.why_monitor_killed, words.mend_monitor_killed),
        Code::WentToBackground => (words.why_went_to_background, words.mend_went_to_background),
        Code::NothingToRead => (words.why_nothing_to_read, words.mend_nothing_to_read),
        Code::KilledBySignal => (words.why_killed_by_signal, words.mend_killed_by_signal),
        Code::Crashed => (words.why_crashed, words.mend_crashed),
        Code::ShellFoundNoCommand => (words.why_shell_found_no_command, words.mend_shell_found_no_command),
        Code::ShellCouldNotExecute => (words.why_shell_could_not_execute, words.mend_shell_could_not_execute),
        Code::LibraryMissing => (words.why_library_missing, words.mend_library_missing),
        Code::ReadOnlyFileSystem => (words.why_read_only_file_system, words.mend_read_only_file_system),
        Code::NoSpaceLeft => (words.why_no_space_left, words.mend_no_space_left),
        Code::AddressInUse => (words.why_address_in_use, words.mend_address_in_use),
        Code::PermissionDenied => (words.why_permission_denied, words.mend_permission_denied),
        Code::ConfigurationRejected => (words.why_configuration_rejected, words.mend_configuration_rejected),
        Code::ProgramFailed => (words.why_program_failed, words.mend_program_failed),
        Code::NothingListens => (words.why_nothing_listens, words.mend_nothing_listens),
        Code::ListensOnLocalhost => (words.why_listens_on_localhost, words.mend_listens_on_localhost),
        Code::ListensElsewhere => (words.why_listens_elsewhere, words.mend_listens_elsewhere),
        Code::ExposedNotPublished => (words.why_exposed_not_published, words.mend_exposed_not_published),
        Code::IgnoresSigterm => (words.why_ignores_sigterm, words.mend_ignores_sigterm),
        Code::ShellForm => (words.why_shell_form, words.mend_shell_form),
    };
    (fill(reason, &[subject, found]), fill(mend, &[found]))
}
