//! The options of a build, as the command line gives them.

use super::files::glob::Ignore;
use super::files::material::Material;
use super::files::named::Contexts;
use super::read::annotation::Annotation;
use super::read::parse::Source;
use crate::container::request::{Limits, Ulimit};
use crate::image::name::digest::Digest;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::network::egress::WayOut;
use crate::network::resolv::HostEntry;
use crate::registry::{Progress, Settings};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// All options of one build.
pub(crate) struct Options {
    pub source: Source,
    /// The Dockerfile as it is written.
    pub text: String,
    /// The source of a fetched context; `None` for a local one.
    pub origin: Option<Material>,
    /// The directory of the context; `None` if there is none to copy from.
    pub context: Option<PathBuf>,
    pub ignore: Ignore,
    /// `--build-context`
    pub named: Contexts,
    /// The digest by which the cache knows this Dockerfile in this context.
    pub project: Digest,
    pub build_args: BTreeMap<String, String>,
    pub target: Option<String>,
    /// All platforms of the image, each once.
    pub platforms: Vec<Platform>,
    /// The one of them that is being built.
    pub platform: Platform,
    pub labels: Vec<(String, String)>,
    pub names: Vec<Reference>,
    pub annotations: Vec<Annotation>,
    pub no_cache: bool,
    /// The names of stages whose steps are all executed again.
    pub no_cache_stages: Vec<String>,
    /// The limits of each RUN.
    pub limits: Limits,
    pub ulimits: Vec<Ulimit>,
    pub shm_size: Option<u64>,
    /// Whether to ask the registry for newer base images.
    pub pull: bool,
    /// How registries are spoken to.
    pub registries: Settings,
    /// Receives the progress of layers that are pulled or pushed.
    pub transfers: Box<dyn Progress>,
    pub network: RunNetwork,
    pub way_out: WayOut,
    /// Whether a RUN may ask for the host's network.
    pub allows_host_network: bool,
    pub hosts: Vec<HostEntry>,
    pub secrets: Vec<Secret>,
    /// The ids and sockets of SSH agents.
    pub agents: Vec<(String, PathBuf)>,
    pub squash: bool,
    pub attestations: Attestations,
    pub outputs: Vec<Output>,
    /// `--cache-from`
    pub cache_from: Vec<CachePlace>,
    /// `--cache-to`
    pub cache_to: Vec<CacheExport>,
    /// Whether the image's config describes the steps that made its layers.
    pub cache_inline: bool,
    /// Whether to keep an image of the state before a step that fails.
    pub keep_failed: bool,
    /// `SOURCE_DATE_EPOCH`: no file of the result is newer.
    pub epoch: Option<i64>,
}

impl Options {
    /// Whether the result is an index instead of a single image.
    pub(crate) fn makes_index(&self) -> bool {
        self.platforms.len() > 1 || self.attestations != Attestations::default()
    }
}

/// `--secret`
pub(crate) struct Secret {
    pub id: String,
    pub contents: Vec<u8>,
}

/// The network of a RUN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RunNetwork {
    /// A network of its own with a way out, as `run` gives it; the host's where no program provides such a way.
    #[default]
    Own,
    /// The host's network, with all services on its loopback and all abstract sockets.
    Host,
    None,
}

/// A place to which steps are exported and from which they are imported.
#[derive(Debug, Clone)]
pub(crate) enum CachePlace {
    Directory(PathBuf),
    Registry(Reference),
}

impl fmt::Display for CachePlace {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Registry(reference) => f.write_str(&reference.familiar()),
        }
    }
}

/// `--cache-to`
#[derive(Debug, Clone)]
pub(crate) struct CacheExport {
    pub place: CachePlace,
    /// Whether to export the steps of all stages instead of the target's only.
    pub all_stages: bool,
}

/// `-o`: an export of the result.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub kind: OutputKind,
    /// `None` is standard output.
    pub target: Option<PathBuf>,
    /// More names for the image.
    pub names: Vec<Reference>,
    /// Whether the image is pushed under these names.
    pub pushes: bool,
    pub annotations: Vec<Annotation>,
}

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputKind {
    /// The files, in a directory.
    Local,
    /// The files, in an archive.
    Tar,
    /// An archive in OCI's image layout.
    Oci,
    /// An archive as `docker save` writes it.
    Docker,
    /// An image in the store.
    Image,
    /// Only the entries of the cache.
    Nothing,
}

impl Output {
    pub(crate) fn is_files(&self) -> bool {
        matches!(self.kind, OutputKind::Local | OutputKind::Tar)
    }

    pub(crate) fn is_archive(&self) -> bool {
        matches!(self.kind, OutputKind::Oci | OutputKind::Docker)
    }

    /// Whether the store gets no image, unless the image has a name.
    pub(crate) fn needs_no_image(&self) -> bool {
        self.is_files() || self.kind == OutputKind::Nothing
    }
}

/// The attestations that the caller asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attestations {
    pub provenance: Option<Provenance>,
    pub sbom: bool,
}

/// `--provenance`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Provenance {
    pub mode: ProvenanceMode,
    pub version: SlsaVersion,
    /// A URI that identifies who runs the build.
    pub builder_id: String,
    /// Whether the caller claims that the build is reproducible.
    pub reproducible: bool,
}

/// The amount of detail in the provenance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ProvenanceMode {
    /// Without values of build arguments, names of secrets and the Dockerfile.
    #[default]
    Min,
    Max,
}

/// The schema of SLSA. BuildKit's default is the older one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SlsaVersion {
    #[default]
    V02,
    V1,
}
