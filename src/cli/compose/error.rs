//! What goes wrong with a project that is understood.

use crate::diag::Diagnose;

#[derive(Debug, thiserror::Error)]
pub(super) enum ComposeFailure {
    #[error("service {service} cannot start: {dependency} {why}")]
    Dependency { service: String, dependency: String, why: String },
    #[error("container {name} {why}")]
    NotReady { name: String, why: String },
    #[error("the project was not ready within {0} seconds")]
    Late(u64),
    #[error("service {0} has no container")]
    NoContainer(String),
    #[error("service {service} has no container with the number {index}")]
    NoIndex { service: String, index: usize },
    #[error("service {0} is not running")]
    NotRunning(String),
    #[error("the external {kind} {name} does not exist")]
    External { kind: &'static str, name: String },
    #[error("the image of service {0} was not built")]
    Build(String),
    #[error("cannot write the secrets and configs of container {0}")]
    Files(String),
    #[error("the {kind} {name} is of another project: {other}")]
    Foreign { kind: &'static str, name: String, other: String },
    #[error("invalid scale {0:?}")]
    Scale(String),
    #[error("no such project: {0}")]
    NoProject(String),
    #[error("port {port} of {name} is not published")]
    NotPublished { name: String, port: String },
    #[error("some containers could not be removed")]
    Removal,
    #[error("the hook {command:?} of container {name} ended with code {code}")]
    Hook { name: String, command: String, code: u8 },
}

impl Diagnose for ComposeFailure {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Dependency { dependency, .. } => format!("see its output: minirun compose logs {dependency}"),
            Self::NotReady { name, .. } | Self::Hook { name, .. } => {
                format!("see why: minirun why {name}; and its output: minirun logs {name}")
            }
            Self::Late(_) => "see which is not: minirun compose ps".into(),
            Self::NoContainer(service) | Self::NotRunning(service) => {
                format!("start it: minirun compose up -d {service}")
            }
            Self::NoIndex { .. } => "see which there are: minirun compose ps -a".into(),
            Self::External { kind, name } => format!("make it: minirun {kind} create {name}; or leave out external"),
            Self::Foreign { kind, .. } => format!(
                "give it another name in the file, or say that it is external: {kind}s: {{…: {{external: true}}}}"
            ),
            Self::Scale(_) => "as in: --scale web=3".into(),
            Self::NoProject(_) => "see which there are: minirun compose ls -a".into(),
            Self::NotPublished { .. } => "see which are: minirun compose ps".into(),
            Self::Build(_) | Self::Files(_) | Self::Removal => return None,
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}
