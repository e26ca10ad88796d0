use super::install::InstallError;
use crate::diag::{Diagnose, inner_of};
use crate::image::nature::Nature;
use crate::image::tar::tape::TapeError;
use crate::image::tar::unpack::UnpackError;
use crate::sys::SysError;
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("{archive} has no file `{name}`")]
    Missing { archive: String, name: String },
    #[error("`{name}` in {archive} is too long for a document: {size} bytes")]
    Long { archive: String, name: String, size: u64 },
    #[error("{archive} is compressed by {by}, which minirun does not support")]
    Compression { archive: String, by: &'static str },
    #[error("{archive} is not an archive of images")]
    Tape { archive: String, source: TapeError },
    #[error("cannot read {archive}")]
    Read { archive: String, source: io::Error },
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for ArchiveError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error("{archive} holds no images: it has neither index.json nor manifest.json nor repositories")]
    NoImages { archive: String },
    #[error("`{name}` in {archive} is not valid")]
    Document { archive: String, name: String, source: serde_json::Error },
    #[error("`{name}` in {archive} is a manifest and an index at once")]
    TwoFaced { archive: String, name: String },
    #[error("an image in {archive} is named by {digest}, which is not a SHA-256 digest")]
    Algorithm { archive: String, digest: String },
    #[error("{archive} has no image for {wanted}; it has {}", offered.join(", "))]
    Platform { archive: String, wanted: String, offered: Vec<String> },
    #[error("{archive} holds {}", nature.what)]
    Other { archive: String, nature: Nature },
    #[error("cannot unpack `{name}` in {archive}")]
    Unpack { archive: String, name: String, source: UnpackError },
    #[error("the parents of layer {id} in {archive} form a circle")]
    Endless { archive: String, id: String },
    #[error("the indexes in {archive} are nested too deeply")]
    Nested { archive: String },
}

impl Diagnose for LoadError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Archive, Install; Unpack)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoImages { .. } => Some("make a root file system an image: minirun import FILE NAME".into()),
            Self::Other { nature, .. } => nature.hint.map(str::to_owned),
            Self::Archive(ArchiveError::Tape { source: TapeError::Truncated(_), .. }) => {
                Some("the archive is damaged or incomplete: fetch it again".into())
            }
            Self::Platform { offered, .. } => offered.first().map(|one| format!("choose one: --platform {one}")),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}
