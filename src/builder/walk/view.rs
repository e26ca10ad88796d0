//! Layers, stages, images and contexts as directory trees: to copy from, to mount and to write into.

use super::shared::Shared;
use super::stage::Stage;
use crate::builder::error::{BuildError, CopyError, StepError};
use crate::builder::files::glob::Ignore;
use crate::builder::files::tree::Tree;
use crate::builder::read::stage::StageId;
use crate::container::rootfs::layering::{Layering, Overlay};
use crate::container::rootfs::root::Root;
use crate::diag;
use crate::image::name::digest::Digest;
use crate::image::stored::layer;
use crate::sys::On;
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;
use std::path::Path;

impl Shared<'_> {
    /// Returns one digest for all layers of a stage or an image.
    pub(crate) fn chain_of(&mut self, id: StageId, from: &str) -> Result<Digest, BuildError> {
        let layers = self.layers_of(id, from)?;
        let text: String = layers.iter().map(|layer| format!("{layer}\n")).collect();
        Ok(Digest::of(text.as_bytes()))
    }

    /// Returns the layers of a stage or an image, by its name in the stage `id`.
    pub(crate) fn layers_of(&mut self, id: StageId, from: &str) -> Result<Vec<Digest>, BuildError> {
        match self.plan.stage_named(id, from) {
            Some(stage) => Ok(self.finished.get(&stage).cloned().unwrap_or_default()),
            None => Ok(self.find_image(&self.plan.named.image(from), &self.options.platform.clone())?.layers),
        }
    }

    /// Returns the directory of a context: the build's own, or the one of this name. `None`: the name is another thing's.
    pub(crate) fn context(&self, from: Option<&str>) -> Result<Option<(&Path, &Ignore)>, StepError> {
        match (from, &self.options.context) {
            (Some(name), _) => Ok(self.plan.named.files(name).map(|files| (files.directory.as_path(), &files.ignore))),
            (None, Some(path)) => Ok(Some((path, &self.options.ignore))),
            (None, None) => Err(CopyError::NoContext.into()),
        }
    }

    /// Returns the files of a context, a stage or an image.
    pub(crate) fn tree(&mut self, id: StageId, from: Option<&str>) -> Result<Tree, StepError> {
        self.note_context(from);
        if let Some((path, ignore)) = self.context(from)? {
            let mut tree = Tree::context(path, ignore.clone())?;
            if let Some(name) = from {
                tree.name = format!("the build context `{name}`");
            }
            return Ok(tree);
        }
        let from = from.unwrap_or_default();
        let layers = self.layers_of(id, from)?;
        Ok(Tree::of(self.view(&layers)?, format!("stage or image `{from}`")))
    }

    /// Returns the directory of a layer, relative to the store.
    fn layer_directory(&self, diff_id: &Digest) -> String {
        let path = match self.pending.get(diff_id) {
            Some(pending) => pending.ingested.entry.join("fs"),
            None => layer::relative(diff_id).join("fs"),
        };
        path.strip_prefix(&self.store.root).unwrap_or(&path).to_string_lossy().into_owned()
    }

    /// Returns the directories of layers, bottom first, each once.
    pub(crate) fn layer_directories(&self, layers: &[Digest]) -> Vec<String> {
        let shown = layers.iter().enumerate().filter(|(i, layer)| !layers[i + 1..].contains(layer));
        shown.map(|(_, layer)| self.layer_directory(layer)).collect()
    }

    /// Opens layers as one tree, to read.
    pub(crate) fn view(&mut self, layers: &[Digest]) -> Result<OwnedFd, BuildError> {
        self.view_of(self.layer_directories(layers))
    }

    /// Opens directories as one tree, to read; the lowest comes first.
    pub(crate) fn view_of(&mut self, lower: Vec<String>) -> Result<OwnedFd, BuildError> {
        let directory = self.new_directory()?;
        let open =
            |path: &Path| rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        match &lower[..] {
            [] => Ok(open(&directory.join("upper")).on("open", &directory)?),
            [only] => Ok(open(Path::new(only)).on("open", only)?),
            _ => {
                let target = directory.join("rootfs").to_string_lossy().into_owned();
                self.mount(&Overlay { lower, upper: String::new(), work: String::new(), target, volatile: false })
            }
        }
    }

    fn mount(&mut self, overlay: &Overlay) -> Result<OwnedFd, BuildError> {
        match self.room()?.layering {
            Layering::Fuse => Ok(overlay.tree_by_fuse()?),
            Layering::Copy => Ok(overlay.tree_by_copy()?),
            Layering::Kernel => match overlay.tree() {
                Err(error) if error.errno != libc::ENOSPC && error.errno != libc::ENOENT => {
                    let Some(layering) = Layering::instead(self.store)? else { return Err(error.into()) };
                    diag::note(&layering.note(self.store));
                    self.room()?.layering = layering;
                    self.mount(overlay)
                }
                other => Ok(other?),
            },
        }
    }

    /// Opens the directory's `upper` for writing, with the stage's files below it unless `alone`.
    pub(crate) fn writable(&mut self, stage: &Stage, directory: &Path, alone: bool) -> Result<Root, BuildError> {
        let lower = if alone { Vec::new() } else { self.layer_directories(&stage.state.layers) };
        let part = |name: &str| directory.join(name).to_string_lossy().into_owned();
        if lower.is_empty() {
            return Ok(Root::open(&part("upper"))?);
        }
        let overlay =
            Overlay { lower, upper: part("upper"), work: part("work"), target: part("rootfs"), volatile: true };
        Ok(Root::of(self.mount(&overlay)?))
    }

    /// Opens the directory that the kernel's overlay writes to. fuse-overlayfs expects to be its only writer: `None`.
    pub(crate) fn upper(&mut self, directory: &Path) -> Result<Option<OwnedFd>, BuildError> {
        if self.room()?.layering != Layering::Kernel {
            return Ok(None);
        }
        let (path, flags) = (directory.join("upper"), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC);
        Ok(Some(rustix::fs::open(&path, flags, Mode::empty()).on("open", &path)?))
    }
}
