//! The languages, and how each counts things.

use super::catalogue::{ENGLISH, RUSSIAN, Words};
use std::sync::OnceLock;

static CHOSEN: OnceLock<Language> = OnceLock::new();

/// A language that minirun speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Russian,
}

impl Language {
    /// Sets the language of this process, once.
    pub(crate) fn choose(language: Self) {
        let _ = CHOSEN.set(language);
    }

    /// Returns the language that was chosen, else that of the locale.
    pub(crate) fn current() -> Self {
        CHOSEN.get().copied().unwrap_or_else(Self::of_locale)
    }

    /// Returns the language of the environment's locale (locale(7)).
    fn of_locale() -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        if set.is_some_and(|locale| locale.starts_with("ru")) { Self::Russian } else { Self::English }
    }

    /// Returns the texts of this language.
    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Russian => &RUSSIAN,
        }
    }

    /// Returns a number with the matching form of its noun: `3 files`.
    pub(crate) fn count(self, number: u64, noun: Noun) -> String {
        let forms = match self {
            Self::English => noun.english,
            Self::Russian => noun.russian,
        };
        let form = match self {
            Self::English => usize::from(number != 1),
            // The last digits choose one of three forms: один файл, два файла, пять файлов.
            Self::Russian => match (number % 10, number % 100) {
                (1, hundred) if hundred != 11 => 0,
                (2..=4, hundred) if !(12..=14).contains(&hundred) => 1,
                _ => 2,
            },
        };
        format!("{number} {}", forms[form.min(forms.len() - 1)])
    }
}

/// The forms of a noun that is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noun {
    english: &'static [&'static str],
    russian: &'static [&'static str],
}

pub(crate) const ENTRIES: Noun =
    Noun { english: &["entry", "entries"], russian: &["запись", "записи", "записей"] };
pub(crate) const CHANGES: Noun = Noun {
    english: &["change", "changes"],
    russian: &["изменение", "изменения", "изменений"],
};
pub(crate) const IMAGES: Noun =
    Noun { english: &["other image", "other images"], russian: &["образ", "образа", "образов"] };
pub(crate) const READ_ONLY_LAYERS: Noun = Noun {
    english: &["read-only layer", "read-only layers"],
    russian: &["слой только для чтения", "слоя только для чтения", "слоёв только для чтения"],
};
pub(crate) const FILES: Noun =
    Noun { english: &["file", "files"], russian: &["файл", "файла", "файлов"] };
pub(crate) const PROCESSES: Noun =
    Noun { english: &["process", "processes"], russian: &["процесс", "процесса", "процессов"] };
pub(crate) const LAYERS: Noun =
    Noun { english: &["layer", "layers"], russian: &["слой", "слоя", "слоёв"] };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_nouns() {
        let russian = |n| Language::Russian.count(n, ENTRIES);
        assert_eq!(
            [1, 2, 5, 11, 12, 21, 104, 111].map(russian).join(", "),
            "1 запись, 2 записи, 5 записей, 11 записей, 12 записей, 21 запись, 104 записи, 111 записей"
        );
        assert_eq!(Language::English.count(1, LAYERS), "1 layer");
        assert_eq!(Language::English.count(0, LAYERS), "0 layers");
    }
}
