//! Findings, and the ways to make one: mend, leave, remove.

use crate::diag::{Failure, in_one_line};
use crate::registry::Settings;
use crate::store::{self, Store};
use crate::sys::{On, SysError};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// One damage or leftover.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// The path relative to the store.
    pub path: PathBuf,
    pub damage: String,
    pub outcome: Outcome,
    /// What mends it, or why nothing can.
    pub repair: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Mended,
    /// `--repair` would mend it.
    Mendable,
    Left,
}

pub(super) struct Check<'a> {
    pub store: &'a Store,
    pub repairs: bool,
    pub settings: &'a Settings,
    pub findings: Vec<Finding>,
    /// Directories of layers that cannot be recovered.
    pub lost: Vec<String>,
}

impl Check<'_> {
    /// Reports a damage, and mends it if repairs are asked for. Returns whether it is mended.
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
        self.report(path, damage.into(), outcome, repair);
        outcome == Outcome::Mended
    }

    /// Reports a damage that only its owner can mend.
    pub(super) fn leave(&mut self, path: &Path, damage: impl Into<String>, advice: impl Into<String>) {
        self.report(path, damage.into(), Outcome::Left, advice.into());
    }

    fn report(&mut self, path: &Path, damage: String, outcome: Outcome, repair: String) {
        let path = path.strip_prefix(&self.store.root).unwrap_or(path).to_owned();
        self.findings.push(Finding { path, damage, outcome, repair });
    }

    /// Removes what does not belong where it lies.
    pub(super) fn remove(&mut self, path: &Path, damage: impl Into<String>) {
        self.mend(path, damage, "remove it", || Ok(store::remove_tree(path)?));
    }

    pub(super) fn entries(&self, part: &str) -> Result<Vec<PathBuf>, SysError> {
        entries(&self.store.path(part))
    }

    /// Replaces anything but a directory by an empty directory. Returns whether it is a directory then.
    pub(super) fn directory(&mut self, path: &Path) -> bool {
        let make = || {
            store::remove_tree(path)?;
            Ok(fs::create_dir(path).on("mkdir", path)?)
        };
        path.is_dir() || self.mend(path, "is not a directory", "create an empty one", make)
    }
}

/// Returns the entries of a directory sorted by name; none, if it does not exist.
pub(super) fn entries(directory: &Path) -> Result<Vec<PathBuf>, SysError> {
    let found = match fs::read_dir(directory) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return Ok(Vec::new()),
        other => other.on("opendir", directory)?,
    };
    let mut found: Vec<PathBuf> = found.flatten().map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}

/// Returns the last part of a path.
pub(super) fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
