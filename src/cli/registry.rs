//! Images from and to registries: pull, push, and the image of `run` and `create`.

use super::Context;
use super::flags::{PullFlags, PullPolicy, RegistryFlags, settings};
use super::inside::{self, Errand, MissingImage};
use super::transfer::Printer;
use crate::diag::{Diagnose, Failure};
use crate::image::Image;
use crate::image::name::platform;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::image::stored::manifest::Format;
use crate::image::stored::names;
use crate::image::tar::stream::Compression;
use crate::registry::{self, Form, Policy, Pulled, RegistryError, Settings, list};
use crate::store::Store;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum Command {
    /// Pull an image from a registry
    Pull(PullArguments),
    /// Push an image to a registry
    Push(PushArguments),
    /// Log in to a registry
    Login(super::login::LoginArguments),
    /// Log out from a registry
    Logout(super::login::LogoutArguments),
    /// Search a registry for images
    Search(super::search::SearchArguments),
    /// Manage manifest lists (images for several platforms)
    #[command(subcommand)]
    Manifest(super::manifest::Command),
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        match self {
            Self::Pull(arguments) => pull(context, &arguments),
            Self::Push(arguments) => push(context, arguments),
            Self::Login(arguments) => super::login::login(arguments),
            Self::Logout(arguments) => super::login::logout(&arguments),
            Self::Search(arguments) => super::search::run(&arguments),
            Self::Manifest(command) => command.run(context),
        }
    }
}

#[derive(Args)]
pub(super) struct PullArguments {
    /// The image to pull
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    image: Reference,
    /// Pull the image for this platform [default: this machine's]
    #[arg(long)]
    platform: Option<Platform>,
    /// Pull every tag of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Set when to ask the registry [default: always]
    #[arg(long, value_name = "WHEN", default_value = "always", hide_default_value = true)]
    policy: PullPolicy,
    /// Print only the image's name
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryFlags,
}

fn pull(context: &Context, arguments: &PullArguments) -> Result<u8, Failure> {
    inside::enter(&context.store)?;
    let settings = arguments.registry.settings();
    let printer = Printer::new(arguments.quiet, false);
    let (store, platform) = (&context.store, arguments.platform.as_ref());
    let is_whole = arguments.image.tag.is_some() || arguments.image.digest.is_some();
    if arguments.all_tags {
        if is_whole {
            return Err(TagWithAllTags { command: "pull", repository: arguments.image.familiar_repository() }.into());
        }
        for tag in list::tags(&arguments.image, &settings)? {
            let reference = Reference { tag: Some(tag), ..arguments.image.clone() };
            match registry::pull(store, &reference, platform, &settings, &printer) {
                // The tags of a repository include those of signatures, which are not images.
                Err(error @ RegistryError::Other { .. }) => printer.say(&format!("note: passed over: {error}")),
                pulled => report(&printer, &pulled?),
            }
        }
        println!("{}", arguments.image.name());
        return Ok(0);
    }
    let reference = arguments.image.clone().or_latest();
    let policy = Policy::from(arguments.policy);
    if policy == Policy::Never
        || policy == Policy::Missing && registry::local(store, &reference.to_string(), platform)?.is_some()
    {
        crate::image::find(store, &reference.to_string())?;
        println!("{reference}");
        return Ok(0);
    }
    if !is_whole {
        printer.say("Using default tag: latest");
    }
    let pulled = registry::pull(store, &reference, platform, &settings, &printer)?;
    report(&printer, &pulled);
    println!("{}", pulled.reference);
    Ok(0)
}

/// Pulls the image of a new container; what there is to say goes to standard error.
pub(super) fn pull_missing(store: &Store, missing: &MissingImage) -> Result<u8, Failure> {
    let printer = Printer::new(missing.quiet, true);
    let settings = settings(missing.tls_verify);
    let pulled = registry::pull(store, &missing.reference, missing.platform.as_ref(), &settings, &printer)?;
    report(&printer, &pulled);
    Ok(0)
}

#[derive(Debug, thiserror::Error)]
#[error("--all-tags and a tag exclude each other")]
struct TagWithAllTags {
    command: &'static str,
    repository: String,
}

