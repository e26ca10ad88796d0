//! All of minirun at once: system reset.

use super::Context;
use crate::diag::{Diagnose, Failure};
use crate::store::{self, Store};
use crate::sys::{On, SysError};
use crate::userns;
use clap::Subcommand;
use std::fs;
use std::io::{IsTerminal, Write};
use std::path::Path;

#[derive(Subcommand)]
pub enum Command {
    /// Remove every container, image and volume, damaged ones too
    Reset {
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
}

#[derive(Debug, thiserror::Error)]
enum SystemError {
    #[error("system reset removes everything, and nobody is there to be asked")]
    NobodyToAsk,
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for SystemError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NobodyToAsk => Some("if it is meant: minirun system reset --force".into()),
            Self::Sys(error) => error.hint(),
        }
    }
}

impl Command {
    pub fn run(self, context: &Context) -> Result<u8, Failure> {
        match self {
            Self::Reset { force } => reset(&context.store, force),
        }
    }
}

fn reset(store: &Store, force: bool) -> Result<u8, Failure> {
    // Files of an image belong to its own users: only inside the namespace may we remove them.
    userns::enter(store)?;
    if !force && !agreed(store)? {
        return Ok(1);
    }
    // Part by part, never the directory as such: somebody may have said --root /home/me.
    for part in store::PARTS {
        store::remove_tree(&store.path(part)).map_err(SystemError::from)?;
    }
    store::remove_tree(&store.runtime).map_err(SystemError::from)?;
    let _ = fs::remove_dir(&store.root);
    Ok(0)
}

/// Says what is there and asks.
fn agreed(store: &Store) -> Result<bool, SystemError> {
    if !std::io::stdin().is_terminal() {
        return Err(SystemError::NobodyToAsk);
    }
    println!("This removes, under {}:", store.root.display());
    for (part, what) in [("containers", "containers, running ones too"), ("images", "images"), ("volumes", "volumes")] {
        println!("  {:>5} {what}", count(&store.path(part)));
    }
    print!("Remove all of it? [y/N] ");
    std::io::stdout().flush().on("write", "standard output")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).on("read", "standard input")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}
