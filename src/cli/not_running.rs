//! The error of a command that needs a running container.

use crate::diag::Diagnose;

#[derive(Debug, thiserror::Error)]
#[error("container {name} is not running")]
pub(crate) struct NotRunning {
    name: String,
    hint: String,
}

impl NotRunning {
    /// For a command that the container could be started for.
    pub(crate) fn new(name: String) -> Self {
        let hint = format!("start it: minirun start {name}");
        Self { name, hint }
    }

    pub(crate) fn with_hint(name: String, hint: String) -> Self {
        Self { name, hint }
    }
}

impl Diagnose for NotRunning {
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }

    fn exit_code(&self) -> u8 {
        1
    }
}
