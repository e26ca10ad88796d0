//! The attestations of a finished build, and its files with the attestations among them.

use super::engine::Builder;
use super::shared::Shared;
use super::stage::Stage;
use crate::builder::attest::provenance;
use crate::builder::attest::provenance::FinishedStage;
use crate::builder::attest::sbom;
use crate::builder::error::BuildError;
use crate::container::decide::create;
use crate::container::rootfs::root::Root;
use crate::image::attestation::Attestation;
use crate::image::name::digest::{Digest, Hashing};
use crate::sys::On;
use rustix::fs::OFlags;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

impl Builder<'_> {
    /// Makes all attestations of the target that the options ask for.
    pub(crate) fn attest(&mut self) -> Result<Vec<Attestation>, BuildError> {
        let options = self.shared.options;
        let mut all = Vec::new();
        if options.attestations.sbom {
            let (shared, target) = self.target();
            let root = Root::of(shared.view(&target.state.layers)?);
            let name = options.names.first().map_or_else(|| "image".to_owned(), |name| name.familiar());
            all.push(sbom::attestation(&name, &root, options.epoch)?);
        }
        if let Some(wanted) = &options.attestations.provenance {
            let Shared { store, record, plan, .. } = &self.shared;
            let stages = self.needed.iter().map(|id| &self.stages[id.index()]);
            let stages = stages.map(|stage| FinishedStage {
                id: stage.id,
                steps: &stage.steps,
                depths: &stage.depths,
                layers: &stage.state.layers,
            });
            all.push(provenance::attestation(wanted, store, options, plan, record, &stages.collect::<Vec<_>>())?);
        }
        Ok(all)
    }
}

impl Shared<'_> {
    /// Opens the files of a stage, with the attestations as files among them.
    pub(crate) fn view_with(&mut self, stage: &Stage, attestations: &[Attestation]) -> Result<OwnedFd, BuildError> {
        let layers = &stage.state.layers;
        let view = self.view(layers)?;
        if attestations.is_empty() {
            return Ok(view);
        }
        let root = Root::of(view);
        for name in attestations.iter().map(file_name) {
            if root.resolve(name, OFlags::PATH).is_ok() {
                return Err(BuildError::AttestationName(name));
            }
        }
        let mut subjects = Vec::new();
        let top = PathBuf::from(format!("/proc/self/fd/{}", root.fd().as_raw_fd()));
        digests(&top, Path::new(""), &mut subjects)?;
        let mut lower = self.layer_directories(layers);
        let directory = self.new_directory()?.join("upper");
        let path = self.store.path(&directory);
        create::like_lowest_root(self.store, &lower, &directory);
        let when = self.options.epoch.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds.max(0).unsigned_abs()));
        for attestation in attestations {
            let statement = json!({
                "_type": "https://in-toto.io/Statement/v0.1",
                "predicateType": attestation.predicate_type,
                "subject": subjects,
                "predicate": attestation.predicate,
            });
            let file = path.join(file_name(attestation));
            let text = serde_json::to_string_pretty(&statement).unwrap_or_default() + "\n";
            fs::write(&file, text).on("write", &file)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).on("chmod", &file)?;
            if let Some(when) = when {
                File::open(&file).and_then(|file| file.set_modified(when)).on("futimens", &file)?;
            }
        }
        if let Some(when) = when {
            File::open(&path).and_then(|directory| directory.set_modified(when)).on("futimens", &path)?;
        }
        lower.push(directory.to_string_lossy().into_owned());
        self.view_of(lower)
    }
}

/// Returns the name that BuildKit gives an attestation beside exported files.
fn file_name(attestation: &Attestation) -> &'static str {
    if attestation.is_provenance() { "provenance.json" } else { "sbom.spdx.json" }
}

/// Appends the names and digests of all regular files below a directory, in the order of their names.
fn digests(directory: &Path, shown: &Path, all: &mut Vec<Value>) -> Result<(), BuildError> {
    let entries = fs::read_dir(directory.join(".")).on("opendir", directory)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().on("readdir", directory)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, shown) = (entry.path(), shown.join(entry.file_name()));
        let file_type = entry.file_type().on("stat", &path)?;
        if file_type.is_dir() {
            digests(&path, &shown, all)?;
        } else if file_type.is_file() {
            let mut file = Hashing::new(File::open(&path).on("open", &path)?);
            io::copy(&mut file, &mut io::sink()).on("read", &path)?;
            let (_, digest, _): (_, Digest, _) = file.finish();
            all.push(json!({ "name": shown.to_string_lossy(), "digest": { "sha256": digest.hex() } }));
        }
    }
    Ok(())
}