impl Diagnose for TagWithAllTags {
    fn hint(&self) -> Option<String> {
        Some(format!("for all tags: minirun {} -a {}", self.command, self.repository))
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

fn report(printer: &Printer, pulled: &Pulled) {
    let status = if pulled.is_new { "Downloaded newer image for" } else { "Image is up to date for" };
    printer.say(&format!("Digest: {}", pulled.digest));
    printer.say(&format!("Status: {status} {}", pulled.reference.familiar()));
}

#[derive(Args)]
pub(super) struct PushArguments {
    /// The image to push
    #[arg(value_name = "NAME[:TAG]")]
    image: Reference,
    /// Push every local tag of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Print only the image's name
    #[arg(short, long)]
    quiet: bool,
    /// Compress layers [default: as pulled, else gzip]
    #[arg(long, visible_alias = "compression-format", value_name = "HOW")]
    compression: Option<LayerCompression>,
    /// Set the manifest's format [default: as pulled, else oci]
    #[arg(long, value_name = "FORMAT")]
    format: Option<ManifestFormat>,
    #[command(flatten)]
    registry: RegistryFlags,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LayerCompression {
    Gzip,
    Zstd,
}

impl From<LayerCompression> for Compression {
    fn from(one: LayerCompression) -> Self {
        match one {
            LayerCompression::Gzip => Self::Gzip,
            LayerCompression::Zstd => Self::Zstd,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ManifestFormat {
    Oci,
    V2s2,
}

#[derive(Debug, thiserror::Error)]
#[error("--compression zstd and --format v2s2 exclude each other")]
struct NoZstd;

impl Diagnose for NoZstd {
    fn hint(&self) -> Option<String> {
        Some("only OCI manifests can name layers compressed with zstd".into())
    }
}

fn push(context: &Context, arguments: PushArguments) -> Result<u8, Failure> {
    inside::enter(&context.store)?;
    let settings = arguments.registry.settings();
    let printer = Printer::new(arguments.quiet, false);
    let is_whole = arguments.image.tag.is_some() || arguments.image.digest.is_some();
    let compression = arguments.compression.map(Compression::from);
    if compression == Some(Compression::Zstd) && arguments.format == Some(ManifestFormat::V2s2) {
        return Err(NoZstd.into());
    }
    let format = arguments.format.map(|format| match format {
        ManifestFormat::Oci => Format::Oci,
        ManifestFormat::V2s2 => Format::Docker,
    });
    let references = if arguments.all_tags {
        if is_whole {
            return Err(TagWithAllTags { command: "push", repository: arguments.image.familiar_repository() }.into());
        }
        let same = |one: &Reference| one.name() == arguments.image.name() && one.tag.is_some();
        names::all(&context.store)?.into_iter().map(|name| name.reference).filter(same).collect()
    } else {
        if !is_whole {
            printer.say("Using default tag: latest");
        }
        vec![arguments.image.clone().or_latest()]
    };
    if references.is_empty() {
        return Err(RegistryError::NotHere { reference: arguments.image }.into());
    }
    push_all(&context.store, &references, Form { compression, format }, &settings, &printer)?;
    if arguments.quiet {
        references.iter().for_each(|reference| println!("{reference}"));
    }
    Ok(0)
}

/// Pushes images one after another and prints Docker's lines. Returns the digest of the last one.
pub(super) fn push_all(
    store: &Store,
    references: &[Reference],
    form: Form,
    settings: &Settings,
    printer: &Printer,
) -> Result<Option<crate::image::name::digest::Digest>, RegistryError> {
    let mut repository = String::new();
    let mut last = None;
    for reference in references {
        if repository != reference.name() {
            repository = reference.name();
            printer.say(&format!("The push refers to repository [{repository}]"));
        }
        let pushed = registry::push(store, reference, form, settings, printer)?;
        crate::image::note_transfer(store, "push", reference);
        let tag = reference.tag.as_deref().unwrap_or_default();
        printer.say(&format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size));
        last = Some(pushed.digest);
    }
    Ok(last)
}

/// An error that the pull, in another process of minirun, has printed.
#[derive(Debug, thiserror::Error)]
#[error("reported by the process that pulled")]
struct Reported;

impl Diagnose for Reported {
    fn is_told(&self) -> bool {
        true
    }
}

/// Returns the image of a new container. Pulls it where needed, in another process inside the user namespace.
pub(super) fn image(context: &Context, name: &str, flags: &PullFlags) -> Result<Image, Failure> {
    let image = find_or_pull(context, name, flags)?;
    let here = Platform::here();
    if flags.platform.is_none() && !here.takes_config(image.config()) {
        // Docker's words, which people search for.
        eprintln!(
            "WARNING: The requested image's platform ({}) does not match the detected host platform ({here}) and no specific \
             platform was requested",
            platform::of_config(image.config())
        );
    }
    Ok(image)
}

fn find_or_pull(context: &Context, name: &str, flags: &PullFlags) -> Result<Image, Failure> {
    let store = &context.store;
    let platform = flags.platform.as_ref();
    let policy = Policy::from(flags.pull);
    let found = if policy == Policy::Always { None } else { registry::local(store, name, platform)? };
    if let Some(image) = found {
        return Ok(image);
    }
    let reference = match name.parse::<Reference>() {
        Ok(reference) if policy != Policy::Never => reference.or_latest(),
        _ => return Ok(crate::image::find(store, name)?),
    };
    if policy == Policy::Missing && !flags.quiet {
        eprintln!("Unable to find image '{}' locally", reference.familiar());
    }
    let missing = MissingImage {
        reference: reference.clone(),
        platform: platform.cloned(),
        tls_verify: flags.registry.tls_verify,
        quiet: flags.quiet,
    };
    match inside::send(store, Errand::Pull(missing))? {
        0 => Ok(registry::local(store, &reference.to_string(), platform)?.ok_or(RegistryError::Vanished { reference })?),
        // It has printed the reason; a similar name may be in the store.
        _ => {
            if let Some(meant) = crate::image::meant(store, name) {
                eprintln!("       {meant}");
            }
            Err(Reported.into())
        }
    }
}
