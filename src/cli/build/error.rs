//! Errors in the flags of `build`.

use crate::diag::Diagnose;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(super) enum BuildArgsError {
    #[error("invalid --secret {0:?}: {1}")]
    Secret(String, &'static str),
    #[error("invalid --ssh {0:?}: no agent socket")]
    Ssh(String),
    #[error("invalid --output {0:?}: {1}")]
    Output(String, String),
    #[error("invalid --{flag} {text:?}: {why}")]
    Cache { flag: &'static str, text: String, why: String },
    #[error("invalid --annotation {0:?}: {1}")]
    Annotation(String, String),
    #[error("cannot push an image without a name")]
    NoName,
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
}

impl Diagnose for BuildArgsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Secret(..) => Some("forms: --secret id=token,src=token.txt or --secret id=token,env=TOKEN".into()),
            Self::NoName => Some("name it: --tag NAME, or -o type=registry,name=NAME".into()),
            Self::Ssh(_) => Some("start an agent first: eval $(ssh-agent) && ssh-add".into()),
            Self::Cache { flag: "cache-to", .. } => {
                Some("forms: --cache-to type=registry,ref=NAME, or --cache-to type=local,dest=DIR".into())
            }
            Self::Cache { .. } => {
                Some("forms: --cache-from type=registry,ref=NAME, or --cache-from type=local,src=DIR".into())
            }
            Self::Output(..) => {
                let types = "local, tar, oci, docker, image, registry, cacheonly";
                Some(format!("forms: -o DIR, -o - for an archive, -o type=tar,dest=FILE; types: {types}"))
            }
            _ => None,
        }
    }
}
