//! Images: images, history, import, load, save, tag, rmi.

use super::{Context, human, inside};
use crate::builder;
use crate::builder::files::glob::Glob;
use crate::diag::{self, Diagnose, Failure};
use crate::http;
use crate::image;
use crate::image::name::digest::Digest;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::image::save::{Format, save_directory};
use crate::image::stored::claim::ImageClaim;
use crate::image::stored::names;
use crate::image::stored::remove::{Removed, remove};
use crate::image::{Image, ImageError, import, manifests};
use crate::store::{self, Store};
use crate::sys::On;
use clap::{Args, Subcommand};
use serde_json::Map;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List images
    Images(ImagesArguments),
    /// Show the history of an image
    History(HistoryArguments),
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
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        match self {
            Self::Images(arguments) => images(&context.store, &arguments),
            Self::History(arguments) => history(&context.store, &arguments),
            Self::Import(arguments) => import_archive(&context.store, arguments),
            Self::Load(arguments) => load(&context.store, &arguments),
            Self::Save(arguments) => save(&context.store, &arguments),
            Self::Tag { source, target } => tag(&context.store, &source, target),
            Self::Rmi(arguments) => rmi(&context.store, &arguments),
        }
    }
}

#[derive(Args)]
pub(super) struct ImagesArguments {
    /// A repository or name; *, ? and [a-z] match as in a shell
    #[arg(value_parser = pattern)]
    repository: Option<Glob>,
    /// Accepted for Docker's sake; all images are always listed
    #[arg(short, long)]
    all: bool,
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
    /// Do not shorten IDs
    #[arg(long)]
    no_trunc: bool,
    /// Print the digests of the manifests too
    #[arg(long)]
    digests: bool,
}

const NONE: &str = "<none>";

struct Row {
    repository: String,
    tag: String,
    digest: String,
    id: Digest,
}

fn images(store: &Store, arguments: &ImagesArguments) -> Result<u8, Failure> {
    let mut rows: Vec<Row> = Vec::new();
    let names = names::all(store)?;
    for name in &names {
        if arguments.repository.as_ref().is_none_or(|wanted| is_wanted(&name.reference, wanted)) {
            rows.push(Row {
                repository: name.reference.familiar_repository(),
                tag: name.reference.tag.clone().unwrap_or_else(|| NONE.into()),
                digest: name.manifest.to_string(),
                id: name.image,
            });
        }
    }
    if arguments.repository.is_none() {
        for id in image::all(store)?.into_iter().filter(|id| names.iter().all(|n| n.image != *id)) {
            if is_behind_another(store, &id) {
                continue;
            }
            rows.push(Row { repository: NONE.into(), tag: NONE.into(), digest: NONE.into(), id });
        }
    }
    let mut listed = Vec::new();
    for row in rows {
        // It may have been removed since.
        let image = Image::open(store, &row.id).unwrap_or_else(|error| {
            let path = image::directory(store, &row.id).join("config.json");
            store::tell_damage(&path, &diag::why(&error));
            None
        });
        if let Some(image) = image {
            let created = image.config().created().clone();
            listed.push((created.unwrap_or_default(), image.size(store)?, row));
        }
    }
    // Newest first, as in Docker; RFC 3339 times of one zone sort as text.
    listed.sort_by(|(a, _, x), (b, _, y)| b.cmp(a).then_with(|| (&x.repository, &x.tag).cmp(&(&y.repository, &y.tag))));
    let shown = |id: &Digest| if arguments.no_trunc { id.to_string() } else { id.short() };
    if arguments.quiet {
        let mut seen = Vec::new();
        for (_, _, row) in listed {
            if !seen.contains(&row.id) {
                println!("{}", shown(&row.id));
                seen.push(row.id);
            }
        }
        return Ok(0);
    }
    let mut header = vec!["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
    if arguments.digests {
        header.insert(2, "DIGEST");
    }
    let rows = listed.into_iter().map(|(created, size, row)| {
        let mut cells = vec![row.repository, row.tag, shown(&row.id), human::ago(Some(&created)), human::size(size)];
        if arguments.digests {
            cells.insert(2, row.digest);
        }
        cells
    });
    print!("{}", human::table(&header, &rows.collect::<Vec<_>>()));
    Ok(0)
}

/// Whether an index lists the image that another image stands for.
fn is_behind_another(store: &Store, id: &Digest) -> bool {
    let index = |digest: Digest| image::stored::index::Index::open(store, &digest).ok().flatten();
    let mut holding = image::stored::index::holding(store, id).into_iter().filter_map(index);
    holding.any(|index| index.main().image != *id)
}

fn pattern(text: &str) -> Result<Glob, String> {
    Glob::new(text).ok_or_else(|| "unclosed [".into())
}

/// Whether a name matches: `alpine` stands for each of its tags, `alpine:3.20` for that one.
fn is_wanted(reference: &Reference, wanted: &Glob) -> bool {
    let candidates = [reference.familiar_repository(), reference.familiar(), reference.name(), reference.to_string()];
    candidates.iter().any(|name| wanted.matches(name))
}

#[derive(Args)]
pub(super) struct HistoryArguments {
    /// A name, an ID, or the beginning of an ID
    image: String,
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
    /// Do not shorten IDs and commands
    #[arg(long)]
    no_trunc: bool,
    /// Print readable sizes and times; =false prints exact ones
    #[arg(short = 'H', long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    human: bool,
}

/// Docker's word for the steps whose images are not stored.
const MISSING: &str = "<missing>";
const COMMAND_WIDTH: usize = 45;

fn history(store: &Store, arguments: &HistoryArguments) -> Result<u8, Failure> {
    let image = image::find(store, &arguments.image)?;
    let id = if arguments.no_trunc { image.id.to_string() } else { image.id.short() };
    let mut rows = Vec::new();
    for (i, step) in image::history::history(store, &image)?.into_iter().enumerate() {
        let id = if i == 0 { id.clone() } else { MISSING.into() };
        if arguments.quiet {
            println!("{id}");
            continue;
        }
        let command = step.created_by.replace('\t', " ");
        let shorten = !arguments.no_trunc && command.chars().count() > COMMAND_WIDTH;
        let command = if shorten { command.chars().take(COMMAND_WIDTH - 1).chain(['…']).collect() } else { command };
        let (created, size) = if arguments.human {
            (human::ago(step.created.as_deref()), human::size(step.size))
        } else {
            (step.created.unwrap_or_default(), step.size.to_string())
        };
        rows.push(vec![id, created, command, size, step.comment]);
    }
    if !arguments.quiet {
        print!("{}", human::table(&["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"], &rows));
    }
    Ok(0)
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

#[derive(Args)]
pub(super) struct RmiArguments {
    /// Names, IDs, or beginnings of IDs
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// Remove all names, even if containers use the image
    #[arg(short, long)]
    force: bool,
}

fn rmi(store: &Store, arguments: &RmiArguments) -> Result<u8, Failure> {
    inside::enter(store)?;
    let mut code = 0;
    for image in &arguments.images {
        match remove(store, image, arguments.force) {
            Ok(removed) => {
                for one in removed {
                    match one {
                        Removed::Untagged(reference) => println!("Untagged: {}", reference.familiar()),
                        Removed::Deleted(digest) => println!("Deleted: {digest}"),
                    }
                }
            }
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
