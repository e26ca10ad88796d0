//! A Dockerfile becomes an image: its stages are walked step by step, each step done or found done before.
//!
//! [`parse`] and [`instruction`] read it, [`stage`] says what is needed, the [`engine`] walks the stages, [`cache`] knows
//! what was done before, [`layers`] makes what was not. A RUN is a container of the engine itself ([`run`]) whose upper directory becomes the layer as it
//! stands; COPY and ADD ([`copy`]) write into such a directory themselves.

pub(crate) mod attest;
pub(crate) mod files;
pub(crate) mod read;
pub(crate) mod walk;

pub(crate) use attest::Attestations;
use attest::provenance;
use files::context;
use files::copy;
use files::glob;
use files::named;
use files::tree;
use read::annotation;
use read::change;
use read::mount;
use read::parse;
pub(crate) use walk::engine::SIGNALS;
use walk::foreign;
pub(crate) use walk::platforms::build;
use walk::run;

use crate::container::decide::create::CreateError;
use crate::container::decide::request::{Limits, Ulimit};
use crate::container::decide::users::UserError;
use crate::container::live::launch::LaunchError;
use crate::diag::Diagnose;
use crate::image::ImageError;
use crate::image::attestation::Attestation;
use crate::image::name::digest::Digest;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::network::resolv::HostEntry;
use crate::registry;
use crate::registry::RegistryError;
use crate::store::StoreError;
use crate::sys::SysError;
use read::parse::{Fault, Warning};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What the shell form runs in, unless SHELL says otherwise.
pub(crate) fn default_shell() -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into()]
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("`# check=error=true` makes warnings errors, and there are {0}")]
    Warnings(usize),
    #[error("there is no stage `{name}`")]
    NoStage { name: String, hint: String },
    #[error("{step} ended with exit code {code}")]
    Failed {
        step: String,
        code: u8,
        /// The kernel has killed a process of it for want of memory, within the build's own limit.
        lacked_memory: bool,
        /// An image of the state before it, if that was asked for.
        state: Option<Digest>,
    },
    #[error("{step} cannot be done")]
    Step {
        step: String,
        #[source]
        source: Box<StepError>,
    },
    /// Nothing was changed yet; inside the user namespace it can go on.
    #[error("this build writes files of other owners")]
    NeedsNamespace,
    #[error("there is no base image `{name}`")]
    NoBase {
        name: String,
        #[source]
        source: Box<RegistryError>,
    },
    #[error("the result cannot be written to {}", target.display())]
    Export {
        target: PathBuf,
        #[source]
        source: tree::TreeError,
    },
    #[error("the result has a file `{0}` of its own, whose place the attestation would take")]
    AttestationName(&'static str),
    #[error("what was done cannot be carried to {place}")]
    Carry {
        place: String,
        #[source]
        source: Box<RegistryError>,
    },
    #[error("the build was interrupted")]
    Interrupted,
    #[error(transparent)]
    Context(#[from] context::ContextError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Argument(#[from] change::InvalidArgument),
    #[error(transparent)]
    Tree(#[from] tree::TreeError),
    #[error(transparent)]
    Mount(#[from] mount::InvalidMount),
    #[error(transparent)]
    Copy(#[from] copy::CopyError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error("this machine cannot run programs for {0}")]
    Foreign(String),
    #[error("the process that watched it was killed")]
    Lost,
    #[error("the settings and variables up to here come to more text than any image can have")]
    TooLong,
    #[error("a stage cannot copy from itself")]
    Itself,
    #[error("stage {0} waits for this one, and this one for it")]
    Circle(String),
    /// Of the build as a whole.
    #[error(transparent)]
    Whole(Box<BuildError>),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

/// Whether no packet of this machine finds its way out.
fn is_offline() -> bool {
    let Ok(v4) = std::fs::read_to_string("/proc/net/route") else { return false };
    let v6 = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let has_v4 = v4.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000"));
    let zero = |line: &str| line.split_whitespace().take(2).eq(["00000000000000000000000000000000", "00"]);
    // The kernel has one of its own that leads nowhere, on `lo`.
    let has_v6 = v6.lines().any(|line| zero(line) && !line.ends_with(" lo"));
    !has_v4 && !has_v6
}

impl Diagnose for BuildError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Fault(fault) => fault.hint.clone(),
            Self::NoStage { hint, .. } => Some(hint.clone()),
            Self::Failed { lacked_memory, .. } => {
                let look = "look inside, as it was before this step: the same command with --debug";
                Some(if *lacked_memory {
                    format!("the kernel killed a process of it for want of memory: give it more with --memory\n{look}")
                } else if is_offline() {
                    format!("this machine has no network (no default route): nothing can be fetched by a RUN\n{look}")
                } else {
                    look.into()
                })
            }
            Self::Step { source, .. } => source.hint(),
            Self::NeedsNamespace => None,
            Self::NoBase { name, source } if is_offline() && source.is_unreachable() => Some(format!(
                "this machine has no network (no default route); an image can come from a file, under that name:\n\
                 minirun load -i FILE, or minirun import FILE {name}"
            )),
            Self::NoBase { source, .. } | Self::Carry { source, .. } => source.hint(),
            Self::Interrupted | Self::Export { .. } | Self::Warnings(_) | Self::AttestationName(_) => None,
            Self::Context(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Sys(error) => error.hint(),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}

impl From<BuildError> for StepError {
    fn from(error: BuildError) -> Self {
        Self::Whole(Box::new(error))
    }
}

impl StepError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Tree(tree::TreeError::Missing { tree, .. }) if tree == tree::CONTEXT => {
                Some("paths are read from the build context, the last argument of the command".into())
            }
            Self::Tree(tree::TreeError::Ignored { .. }) => {
                Some("bring it back with a line `!NAME` in .dockerignore".into())
            }
            Self::Tree(tree::TreeError::Owner(_, error)) => error.hint(),
            Self::User(error) => error.hint(),
            Self::Create(error) => error.hint(),
            Self::Launch(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Sys(error) => error.hint(),
            Self::Copy(error) => error.hint(),
            Self::Whole(error) => error.hint(),
            Self::Foreign(_) => Some(foreign::HINT.into()),
            Self::Argument(_)
            | Self::Tree(_)
            | Self::Mount(_)
            | Self::Lost
            | Self::TooLong
            | Self::Itself
            | Self::Circle(_) => None,
        }
    }
}

/// What was asked for.
pub(crate) struct Options {
    pub source: parse::Source,
    /// The Dockerfile as it is written.
    pub text: String,
    /// What was fetched to be the context; None of what lies on this machine.
    pub origin: Option<provenance::Material>,
    /// None: there is no context, and nothing can be copied from it.
    pub context: Option<PathBuf>,
    pub ignore: glob::Ignore,
    /// `--build-context`
    pub named: named::Contexts,
    /// What the cache calls this Dockerfile in this context.
    pub project: Digest,
    pub build_args: BTreeMap<String, String>,
    pub target: Option<String>,
    /// All that the image is for, each once.
    pub platforms: Vec<Platform>,
    /// The one of them that is being built.
    pub platform: Platform,
    pub labels: Vec<(String, String)>,
    pub names: Vec<Reference>,
    pub annotations: Vec<annotation::Annotation>,
    pub no_cache: bool,
    /// Stages, by their names, of which every step is done again.
    pub no_cache_stages: Vec<String>,
    /// Of every RUN.
    pub limits: Limits,
    pub ulimits: Vec<Ulimit>,
    pub shm_size: Option<u64>,
    /// Base images are asked for again.
    pub pull: bool,
    /// Hears of layers that are pulled or pushed.
    pub transfers: Box<dyn registry::Progress>,
    /// How registries are spoken to.
    pub registries: registry::Settings,
    pub network: run::RunNetwork,
    /// A RUN may ask for the host's network.
    pub allows_host_network: bool,
    pub hosts: Vec<HostEntry>,
    pub secrets: Vec<Secret>,
    /// Ids and sockets of agents.
    pub agents: Vec<(String, PathBuf)>,
    pub squash: bool,
    pub attestations: Attestations,
    pub outputs: Vec<Output>,
    /// What other machines have done.
    pub cache_from: Vec<Place>,
    pub cache_to: Vec<Export>,
    /// The image's config tells of its steps.
    pub cache_inline: bool,
    /// An image of the state before a step that fails is kept.
    pub keep_failed: bool,
    /// The build is to come out the same at any time: no file is newer.
    pub epoch: Option<i64>,
}

impl Options {
    /// The result is an index, not an image alone.
    pub(crate) fn makes_index(&self) -> bool {
        self.platforms.len() > 1 || self.attestations != Attestations::default()
    }
}

/// `--secret`
pub(crate) struct Secret {
    pub id: String,
    pub contents: Vec<u8>,
}

pub(crate) use walk::carried::{Export, Place};
pub(crate) use walk::finish::{Kind as OutputKind, Output};
pub(crate) use walk::run::RunNetwork;

/// Where a step stands.
#[derive(Debug, Clone)]
pub(crate) struct StepName {
    pub stage: usize,
    pub stage_name: String,
    /// Of a build for several.
    pub platform: Option<Platform>,
    /// Of a Dockerfile with one stage only, its name says nothing.
    pub alone: bool,
    pub number: usize,
    pub of: usize,
    /// The instruction on one line.
    pub text: String,
}

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
        /// Why it was not found in the cache.
        reason: String,
        took: Duration,
    },
}

/// Hears of a build as it goes on.
pub(crate) trait Listener {
    fn warning(&mut self, _warning: &Warning) {}
    fn note(&mut self, _text: &str) {}
    fn begins(&mut self, _step: &StepName) {}
    fn output(&mut self, _step: &StepName, _bytes: &[u8]) {}
    fn done(&mut self, _step: &StepName, _done: &Done) {}
    fn failed(&mut self, _step: &StepName) {}
    /// Time goes by while something runs.
    fn tick(&mut self) {}
}

impl StepName {
    /// What stands before its number: the platform and the stage, as far as there are several.
    pub(crate) fn prefix(&self) -> String {
        let platform = self.platform.as_ref().map(|platform| format!("{platform} ")).unwrap_or_default();
        if self.alone { platform } else { format!("{platform}{} ", self.stage_name) }
    }
}

/// What was built.
#[derive(Default)]
pub(crate) struct Built {
    /// An image or an index. None of a build that only gave files.
    pub image: Option<Digest>,
    /// The layers that this build added to its base, bottom first.
    pub layers: Vec<BuiltLayer>,
    /// What was told of the image of each platform.
    pub attestations: Vec<(Platform, Attestation)>,
    /// How many files of its contexts went into it, and their bytes.
    pub from_context: (u64, u64),
}

pub(crate) struct BuiltLayer {
    pub diff_id: Digest,
    pub size: u64,
    /// The step that made it, as the history tells it.
    pub row: String,
}
