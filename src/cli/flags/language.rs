//! Flags about the form and the language of a report.

use crate::explain::words::Language;
use clap::{Args, ValueEnum};

/// The flags of every command that explains.
#[derive(Args)]
pub(crate) struct ReportFlags {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The values of `--lang`.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Lang {
    En,
    Ru,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::En => Self::English,
            Lang::Ru => Self::Russian,
        }
    }
}
