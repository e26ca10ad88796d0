use crate::diag::Diagnose;
use crate::image::name::digest::Digest;

#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("{what} {expected} has the digest {found}")]
    Digest { what: &'static str, expected: Digest, found: Digest },
    #[error("image {image} has {layers} layers, but its config lists {diff_ids}")]
    Layers { image: Digest, layers: usize, diff_ids: usize },
}

impl Diagnose for InstallError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Digest { .. } => Some("the download is damaged or incomplete: fetch it again".into()),
            Self::Layers { .. } => None,
        }
    }
}
