//! Images: import, load, save, images, history, tag, rmi.

use super::Context;
use crate::diag::Failure;
use clap::Subcommand;

#[derive(Subcommand)]
pub enum Command {
    /// List images
    Images,
}

impl Command {
    pub fn run(self, _context: &Context) -> Result<u8, Failure> {
        Ok(0)
    }
}
