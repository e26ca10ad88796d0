//! The files of a container as its processes would see them.

use crate::container::decide::spec;
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::explain::layers::lookup::{OccurrenceKind, Place, lookup};
use crate::explain::layers::stack::{Layer, beneath};
use crate::sys::On;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most that is read of a script or configuration file.
const LONGEST_TEXT: u64 = 1 << 20;

/// The container's files as its processes would see them.
pub(super) struct Files<'a> {
    pub layers: &'a [Layer],
    pub container: &'a Container,
}

impl Files<'_> {
    /// Returns where a file lies on this host. Links are followed.
    pub(super) fn find(&self, path: &Path) -> Result<Option<PathBuf>, Failure> {
        let mut path = path.to_owned();
        for _ in 0..16 {
            let found = lookup(&path, self.layers, Some(self.container))?;
            let Some(seen) = found.visible() else { return Ok(None) };
            let here = match &seen.place {
                Place::Layer { number, .. } => {
                    self.layers.get(number - 1).map(|layer| beneath(&layer.directory, &found.resolved))
                }
                Place::WritableLayer => Some(beneath(&self.container.directory.join("upper"), &found.resolved)),
                Place::Mount { source, .. } => source.clone(),
            };
            match &seen.what {
                OccurrenceKind::Link { target } => {
                    path = found.resolved.parent().unwrap_or(Path::new("/")).join(target)
                }
                _ => return Ok(here),
            }
        }
        Ok(None)
    }

    /// Returns the paths that a word may name: itself, or one in each directory of the container's PATH.
    pub(super) fn candidates(&self, program: &str) -> Result<Vec<PathBuf>, Failure> {
        let process = self.container.spec()?.process().clone().unwrap_or_default();
        Ok(if program.contains('/') {
            vec![process.cwd().join(program)]
        } else {
            self.path()?.split(':').map(|directory| Path::new(directory).join(program)).collect()
        })
    }

    /// Returns the container's PATH.
    pub(super) fn path(&self) -> Result<String, Failure> {
        let env = self.env()?;
        let path = env.iter().find_map(|variable| variable.strip_prefix("PATH="));
        Ok(path.unwrap_or(spec::DEFAULT_PATH).to_owned())
    }

    /// Returns the environment of the first process, as `NAME=VALUE`.
    pub(super) fn env(&self) -> Result<Vec<String>, Failure> {
        let process = self.container.spec()?.process().clone().unwrap_or_default();
        Ok(process.env().clone().unwrap_or_default())
    }

    /// Returns the text of a file; an empty text, if there is no such file.
    pub(super) fn text(&self, path: &Path) -> Result<String, Failure> {
        // Opening a pipe would block.
        let file = self.find(path)?.filter(|file| file.is_file()).and_then(|file| fs::File::open(file).ok());
        let mut text = Vec::new();
        if let Some(file) = file {
            file.take(LONGEST_TEXT).read_to_end(&mut text).on("read", path)?;
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Returns the file that the container would execute for a word: its path there, and on this host.
    pub(super) fn program(&self, program: &str) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
        for candidate in self.candidates(program)? {
            if let Some(file) = self.find(&candidate)? {
                return Ok(Some((candidate, file)));
            }
        }
        Ok(None)
    }
}
