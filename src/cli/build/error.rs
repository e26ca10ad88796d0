//! What can be wrong with the flags of `build`.

use crate::diag::Diagnose;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(super) enum BuildArgsError {
    #[error("--secret {0}: {1}")]
    Secret(String, &'static str),
    #[error("--ssh {0}: no agent's socket is known")]
    Ssh(String),
    #[error("--output {0}: {1}")]
    Output(String, String),
    #[error("--{flag} {text}: {why}")]
    Cache { flag: &'static str, text: String, why: String },
    #[error("--annotation {0}: {1}")]
    Annotation(String, String),
    #[error("an image without a name cannot be pushed")]
    NoName,
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{} cannot be written", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
}

impl Diagnose for BuildArgsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Secret(..) => Some("as in: --secret id=token,src=token.txt or --secret id=token,env=TOKEN".into()),
            Self::NoName => Some("give it one: --tag NAME, or -o type=registry,name=NAME".into()),
            Self::Ssh(_) => Some("start an agent first: eval $(ssh-agent) && ssh-add".into()),
            Self::Cache { flag: "cache-to", .. } => {
                Some("as in: --cache-to type=registry,ref=NAME, or --cache-to type=local,dest=DIR".into())
            }
            Self::Cache { .. } => {
                Some("as in: --cache-from type=registry,ref=NAME, or --cache-from type=local,src=DIR".into())
            }
            Self::Output(..) => {
                let types = "local, tar, oci, docker, image, registry, cacheonly";
                Some(format!("as in: -o DIR, -o - for an archive, -o type=tar,dest=FILE; types: {types}"))
            }
            _ => None,
        }
    }
}
