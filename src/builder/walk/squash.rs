//! `--squash`: the layers that a build added become one.

use super::engine::Builder;
use crate::builder::BuildError;
use crate::container::rootfs::copy;
use crate::image::freeze;
use crate::image::freeze::freeze;
use crate::image::overlay::mark;
use crate::store;
use crate::sys::{On, SysError};
use rustix::fs::XattrFlags;
use std::fs;
use std::path::{Path, PathBuf};

/// Of the stage's layers, those that are not its base image's.
pub(crate) fn squash(builder: &mut Builder, number: usize) -> Result<(), BuildError> {
    let state = builder.state(number);
    let ((count, created), layers) = (state.own(), state.layers.clone());
    let Some(created) = created.filter(|_| count > 1) else { return Ok(()) };
    builder.must_be_inside()?;
    let (base, own) = layers.split_at(layers.len() - count);
    let directory = builder.directory(number)?;
    let upper = directory.join("upper");
    for layer in builder.layer_directories(own) {
        lay_over(Path::new(&layer), &upper)?;
    }
    let lowers: Vec<PathBuf> = builder.layer_directories(base).into_iter().map(PathBuf::from).collect();
    let options = freeze::Options { lowers: &lowers, leave_out: &[], created: &created, latest: builder.options.epoch };
    let ingested = freeze(&upper, builder.store.path(&directory).join("layer"), &options)?;
    let mut inputs = builder.inputs(number, "squash".into());
    inputs.parent = builder.state(number).chain();
    builder.replace(number, count, ingested, inputs)
}

/// Lays a layer over those below it, so that together they hide and show the same. Files are not copied, but get one more
/// name: no layer is ever changed.
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
        // In the place of what was hidden, it goes on hiding that.
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
