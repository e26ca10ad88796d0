//! What is wrong with a compose file, at its place.

use super::place::Place;
use crate::diag::Diagnose;
use crate::sys::SysError;
use std::path::{Path, PathBuf};

/// A mistake in a file, which is shown with its line once it is known which file it is.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub place: Place,
    pub what: String,
    pub hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(place: Place, what: impl Into<String>) -> Self {
        Self { place, what: what.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ComposeError {
    /// The text names file, line and column, and shows the line.
    #[error("{text}")]
    Fault { text: String, hint: Option<String> },
    #[error("no compose file in {} or above it", .0.display())]
    NoFile(PathBuf),
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] SysError),
    #[error("invalid project name {0:?}")]
    Name(String),
    #[error("no such service: {name}")]
    NoService { name: String, meant: Option<String> },
    #[error("no service is selected")]
    Empty,
    #[error("services wait for each other in a circle: {0}")]
    Circle(String),
}

impl Diagnose for ComposeError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Fault { hint, .. } => return hint.clone(),
            Self::NoFile(_) => "name one: minirun compose -f FILE; it is usually called compose.yaml".into(),
            Self::Read(..) => return None,
            Self::Name(_) => "small letters, digits, - and _, beginning with a letter or digit: -p NAME".into(),
            Self::NoService { meant: Some(meant), .. } => format!("did you mean {meant}?"),
            Self::NoService { meant: None, .. } => "see which there are: minirun compose config --services".into(),
            Self::Empty => {
                "its services have profiles: minirun compose --profile NAME up; see: config --profiles".into()
            }
            Self::Circle(_) => "leave out one depends_on of them".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// The files that were read, for showing their lines.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<(PathBuf, String)>);

impl Sources {
    /// Adds a file. Returns its number.
    pub(crate) fn add(&mut self, path: &Path, text: &str) -> usize {
        self.0.push((path.to_owned(), text.to_owned()));
        self.0.len() - 1
    }

    /// Makes a fault an error that shows its place.
    pub(crate) fn error(&self, fault: Fault) -> ComposeError {
        let Fault { place, what, hint } = fault;
        let Some((path, text)) = self.0.get(place.file).filter(|_| place.line > 0) else {
            return ComposeError::Fault { text: what, hint };
        };
        let here = std::env::current_dir().unwrap_or_default();
        let shown = path.strip_prefix(&here).unwrap_or(path).display();
        let (line, column) = (place.line, place.column);
        let mut lines = format!("{shown}:{line}:{column}: {what}");
        if let Some(source) = text.lines().nth(line - 1) {
            let margin = line.to_string().len();
            let blanks: String = source.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            lines += &format!("\n  {line} | {source}\n  {:margin$} | {blanks}^", "");
        }
        ComposeError::Fault { text: lines, hint }
    }
}
