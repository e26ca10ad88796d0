use super::format::FORMAT;
use crate::diag::{Diagnose, inner_of};
use crate::sys::SysError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot tell where the store is: neither --root, MINIRUN_ROOT, XDG_DATA_HOME nor HOME is set")]
    NoHome,
    #[error("{} cannot be closed to other users: it belongs to uid {owner}", path.display())]
    Open {
        path: PathBuf,
        owner: u32,
        #[source]
        source: SysError,
    },
    #[error(
        "the store {} has format {found}, made by a newer minirun; this version reads formats up to {}",
        path.display(),
        FORMAT
    )]
    Newer { path: PathBuf, found: u32 },
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for StoreError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoHome => Some("give one: minirun --root DIR …".into()),
            Self::Open { .. } => Some("keep the store in a directory of your own: minirun --root DIR …".into()),
            Self::Newer { .. } => Some("use that minirun, or another store: minirun --root DIR …".into()),
            Self::Sys(_) => self.inner().and_then(Diagnose::hint),
        }
    }
}
