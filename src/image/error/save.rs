use crate::diag::{Diagnose, inner_of};
use crate::sys::SysError;
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("cannot write {target}")]
    Write { target: String, source: io::Error },
    #[error("{} is not empty", path.display())]
    NotEmpty { path: PathBuf },
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for SaveError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotEmpty { .. } => Some("name a directory that does not exist".into()),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("the disk is full".into())
            }
            Self::Write { .. } => None,
            Self::Sys(_) => self.inner().and_then(Diagnose::hint),
        }
    }
}
