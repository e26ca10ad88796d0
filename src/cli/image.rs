//! Images: import, load, save, tag, rmi; and the dispatch of all commands about images.

use super::{Context, inside, stderr};
use crate::builder;
use crate::diag::{self, Diagnose, Failure};
use crate::http;
use crate::image;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::image::save::{Format, save_directory};
use crate::image::stored::claim::ImageClaim;
use crate::image::stored::names;
use crate::image::stored::remove::{Removed, remove};
use crate::image::{ImageError, import, manifests};
use crate::store::Store;
use crate::sys::On;
use clap::{Args, Subcommand};
use serde_json::Map;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum Command {
    /// List images
    Images(super::images::ImagesArguments),
    /// Show the history of an image
    History(super::history::HistoryArguments),
    /// Create an image from an archive of a root file system
    Import(ImportArguments),
    /// Load images from an archive or a directory
    Load(LoadArguments),
    /// Save images to an archive or a directory
    Save(SaveArguments),
    /// Add a name to an image
    Tag {
        /// A name, an ID, or the beginning of an ID
        source: String,
        /// The new name
        #[arg(value_name = "NAME[:TAG]")]
        target: Reference,
    },
    /// Remove names, and each image with its last name
    Rmi(RmiArguments),
    /// Remove names of an image, and keep the image
    Untag {
        /// A name, an ID, or the beginning of an ID
        image: String,
        /// The names to remove [default: all]
        #[arg(value_name = "NAME[:TAG]")]
        names: Vec<Reference>,
    },
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        as_ordinary(match self {
            Self::Images(arguments) => super::images::images(&context.store, &arguments),
            Self::History(arguments) => super::history::history(&context.store, &arguments),
            Self::Import(arguments) => import_archive(&context.store, arguments),
            Self::Load(arguments) => load(&context.store, &arguments),
            Self::Save(arguments) => save(&context.store, &arguments),
            Self::Tag { source, target } => tag(&context.store, &source, target),
            Self::Rmi(arguments) => rmi(&context.store, &arguments),
            Self::Untag { image, names } => untag(&context.store, &image, &names),
        })
    }
}

/// Docker's exit code 125 is of `run` and of what cannot be parsed: other commands fail with 1.
fn as_ordinary(result: Result<u8, Failure>) -> Result<u8, Failure> {
    match result {
        Err(failure) if failure.exit_code() == diag::ENGINE => {
            stderr::report(failure.as_ref());
            Ok(1)
        }
        other => other,
    }
}

#[derive(Args)]
pub(super) struct ImportArguments {
    /// A file, a URL, or - for standard input
    archive: String,
    /// The image's name
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<Reference>,
    /// Apply a Dockerfile instruction, such as 'CMD ["/bin/sh"]'
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,
    /// Set the comment in the image's history
    #[arg(short, long)]
    message: Option<String>,
    /// Set the platform [default: this machine's]
    #[arg(long)]
    platform: Option<Platform>,
}

fn import_archive(store: &Store, arguments: ImportArguments) -> Result<u8, Failure> {
    inside::enter(store)?;
    let archive: Box<dyn Read + Send> = match arguments.archive.as_str() {
        "-" => Box::new(io::stdin()),
        url if http::is_url(url) => http::fetch(url)?.reader,
        path => Box::new(File::open(path).on("open", path).map_err(ImageError::from)?),
    };
    let options = import::Options {
        origin: arguments.archive,
        message: arguments.message,
        changes: builder::read::change::changes(&arguments.changes)?,
        name: arguments.name.map(Reference::or_latest),
        platform: arguments.platform.unwrap_or_else(Platform::here),
    };
    println!("{}", import::import(store, archive, options)?);
    Ok(0)
}

#[derive(Args)]
pub(super) struct LoadArguments {
    /// Read this archive or directory [default: standard input]
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Accepted for Docker's sake; no progress is printed
    #[arg(short, long)]
    quiet: bool,
    /// Load only the images for this platform
    #[arg(long)]
    platform: Option<Platform>,
}

fn load(store: &Store, arguments: &LoadArguments) -> Result<u8, Failure> {
    let input = arguments.input.as_deref().filter(|path| *path != Path::new("-"));
    if input.is_none() && io::stdin().is_terminal() {
        return Err(TerminalError {
            operation: "read an archive",
            stream: "input",
            hint: "name a file: minirun load -i FILE".into(),
        }
        .into());
    }
    inside::enter(store)?;
    for loaded in image::load::load(store, input, arguments.platform.as_ref())? {
        image::note_image(store, "load", &loaded.id, loaded.names.first());
        if loaded.names.is_empty() {
            println!("Loaded image ID: {}", loaded.id);
        }
        for name in &loaded.names {
            println!("Loaded image: {}", name.familiar());
        }
        for name in &loaded.invalid_names {
            eprintln!(
                "note: invalid name \"{name}\" in the archive: image {} is loaded without it; to name it: minirun tag {} NAME",
                loaded.id.short(),
                loaded.id.short()
            );
        }
    }
    Ok(0)
}

