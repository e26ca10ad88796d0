//! The errors of a build as a whole and of a single step.

use super::files::context::ContextError;
use super::files::glob::InvalidPattern;
use super::files::tree::{CONTEXT, TreeError};
use super::read::change::InvalidArgument;
use super::read::mount::InvalidMount;
use super::read::parse::Fault;
use super::read::stage::PlanError;
use crate::container::decide::create::CreateError;
use crate::container::decide::users::UserError;
use crate::container::live::launch::LaunchError;
use crate::diag::{Diagnose, ErrorCode, inner_of};
use crate::http::HttpError;
use crate::image::ImageError;
use crate::image::name::digest::Digest;
use crate::image::tar::unpack::UnpackError;
use crate::registry::RegistryError;
use crate::store::StoreError;
use crate::sys::SysError;
use std::path::PathBuf;

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("`# check=error=true` makes warnings errors, and there are {0}")]
    Warnings(usize),
    #[error("{step} ended with exit code {code}")]
    Failed {
        step: String,
        code: u8,
        /// The kernel killed one of its processes at the build's own memory limit.
        lacked_memory: bool,
        /// An image of the state before the step, if the caller asked for one.
        state: Option<Digest>,
    },
    #[error("cannot execute {step}")]
    Step {
        step: String,
        #[source]
        source: Box<StepError>,
    },
    /// Nothing is changed yet; the build can start again inside the user namespace.
    #[error("cannot write files of other owners outside the user namespace")]
    NeedsNamespace,
    #[error("cannot get base image `{name}`")]
    NoBase {
        name: String,
        #[source]
        source: Box<RegistryError>,
    },
    #[error("cannot write the result to {}", target.display())]
    Export {
        target: PathBuf,
        #[source]
        source: TreeError,
    },
    #[error("cannot add the attestation `{0}`: the result has a file of this name")]
    AttestationName(&'static str),
    #[error("cannot export the build cache to {place}")]
    ExportCache {
        place: String,
        #[source]
        source: Box<RegistryError>,
    },
    #[error("the build was interrupted")]
    Interrupted,
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Argument(#[from] InvalidArgument),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Mount(#[from] InvalidMount),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error("this machine cannot run programs for {0}")]
    Foreign(String),
    #[error("its monitor process was killed")]
    MonitorLost,
    #[error("the settings and variables up to here are longer than the config of an image can be")]
    TooLong,
    #[error("a stage cannot copy from itself")]
    CopiesFromItself,
    #[error("stage {0} waits for this one, and this one for it")]
    Circle(String),
    /// An error of the build as a whole that occurred during the step.
    #[error(transparent)]
    Build(Box<BuildError>),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

/// Why a COPY or an ADD failed, beyond the files themselves ([`TreeError`]).
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("there is no build context to copy from")]
    NoContext,
    #[error("with several sources the target must be a directory and end with a slash: `{0}/`")]
    NoDirectory(String),
    #[error("invalid mode `{0}`: write it as --chmod=755 or --chmod=u=rwX,go=rX")]
    Mode(String),
    #[error("invalid --exclude")]
    Exclude(#[source] InvalidPattern),
    #[error("{url} has the digest {found}, and --checksum says {wanted}")]
    Checksum { url: String, found: String, wanted: String },
    #[error("cannot unpack {archive}")]
    Unpack { archive: String, source: UnpackError },
    #[error(transparent)]
    Fetch(#[from] HttpError),
    #[error(transparent)]
    Context(#[from] ContextError),
}

/// Whether this machine has no default route.
fn is_offline() -> bool {
    let Ok(v4) = std::fs::read_to_string("/proc/net/route") else { return false };
    let v6 = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let has_v4 = v4.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000"));
    let is_default = |line: &str| line.split_whitespace().take(2).eq(["00000000000000000000000000000000", "00"]);
    // The kernel keeps an unreachable default route on `lo`.
    let has_v6 = v6.lines().any(|line| is_default(line) && !line.ends_with(" lo"));
    !has_v4 && !has_v6
}

impl Diagnose for BuildError {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Failed { .. } => Some(ErrorCode::RunFailed),
            _ => self.inner().and_then(Diagnose::code),
        }
    }

    fn inner(&self) -> Option<&dyn Diagnose> {
        match self {
            Self::Step { source, .. } => Some(source.as_ref()),
            Self::NoBase { source, .. } | Self::ExportCache { source, .. } => Some(source.as_ref()),
            _ => inner_of!(self; Fault, Plan, Context, Image, Store, Sys),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { lacked_memory, state, .. } => {
                let cause = if *lacked_memory {
                    Some("the kernel killed a process of it at the memory limit: raise it with --memory")
                } else if is_offline() {
                    Some("this machine has no network (no default route): a RUN cannot fetch anything")
                } else {
                    None
                };
                // With --debug the caller prints the command that enters the kept state.
                let debug = state.is_none().then_some(
                    "to look at the files as they were before this step, give the same command with --debug",
                );
                let lines: Vec<&str> = cause.into_iter().chain(debug).collect();
                (!lines.is_empty()).then(|| lines.join("\n"))
            }
            Self::NoBase { name, source } if is_offline() && source.is_unreachable() => Some(format!(
                "this machine has no network (no default route); an image can come from a file, under that name:\n\
                 minirun load -i FILE, or minirun import FILE {name}"
            )),
            _ => self.inner().and_then(Diagnose::hint),
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
        Self::Build(Box::new(error))
    }
}

impl Diagnose for StepError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        match self {
            Self::Build(error) => Some(error.as_ref()),
            _ => inner_of!(self; Tree, Copy, User, Create, Launch, Image, Store, Sys),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Tree(TreeError::Missing { tree, .. }) if tree == CONTEXT => {
                Some("paths are read from the build context, the last argument of the command".into())
            }
            Self::Foreign(_) => Some(
                "install an emulator that the kernel calls (binfmt_misc, with the flag F): apt install qemu-user-static \
                 binfmt-support\nor build without it: FROM --platform=$BUILDPLATFORM, where compilers can make programs \
                 for other machines"
                    .into(),
            ),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}

impl Diagnose for CopyError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Fetch, Context; Unpack)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoContext => Some("name a directory as the last argument: minirun build .".into()),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}
