//! `--squash`: merges the layers that a build added.

use super::shared::Shared;
use super::stage::Stage;
use crate::builder::error::BuildError;
use crate::container::rootfs::copy;
use crate::image::freeze;
use crate::image::freeze::freeze;
use crate::image::overlay::mark;
use crate::store;
use crate::sys::{On, SysError};
use rustix::fs::XattrFlags;
use std::fs;
use std::path::{Path, PathBuf};

/// Merges the layers of a stage that are not its base image's.
pub(crate) fn squash(shared: &mut Shared, stage: &mut Stage) -> Result<(), BuildError> {
    let ((count, created), layers) = (stage.state.own(), stage.state.layers.clone());
    let Some(created) = created.filter(|_| count > 1) else { return Ok(()) };
    shared.must_be_inside()?;
    let (base, own) = layers.split_at(layers.len() - count);
    let directory = shared.directory(stage)?;
    let upper = directory.join("upper");
    for layer in shared.layer_directories(own) {
        lay_over(Path::new(&layer), &upper)?;
    }
    let lowers: Vec<PathBuf> = shared.layer_directories(base).into_iter().map(PathBuf::from).collect();
    let options = freeze::Options {
        lowers: &lowers,
        leave_out: &[],
        created: &created,
        creator: None,
        latest: shared.options.epoch,
    };
    let ingested = freeze(&upper, shared.store.path(&directory).join("layer"), &options)?;
    let inputs = shared.inputs(stage, "squash".into());
    shared.replace(stage, count, ingested, inputs)
}

/// Merges a layer into the directory `to`, with its whiteouts. Files are linked instead of copied, because layers never
/// change.
fn lay_over(from: &Path, to: &Path) -> Result<(), SysError> {
    for entry in fs::read_dir(from).on("opendir", from)? {
        let name = entry.on("readdir", from)?.file_name();
        let (source, target) = (from.join(&name), to.join(&name));
        let meta = fs::symlink_metadata(&source).on("stat", &source)?;
        let there = fs::symlink_metadata(&target).ok();
        let opaque = meta.is_dir() && mark::is_opaque_at(&source)?;
        if !meta.is_dir() {
            if there.is_some() {
                store::remove_tree(&target)?;
            }
            fs::hard_link(&source, &target).on("link", &target)?;
            continue;
        }
        // A directory in the place of a whiteout must go on hiding what lies below.
        let hides = there.as_ref().is_some_and(mark::is_whiteout);
        let was_opaque = there.as_ref().is_some_and(fs::Metadata::is_dir) && mark::is_opaque_at(&target)?;
        if there.is_some_and(|t| !t.is_dir()) || opaque {
            store::remove_tree(&target)?;
        }
        match fs::create_dir(&target) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => other.on("mkdir", &target)?,
        }
        lay_over(&source, &target)?;
        copy::like(&source, &meta, &target)?;
        if hides || opaque || was_opaque {
            let set = rustix::fs::lsetxattr(&target, mark::OPAQUE, b"y", XattrFlags::empty());
            set.on("lsetxattr", &target)?;
        }
    }
    Ok(())
}
