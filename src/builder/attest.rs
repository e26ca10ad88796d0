//! What is told beside an image: how it was made ([`provenance`]) and what is in it ([`sbom`]), as in-toto predicates.

pub(crate) mod provenance;
pub(crate) mod sbom;

use super::BuildError;
use super::walk::engine::Builder;
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

/// What is to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attestations {
    pub provenance: Option<provenance::Wanted>,
    pub sbom: bool,
}

impl Attestation {
    /// What its file is called beside the files of a result, as with BuildKit.
    fn file_name(&self) -> &'static str {
        if self.is_provenance() { "provenance.json" } else { "sbom.spdx.json" }
    }

    pub(crate) fn is_provenance(&self) -> bool {
        self.predicate_type.starts_with("https://slsa.dev/provenance/")
    }
}

impl Builder<'_> {
    /// All that was asked for, of a stage that is done.
    pub(crate) fn attest(&mut self, number: usize) -> Result<Vec<Attestation>, BuildError> {
        let mut all = Vec::new();
        if self.options.attestations.sbom {
            let layers = self.state(number).layers.clone();
            let root = Root::of(self.view(&layers)?);
            let name = self.options.names.first().map_or_else(|| "image".to_owned(), |name| name.familiar());
            all.push(sbom::attestation(&name, &root, self.options.epoch)?);
        }
        if let Some(wanted) = &self.options.attestations.provenance {
            all.push(self.provenance(wanted)?);
        }
        Ok(all)
    }

    /// The files of a stage, and the attestations as files among them.
    pub(crate) fn view_with(&mut self, number: usize, attestations: &[Attestation]) -> Result<OwnedFd, BuildError> {
        let layers = self.state(number).layers.clone();
        let view = self.view(&layers)?;
        if attestations.is_empty() {
            return Ok(view);
        }
        let root = Root::of(view);
        for name in attestations.iter().map(Attestation::file_name) {
            if root.resolve(name, OFlags::PATH).is_ok() {
                return Err(BuildError::AttestationName(name));
            }
        }
        let mut subjects = Vec::new();
        let top = PathBuf::from(format!("/proc/self/fd/{}", root.fd().as_raw_fd()));
        digests(&top, Path::new(""), &mut subjects)?;
        let mut lower = self.layer_directories(&layers);
        let directory = self.directory_alone()?.join("upper");
        let path = self.store.path(&directory);
        create::like_lowest_root(self.store, &lower, &directory);
        let when = self.options.epoch.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds.max(0).unsigned_abs()));
        for one in attestations {
            let statement = json!({
                "_type": "https://in-toto.io/Statement/v0.1",
                "predicateType": one.predicate_type,
                "subject": subjects,
                "predicate": one.predicate,
            });
            let file = path.join(one.file_name());
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

/// The regular files below a directory, by name, each with its digest.
fn digests(directory: &Path, shown: &Path, all: &mut Vec<Value>) -> Result<(), BuildError> {
    let entries = fs::read_dir(directory.join(".")).on("opendir", directory)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().on("readdir", directory)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, shown) = (entry.path(), shown.join(entry.file_name()));
        let kind = entry.file_type().on("stat", &path)?;
        if kind.is_dir() {
            digests(&path, &shown, all)?;
        } else if kind.is_file() {
            let mut file = Hashing::new(File::open(&path).on("open", &path)?);
            io::copy(&mut file, &mut io::sink()).on("read", &path)?;
            let (_, digest, _): (_, Digest, _) = file.finish();
            all.push(json!({ "name": shown.to_string_lossy(), "digest": { "sha256": digest.hex() } }));
        }
    }
    Ok(())
}
