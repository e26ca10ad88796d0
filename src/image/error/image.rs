use super::install::InstallError;
use super::load::LoadError;
use super::save::SaveError;
use crate::diag::{Diagnose, ErrorCode, inner_of};
use crate::image::name::digest::Digest;
use crate::image::name::reference::InvalidReference;
use crate::image::overlay::stack::TooManyLayers;
use crate::image::tar::pack::PackError;
use crate::image::tar::unpack::UnpackError;
use crate::store::{self, StoreError};
use crate::sys::SysError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("no such image: {name}")]
    NotFound { name: String, hint: String },
    #[error("`{prefix}` is the beginning of several ids of images")]
    Ambiguous { prefix: String, found: Vec<Digest> },
    #[error("{} is damaged", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{} is damaged", path.display())]
    NoFile { path: PathBuf, source: SysError },
    #[error("the config of image {image} is not valid")]
    Config { image: Digest, source: oci_spec::OciSpecError },
    #[error("image {image} is damaged: {what}")]
    Damaged { image: Digest, what: String },
    #[error("layer {layer} is not in the store, though an image uses it")]
    NoLayer { layer: Digest },
    #[error("cannot put the archive of layer {layer} together")]
    LayerArchive { layer: Digest, source: std::io::Error },
    #[error("layers {wanted} and {found} begin with the same digits")]
    Collision { wanted: Digest, found: Digest },
    #[error(transparent)]
    TooManyLayers(#[from] TooManyLayers),
    #[error("cannot unpack {subject}")]
    Unpack { subject: String, source: UnpackError },
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error("image {} is used by {}", image.short(), containers_in_words(containers))]
    InUse { image: Digest, containers: Vec<String> },
    #[error("image {} is one of the platforms of an index: {}", image.short(), index.short())]
    Listed { image: Digest, index: Digest },
    #[error("image {} has several names: {}", image.short(), names.join(", "))]
    ManyNames { image: Digest, names: Vec<String> },
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for ImageError {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::NotFound { .. } => Some(ErrorCode::NoImage),
            Self::InUse { .. } => Some(ErrorCode::ImageInUse),
            Self::ManyNames { .. } => Some(ErrorCode::ManyNames),
            _ => self.inner().and_then(Diagnose::code),
        }
    }

    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; TooManyLayers, Pack, Load, Save, Install, Reference, Store, Sys; Unpack)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { hint, .. } => Some(hint.clone()),
            Self::Ambiguous { found, .. } => {
                let ids: Vec<String> = found.iter().map(Digest::short).collect();
                Some(format!("type more digits; these ids begin so:\n{}", ids.join("\n")))
            }
            Self::InUse { containers, .. } => {
                let ids: Vec<&str> = containers.iter().map(|id| short_container(id)).collect();
                Some(format!("remove first what uses it: minirun rm {}", ids.join(" ")))
            }
            Self::ManyNames { names, .. } => {
                Some(format!("remove one name: minirun rmi {}\nor the image with all of them: add -f", names[0]))
            }
            Self::Listed { index, .. } => {
                Some(format!("remove the index with all its images: minirun rmi {}", index.short()))
            }
            Self::Json { .. } | Self::NoFile { .. } => Some(format!("what mends it: {}", store::CHECK)),
            Self::NoLayer { .. } | Self::LayerArchive { .. } => {
                Some(format!("what mends it: {}; or get the image again", store::CHECK))
            }
            Self::Damaged { image, .. } => Some(format!(
                "what mends it: {}; or remove it and get it again: minirun rmi -f {}",
                store::CHECK,
                image.short()
            )),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}

fn short_container(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn containers_in_words(containers: &[String]) -> String {
    let ids: Vec<&str> = containers.iter().map(|id| short_container(id)).collect();
    format!("{} {}", if ids.len() == 1 { "container" } else { "containers" }, ids.join(", "))
}
