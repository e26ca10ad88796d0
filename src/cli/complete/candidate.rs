//! A word that can come next.

/// The line that asks the shell to complete names of files.
pub(super) const FILES: &str = ":files";

pub(super) struct Candidate {
    pub word: String,
    /// What it is, in a few words.
    pub about: String,
}

impl Candidate {
    pub(super) fn new(word: impl Into<String>, about: impl ToString) -> Self {
        Self { word: word.into(), about: about.to_string().replace(['\n', '\t'], " ") }
    }
}
