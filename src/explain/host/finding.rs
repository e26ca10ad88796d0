//! One finding of `minirun doctor`.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    /// Containers run, but something that some of them want is missing.
    Note,
    /// No container can run.
    Lacks,
}

/// One line of `minirun doctor`.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub subject: &'static str,
    pub verdict: Verdict,
    pub found: String,
    /// What to type so that it is mended.
    pub mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Ok, found: found.into(), mend: None }
    }

    pub(super) fn note(subject: &'static str, found: impl Into<String>, mend: impl Into<Option<String>>) -> Self {
        Self { subject, verdict: Verdict::Note, found: found.into(), mend: mend.into() }
    }

    pub(super) fn lacks(subject: &'static str, found: impl Into<String>, mend: impl Into<Option<String>>) -> Self {
        Self { subject, verdict: Verdict::Lacks, found: found.into(), mend: mend.into() }
    }
}
