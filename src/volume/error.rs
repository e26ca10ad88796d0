//! The errors of volumes.

use crate::diag::{Diagnose, inner_of};
use crate::image::tar::pack::PackError;
use crate::image::tar::unpack::UnpackError;
use crate::store::StoreError;
use crate::sys::SysError;

#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error("no such volume: {0}")]
    NotFound(String),
    #[error("invalid volume name {0:?}")]
    Name(String),
    #[error("invalid volume option {text:?}: {why}")]
    Option { text: String, why: &'static str },
    #[error("invalid label {0:?}: its name is empty")]
    Label(String),
    #[error("volume {0} exists with other options")]
    Exists(String),
    #[error("cannot remove volume {name}: {} {}", containers.join(", "), if containers.len() == 1 { "uses it" } else { "use it" })]
    InUse {
        name: String,
        /// Names or ids.
        containers: Vec<String>,
    },
    #[error("cannot {what} volume {name}: its files lie in memory, in each container that runs with it")]
    InMemory { what: &'static str, name: String },
    #[error("cannot export volume {name}")]
    Pack { name: String, source: PackError },
    #[error("cannot import into volume {name}")]
    Unpack { name: String, source: UnpackError },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for VolumeError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Store, Sys; Pack, Unpack)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound(_) => Some("see which there are: minirun volume ls".into()),
            Self::Name(_) => Some("letters, digits, _ . and -, beginning with a letter or digit, two at least".into()),
            Self::Option { .. } => Some(
                "as in: -o type=tmpfs -o device=tmpfs -o o=size=100m, or -o type=none -o o=bind -o device=/HOST/DIR"
                    .into(),
            ),
            Self::Label(_) => Some("as in: --label NAME=VALUE".into()),
            Self::Exists(name) => Some(format!("see them: minirun volume inspect {name}")),
            Self::InUse { containers, .. } => Some(format!("remove them first: minirun rm {}", containers.join(" "))),
            Self::InMemory { .. } => None,
            _ => self.inner().and_then(Diagnose::hint),
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}
