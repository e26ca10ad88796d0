use crate::diag;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Tells once that a file is damaged, in a command that goes on without it.
pub(crate) fn tell_damage(path: &Path, why: &dyn Display) {
    static REPORTED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut reported = REPORTED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !reported.iter().any(|other| other == path) {
        diag::note(&format!("{} is damaged ({why}); what mends it: {CHECK}", path.display()));
        reported.push(path.to_owned());
    }
}

/// The command that repairs a damaged file of the store.
pub(crate) const CHECK: &str = "minirun system check --repair";
