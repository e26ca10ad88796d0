//! A question before something is removed.

use crate::diag::{Diagnose, inner_of};
use crate::sys::{On, SysError};
use std::io::{IsTerminal, Write};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfirmError {
    #[error("cannot ask for confirmation: standard input is not a terminal")]
    NoTerminal { forced: &'static str },
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for ConfirmError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoTerminal { forced } => Some(format!("do it without asking: {forced}")),
            Self::Sys(_) => None,
        }
    }
}

/// Prints the question and returns whether the answer is yes. `forced` is the command that does the same without asking.
pub(crate) fn confirm(question: &str, forced: &'static str) -> Result<bool, ConfirmError> {
    if !std::io::stdin().is_terminal() {
        return Err(ConfirmError::NoTerminal { forced });
    }
    print!("{question} [y/N] ");
    std::io::stdout().flush().on("write", "standard output")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).on("read", "standard input")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
