//! The codes of verdicts, and the texts of each.

use crate::explain::words::Words;
use serde::Serialize;

/// Defines the codes, each with its two texts: what is wrong, and what mends it.
macro_rules! codes {
    ($($code:ident => $why:ident, $mend:ident;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Code { $($code,)* }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            pub(super) fn texts(self, words: &Words) -> (&'static str, &'static str) {
                match self { $(Self::$code => (words.$why, words.$mend),)* }
            }
        }
    };
}

codes! {
    CommandNotFound => why_command_not_found, mend_command_not_found;
    HiddenByMount => why_hidden_by_mount, mend_hidden_by_mount;
    OptionAfterImage => why_option_after_image, mend_option_after_image;
    SeveralWordsInOne => why_several_words_in_one, mend_several_words_in_one;
    ShellBuiltin => why_shell_builtin, mend_shell_builtin;
    NotExecutable => why_not_executable, mend_not_executable;
    NotExecutableByUser => why_not_executable_by_user, mend_not_executable_by_user;
    MountedNoexec => why_mounted_noexec, mend_mounted_noexec;
    InterpreterMissing => why_interpreter_missing, mend_interpreter_missing;
    ScriptHasCrlf => why_script_has_crlf, mend_script_has_crlf;
    ScriptHasBom => why_script_has_bom, mend_script_has_bom;
    NoInterpreterLine => why_no_interpreter_line, mend_no_interpreter_line;
    FileIsEmpty => why_file_is_empty, mend_file_is_empty;
    WrongArchitecture => why_wrong_architecture, mend_wrong_architecture;
    WorkdirNotADirectory => why_workdir_not_a_directory, mend_workdir_not_a_directory;
    PortTaken => why_port_taken, mend_port_taken;
    PortPrivileged => why_port_privileged, mend_port_privileged;
    CouldNotStart => why_could_not_start, mend_could_not_start;
    OutOfMemory => why_out_of_memory, mend_out_of_memory;
    ChildOutOfMemory => why_child_out_of_memory, mend_out_of_memory;
    HostOutOfMemory => why_host_out_of_memory, mend_host_out_of_memory;
    MonitorKilled => why_monitor_killed, mend_monitor_killed;
    HostRestarted => why_host_restarted, mend_host_restarted;
    WentToBackground => why_went_to_background, mend_went_to_background;
    NothingToRead => why_nothing_to_read, mend_nothing_to_read;
    GraceRanOut => why_grace_ran_out, mend_grace_ran_out;
    KilledBySignal => why_killed_by_signal, mend_killed_by_signal;
    Unhealthy => why_unhealthy, mend_unhealthy;
    CrashLoop => why_crash_loop, mend_crash_loop;
    KilledFromElsewhere => why_killed_from_elsewhere, mend_killed_from_elsewhere;
    Crashed => why_crashed, mend_crashed;
    EndNotRecorded => why_end_not_recorded, mend_end_not_recorded;
    ShellFoundNoCommand => why_shell_found_no_command, mend_shell_found_no_command;
    ShellCouldNotExecute => why_shell_could_not_execute, mend_shell_could_not_execute;
    LibraryMissing => why_library_missing, mend_library_missing;
    ModuleMissing => why_module_missing, mend_module_missing;
    FileMissing => why_file_missing, mend_file_missing;
    VariableMissing => why_variable_missing, mend_variable_missing;
    NameNotResolved => why_name_not_resolved, mend_name_not_resolved;
    ConnectionRefused => why_connection_refused, mend_connection_refused;
    ReadOnlyFileSystem => why_read_only_file_system, mend_read_only_file_system;
    NoSpaceLeft => why_no_space_left, mend_no_space_left;
    TooManyFiles => why_too_many_files, mend_too_many_files;
    TooManyProcesses => why_too_many_processes, mend_too_many_processes;
    AddressInUse => why_address_in_use, mend_address_in_use;
    PermissionDenied => why_permission_denied, mend_permission_denied;
    ConfigurationRejected => why_configuration_rejected, mend_configuration_rejected;
    ProgramFailed => why_program_failed, mend_program_failed;
    Stopped => why_stopped, mend_stopped;
    NothingListens => why_nothing_listens, mend_nothing_listens;
    ListensOnLocalhost => why_listens_on_localhost, mend_listens_on_localhost;
    ListensElsewhere => why_listens_elsewhere, mend_listens_elsewhere;
    ExposedNotPublished => why_exposed_not_published, mend_exposed_not_published;
    PublishedInVain => why_published_in_vain, mend_published_in_vain;
    IgnoresSigterm => why_ignores_sigterm, mend_ignores_sigterm;
    ShellForm => why_shell_form, mend_shell_form;
    ScriptWithoutExec => why_script_without_exec, mend_script_without_exec;
    TrapWaits => why_trap_waits, mend_trap_waits;
    HandlerDoesNotExit => why_handler_does_not_exit, mend_handler_does_not_exit;
    PeerUnknown => why_peer_unknown, mend_peer_unknown;
    PeerNotRunning => why_peer_not_running, mend_peer_not_running;
    PeerPaused => why_peer_paused, mend_peer_paused;
    OnNoNetwork => why_on_no_network, mend_on_no_network;
    NoCommonNetwork => why_no_common_network, mend_no_common_network;
    NameElsewhere => why_name_elsewhere, mend_name_elsewhere;
    PeerHasNoListener => why_peer_has_no_listener, mend_peer_has_no_listener;
    PeerListensOnLocalhost => why_peer_listens_on_localhost, mend_listens_on_localhost;
    PeerListensElsewhere => why_peer_listens_elsewhere, mend_peer_listens_elsewhere;
}
