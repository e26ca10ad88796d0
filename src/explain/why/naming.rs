//! Names of signals and programs.

use std::path::Path;

/// Returns a signal's name, such as `SIGKILL`.
pub(crate) fn signal_name(number: i32) -> String {
    nix::sys::signal::Signal::try_from(number).map_or_else(|_| number.to_string(), |signal| signal.as_str().to_owned())
}

/// Returns the last part of a path.
pub(super) fn file_name(word: &str) -> String {
    Path::new(word).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
