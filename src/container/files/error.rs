//! The errors of copying.

use crate::container::stored::record::RecordError;
use crate::diag::{Diagnose, inner_of};
use crate::image::tar::pack::PackError;
use crate::image::tar::unpack::UnpackError;
use crate::sys::SysError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    #[error("no such file or directory: {0}")]
    NoSource(String),
    #[error("no such directory: {0}")]
    NoDirectory(String),
    #[error("{0} is not a directory")]
    NotDirectory(String),
    #[error("cannot copy a directory over the file {0}")]
    OverFile(String),
    #[error("the files of container {0} cannot be reached together with those of a stopped one")]
    Apart(String),
    /// What the other half of the copy has met.
    #[error("{text}")]
    Half { text: String, hint: Option<String> },
    #[error("the copy was ended from outside")]
    Killed,
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for FilesError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Record, Pack, Unpack, Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Half { hint, .. } => hint.clone(),
            Self::Apart(_) => Some("copy to the host first, and from there".into()),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl FilesError {
    /// Whether the other half has gone, which knows the reason.
    pub(super) fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Pack(error) => error.is_broken_pipe(),
            Self::Sys(error) => error.errno == libc::EPIPE,
            _ => false,
        }
    }
}
