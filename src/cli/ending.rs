//! The note about containers that end with their user's session.

use super::stderr;
use crate::container::live::session::Ending;
use crate::container::stored::record::Container;

/// Prints a note where a detached container will end with the user's session.
pub(super) fn note_ending(container: &Container) {
    if let Some(ending) = Ending::of(container.state().monitor.0) {
        stderr::note(&format!("{}; to keep it: {}", ending.note(), ending.mend()));
    }
}
