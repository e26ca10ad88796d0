//! `builder prune`: forget what builds remember.

use crate::builder::BuildError;
use crate::builder::walk::cache;
use crate::cli::{Context, human};
use crate::diag::{Diagnose, Failure};
use crate::userns;
use clap::Subcommand;
use std::io::{IsTerminal, Write};

#[derive(Subcommand)]
pub(crate) enum BuilderCommand {
    /// Forget what builds remember, and give its room back
    Prune {
        /// Everything; there is nothing that is kept otherwise
        #[arg(short, long)]
        all: bool,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
}

#[derive(Debug, thiserror::Error)]
#[error("builder prune would ask first, and nobody is there to be asked")]
struct NobodyToAsk;

impl Diagnose for NobodyToAsk {
    fn hint(&self) -> Option<String> {
        Some("if it is meant: minirun builder prune --force".into())
    }
}

pub(crate) fn builder(command: &BuilderCommand, context: &Context) -> Result<u8, Failure> {
    let BuilderCommand::Prune { force, .. } = command;
    let store = &context.store;
    userns::enter(store)?;
    let before = cache::usage(store)?;
    if !force {
        if !std::io::stdin().is_terminal() {
            return Err(NobodyToAsk.into());
        }
        print!("Every build begins anew afterwards; this frees {}. Go on? [y/N] ", human::size(before.size));
        let _ = std::io::stdout().flush();
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(1);
        }
    }
    cache::prune(store, None).map_err(BuildError::from)?;
    let after = cache::usage(store)?;
    println!("Total reclaimed space: {}", human::size(before.size.saturating_sub(after.size)));
    Ok(0)
}
