//! One finding of `minirun doctor`.

use crate::explain::words::Words;
use serde::Serialize;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Subject {
    #[serde(rename = "kernel")]
    Kernel,
    #[serde(rename = "user namespace")]
    UserNamespace,
    #[serde(rename = "namespaces")]
    Namespaces,
    #[serde(rename = "ids")]
    Ids,
    #[serde(rename = "/proc")]
    Proc,
    #[serde(rename = "overlay")]
    Overlay,
    #[serde(rename = "seccomp")]
    Seccomp,
    #[serde(rename = "limits")]
    Limits,
    #[serde(rename = "user session")]
    UserSession,
    #[serde(rename = "networks")]
    Networks,
    #[serde(rename = "outgoing network")]
    OutgoingNetwork,
    #[serde(rename = "ports")]
    Ports,
    #[serde(rename = "store")]
    Store,
}

impl Subject {
    /// Returns the subject as a person reads it.
    pub(crate) fn text(self, words: &Words) -> &'static str {
        match self {
            Self::Kernel => words.host_kernel,
            Self::UserNamespace => words.host_user_namespace,
            Self::Namespaces => words.namespaces,
            Self::Ids => words.host_ids_of_user,
            Self::Proc => "/proc",
            Self::Overlay => "overlay",
            Self::Seccomp => "seccomp",
            Self::Limits => words.host_limits,
            Self::UserSession => words.host_session,
            Self::Networks => words.networks,
            Self::OutgoingNetwork => words.host_outgoing_network,
            Self::Ports => words.host_ports,
            Self::Store => words.host_place,
        }
    }
}

/// How a finding affects containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    /// Containers run, but something is missing that some of them need.
    Note,
    /// No container can run.
    Lacks,
}

/// One line of `minirun doctor`.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub subject: Subject,
    pub verdict: Verdict,
    pub found: String,
    /// The commands or settings that mend it.
    pub mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(subject: Subject, found: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Ok, found: found.into(), mend: None }
    }

    pub(super) fn note(subject: Subject, found: impl Into<String>, mend: impl Into<Option<String>>) -> Self {
        Self { subject, verdict: Verdict::Note, found: found.into(), mend: mend.into() }
    }

    pub(super) fn lacks(subject: Subject, found: impl Into<String>, mend: impl Into<Option<String>>) -> Self {
        Self { subject, verdict: Verdict::Lacks, found: found.into(), mend: mend.into() }
    }
}