#[derive(Args)]
pub(super) struct SaveArguments {
    /// Names, IDs, or beginnings of IDs
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// Write to this file or directory [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Set the format; docker-archive is an OCI archive too
    #[arg(long, default_value = "docker-archive", hide_default_value = true)]
    format: SaveFormat,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum SaveFormat {
    DockerArchive,
    OciArchive,
    OciDir,
}

fn save(store: &Store, arguments: &SaveArguments) -> Result<u8, Failure> {
    let output = arguments.output.as_deref().filter(|path| *path != Path::new("-"));
    let format = match (arguments.format, output) {
        (SaveFormat::OciDir, Some(path)) => {
            inside::enter(store)?;
            save_directory(store, &arguments.images, path)?;
            note_saved(store, &arguments.images);
            return Ok(0);
        }
        (SaveFormat::OciDir, None) => {
            let images = arguments.images.clone();
            return Err(NoDirectory { images }.into());
        }
        (SaveFormat::DockerArchive, _) => Format::Docker,
        (SaveFormat::OciArchive, _) => Format::Oci,
    };
    if output.is_none() && io::stdout().is_terminal() {
        let hint = format!("name a file: minirun save -o FILE {}", arguments.images.join(" "));
        return Err(TerminalError { operation: "write an archive", stream: "output", hint }.into());
    }
    inside::enter(store)?;
    match output {
        Some(path) => image::save::save_file(store, &arguments.images, format, &Map::new(), path)?,
        None => {
            image::save::save(store, &arguments.images, format, &Map::new(), io::stdout().lock(), "standard output")?
        }
    }
    note_saved(store, &arguments.images);
    Ok(0)
}

fn note_saved(store: &Store, images: &[String]) {
    for name in images {
        if let Ok(found) = image::lookup(store, name) {
            image::note_image(store, "save", &found.image, found.name.as_ref().map(|name| &name.reference));
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("--format oci-dir needs --output")]
struct NoDirectory {
    images: Vec<String>,
}

impl Diagnose for NoDirectory {
    fn hint(&self) -> Option<String> {
        Some(format!("name a directory: minirun save --format oci-dir -o DIR {}", self.images.join(" ")))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}: standard {stream} is a terminal")]
struct TerminalError {
    operation: &'static str,
    stream: &'static str,
    hint: String,
}

impl Diagnose for TerminalError {
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

fn tag(store: &Store, source: &str, target: Reference) -> Result<u8, Failure> {
    let found = image::lookup(store, source)?;
    let claim = ImageClaim::take(store, found.image).map_err(ImageError::from)?;
    let manifest = match found.manifest {
        Some(manifest) => manifest,
        None => manifests(store, &found.image)?.first().copied().unwrap_or(found.image),
    };
    let target = target.or_latest();
    names::set(store, &claim, &target, manifest)?;
    image::note_image(store, "tag", &found.image, Some(&target));
    Ok(0)
}

/// `untag`: takes names from an image, which stays.
fn untag(store: &Store, image: &str, wanted: &[Reference]) -> Result<u8, Failure> {
    let id = image::lookup(store, image)?.image;
    let claim = ImageClaim::take(store, id).map_err(ImageError::from)?;
    let all = names::of_image(store, &id)?;
    let wanted: Vec<Reference> = wanted.iter().cloned().map(Reference::or_latest).collect();
    if let Some(stranger) = wanted.iter().find(|name| all.iter().all(|known| known.reference != **name)) {
        return Err(NotItsName { image: id.short(), name: stranger.familiar() }.into());
    }
    for name in all.iter().filter(|name| wanted.is_empty() || wanted.contains(&name.reference)) {
        if names::remove(store, &claim, &name.reference)? {
            println!("Untagged: {}", name.reference.familiar());
        }
    }
    Ok(0)
}

#[derive(Debug, thiserror::Error)]
#[error("image {image} has no name {name}")]
struct NotItsName {
    image: String,
    name: String,
}

impl Diagnose for NotItsName {
    fn hint(&self) -> Option<String> {
        Some("list all names: minirun images".into())
    }
}

#[derive(Args)]
pub(super) struct RmiArguments {
    /// Names, IDs, or beginnings of IDs
    #[arg(required_unless_present = "all", value_name = "IMAGE")]
    images: Vec<String>,
    /// Remove all names, even if containers use the image
    #[arg(short, long)]
    force: bool,
    /// Remove every image
    #[arg(short, long, conflicts_with = "images")]
    all: bool,
    /// Accepted for Docker's sake; an image never takes another one along
    #[arg(long)]
    no_prune: bool,
}

fn rmi(store: &Store, arguments: &RmiArguments) -> Result<u8, Failure> {
    inside::enter(store)?;
    let mut code = 0;
    let all = if arguments.all { image::all(store)?.iter().map(ToString::to_string).collect() } else { Vec::new() };
    for image in arguments.images.iter().chain(&all) {
        match remove(store, image, arguments.force) {
            Ok(removed) => {
                for one in removed {
                    match one {
                        Removed::Untagged(reference) => println!("Untagged: {}", reference.familiar()),
                        Removed::Deleted(digest) => println!("Deleted: {digest}"),
                    }
                }
            }
            // Each is gone already if an index went that listed it, or will go with one.
            Err(ImageError::NotFound { .. } | ImageError::Listed { .. }) if arguments.all => {}
            // The other images are removed nevertheless.
            Err(ImageError::NotFound { .. }) if arguments.force => {}
            Err(error) => {
                crate::cli::stderr::report(&error);
                code = 1;
            }
        }
    }
    Ok(code)
}
