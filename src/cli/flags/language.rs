//! Flags about the form and the language of a report.

use crate::explain::words::Language;
use clap::{Args, ValueEnum};

/// The flags of every command that explains.
#[derive(Args)]
pub(crate) struct ReportFlags {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    language: LanguageFlags,
}

#[derive(Args)]
pub(crate) struct LanguageFlags {
    /// Set the language [default: the locale's]
    #[arg(long, value_name = "LANG")]
    lang: Option<Lang>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lang {
    En,
    Ru,
}

impl ReportFlags {
    pub(crate) fn language(&self) -> Language {
        self.language.language()
    }
}

impl LanguageFlags {
    pub(crate) fn language(&self) -> Language {
        match self.lang {
            Some(Lang::En) => Language::English,
            Some(Lang::Ru) => Language::Russian,
            None => Language::of_locale(),
        }
    }
}
