//! Findings, and the ways to make one: mend, leave, remove.

use crate::diag::{Failure, in_one_line};
use crate::registry::Settings;
use crate::store::{self, Store};
use crate::sys::{On, SysError};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// One thing that is not as it should be.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// Relative to the store.
    pub path: PathBuf,
    pub damage: String,
    pub outcome: Outcome,
    /// What mends it, or why that cannot be.
    pub repair: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Mended,
    /// With `--repair`.
    Mendable,
    Left,
}

pub(super) struct Check<'a> {
    pub store: &'a Store,
    pub repairs: bool,
    pub settings: &'a Settings,
    pub findings: Vec<Finding>,
    /// Directories of layers that nothing brings back.
    pub lost: Vec<String>,
}

impl Check<'_> {
    /// Tells of a damage, and mends it if that is wanted. `true`: it is mended.
    pub(super) fn mend(
        &mut self,
        path: &Path,
        damage: impl Into<String>,
        repair: impl Into<String>,
        act: impl FnOnce() -> Result<(), Failure>,
    ) -> bool {
        let (outcome, repair) = match self.repairs.then(act) {
            None => (Outcome::Mendable, repair.into()),
            Some(Ok(())) => (Outcome::Mended, repair.into()),
            Some(Err(error)) => (Outcome::Left, format!("{} failed: {}", repair.into(), in_one_line(error.as_ref()))),
        };
        self.tell(path, damage.into(), outcome, repair);
        outcome == Outcome::Mended
    }

    /// Tells of a damage that only its owner can mend.
    pub(super) fn leave(&mut self, path: &Path, damage: impl Into<String>, advice: impl Into<String>) {
        self.tell(path, damage.into(), Outcome::Left, advice.into());
    }

    fn tell(&mut self, path: &Path, damage: String, outcome: Outcome, repair: String) {
        let path = path.strip_prefix(&self.store.root).unwrap_or(path).to_owned();
        self.findings.push(Finding { path, damage, outcome, repair });
    }

    /// What does not belong where it lies.
    pub(super) fn drop_it(&mut self, path: &Path, damage: impl Into<String>) {
        self.mend(path, damage, "remove it", || Ok(store::remove_tree(path)?));
    }

    pub(super) fn entries(&self, part: &str) -> Result<Vec<PathBuf>, SysError> {
        entries(&self.store.path(part))
    }

    /// What must be a directory becomes an empty one if it is none. `true`: it is one now.
    pub(super) fn directory(&mut self, path: &Path) -> bool {
        let make = || {
            store::remove_tree(path)?;
            Ok(fs::create_dir(path).on("mkdir", path)?)
        };
        path.is_dir() || self.mend(path, "is no directory", "make it anew, empty", make)
    }
}

/// What is in a directory, in the order of names; nothing, if it is not there.
pub(super) fn entries(directory: &Path) -> Result<Vec<PathBuf>, SysError> {
    let found = match fs::read_dir(directory) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return Ok(Vec::new()),
        other => other.on("opendir", directory)?,
    };
    let mut found: Vec<PathBuf> = found.flatten().map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
