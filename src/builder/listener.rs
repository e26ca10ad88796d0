//! The progress and the result of a build, as its caller sees them.

use super::read::parse::Warning;
use super::read::stage::StageId;
use crate::image::attestation::Attestation;
use crate::image::name::digest::Digest;
use crate::image::name::platform::Platform;
use std::time::Duration;

/// A step's place in the build.
#[derive(Debug, Clone)]
pub(crate) struct StepName {
    pub stage: StageId,
    pub stage_name: String,
    /// The platform, in a build for several.
    pub platform: Option<Platform>,
    /// Whether the build has one stage only, whose name need not be shown.
    pub alone: bool,
    pub number: usize,
    /// How many steps the stage has.
    pub of: usize,
    /// The instruction on one line.
    pub text: String,
}

impl StepName {
    /// Returns what is shown before the number: the platform and the stage, where there are several.
    pub(crate) fn prefix(&self) -> String {
        let platform = self.platform.as_ref().map(|platform| format!("{platform} ")).unwrap_or_default();
        if self.alone { platform } else { format!("{platform}{} ", self.stage_name) }
    }
}

/// How a step ended.
#[derive(Debug, Clone)]
pub(crate) enum Done {
    /// Only settings changed.
    Metadata,
    Cached {
        size: u64,
        entries: u64,
    },
    Ran {
        size: u64,
        entries: u64,
        /// Why the cache did not have it.
        reason: String,
        took: Duration,
    },
}

/// Receives the events of a build.
pub(crate) trait Listener {
    fn warning(&mut self, _warning: &Warning) {}
    fn note(&mut self, _text: &str) {}
    fn begins(&mut self, _step: &StepName) {}
    fn output(&mut self, _step: &StepName, _bytes: &[u8]) {}
    fn done(&mut self, _step: &StepName, _done: &Done) {}
    fn failed(&mut self, _step: &StepName) {}
    /// Called several times a second while a step runs.
    fn tick(&mut self) {}
}

/// The result of a build.
#[derive(Default)]
pub(crate) struct Built {
    /// An image or an index; `None` for a build that only exported files.
    pub image: Option<Digest>,
    /// The layers that this build added to its base, bottom first.
    pub layers: Vec<BuiltLayer>,
    /// The attestations of each platform's image.
    pub attestations: Vec<(Platform, Attestation)>,
    /// How many files of the contexts were used, and their bytes.
    pub from_context: (u64, u64),
}

/// A layer that a build added.
pub(crate) struct BuiltLayer {
    pub diff_id: Digest,
    pub size: u64,
    /// The step that made it, as the image's history shows it.
    pub row: String,
}
