//! A part of the script, and what it is made from besides the plan.

use crate::container::plan::step::Step;
use crate::explain::reason;
use crate::explain::words::Language;
use crate::userns::IdMap;
use serde::Serialize;
use std::path::Path;

/// What the script is told besides the plan.
pub(crate) struct Surroundings<'a> {
    /// The store, which the plan's layers lie in.
    pub store: &'a Path,
    /// What a container has written so far; the script leaves it as it is.
    pub upper: Option<&'a Path>,
    /// Where the container's own files lie, or would, and what is in them.
    pub directory: &'a Path,
    pub files: &'a [(&'static str, String)],
    pub ids: &'a IdMap,
    /// minirun shifts its ids, which the script does not.
    pub is_shifted: bool,
}

/// A part of the script, a shell function: one step, or the several that belong together.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Part {
    pub name: String,
    pub why: Vec<String>,
    /// What the engine calls for it.
    pub calls: Vec<String>,
    /// What to type; nothing if no program of the host can do it.
    pub commands: Vec<String>,
}

impl Part {
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub(super) fn add_step(&mut self, step: &Step, language: Language) {
        let why = reason::of(step, language);
        if self.why.last() != Some(&why) {
            self.why.push(why);
        }
        self.calls.push(step.call());
    }
}
