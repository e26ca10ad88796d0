//! Where a build's files come from: a directory, an archive, standard input, an address, a git repository.

use super::glob::Ignore;
use crate::diag::Diagnose;
use crate::http::{HttpError, fetch, is_url};
use crate::image::owner::Owners;
use crate::image::unpack::{self, Limits, UnpackError};
use crate::store::{Scratch, Store, StoreError};
use crate::sys::{On, SysError};
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    #[error("{} is not there", .0.display())]
    NoContext(PathBuf),
    #[error("there is no Dockerfile in {}", .0.display())]
    NoDockerfile(PathBuf),
    #[error("{} cannot be read as text", .0.display())]
    NotText(PathBuf),
    #[error("the Dockerfile and the context cannot both come from standard input")]
    BothStdin,
    #[error("standard input cannot be read")]
    Stdin(#[source] io::Error),
    #[error("{0} cannot be fetched")]
    Body(String, #[source] io::Error),
    #[error("the context cannot be unpacked")]
    Unpack(#[source] UnpackError),
    #[error("git is not installed, and {0} is a git repository")]
    NoGit(String),
    #[error("git could not clone {url}: {said}")]
    Git { url: String, said: String },
    #[error("{0} is no part of the repository")]
    NoPart(String),
    #[error(transparent)]
    Fetch(#[from] HttpError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for ContextError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoContext(_) => Some("the last argument is the directory with your files: minirun build .".into()),
            Self::NoDockerfile(_) => Some("it is called Dockerfile (or Containerfile); another name: -f FILE".into()),
            Self::BothStdin => Some("give one of them by name".into()),
            Self::Unpack(error) => error.hint(),
            Self::NoGit(_) => Some("install git, or clone it elsewhere and build the directory".into()),
            Self::Fetch(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Sys(error) => error.hint(),
            _ => None,
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// Files and a Dockerfile, ready to be read.
pub struct Context {
    /// None of a Dockerfile that came alone.
    pub directory: Option<PathBuf>,
    /// What the Dockerfile is called, and its text.
    pub file: String,
    pub text: String,
    pub ignore: Ignore,
    /// What the cache knows it by.
    pub project: String,
    /// Unpacked for this build only.
    _scratch: Option<Scratch>,
}

/// Files that a build takes from, without a Dockerfile of their own.
pub struct Files {
    pub directory: PathBuf,
    pub ignore: Ignore,
    /// Unpacked for this build only.
    _scratch: Option<Scratch>,
}

const NAMES: [&str; 3] = ["Dockerfile", "Containerfile", "dockerfile"];

/// What is to be opened can be looked at without unpacking anything.
pub fn is_plain(context: &str, file: Option<&str>) -> bool {
    context != "-" && file != Some("-") && Path::new(context).is_dir() && !is_url(context) && !is_git(context)
}

/// `context` is a directory, an archive, `-` or an address; `file` a path, or `-`.
pub fn open(store: &Store, context: &str, file: Option<&str>) -> Result<Context, ContextError> {
    if context == "-" {
        if file == Some("-") {
            return Err(ContextError::BothStdin);
        }
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map_err(ContextError::Stdin)?;
        if !unpack::is_archive(Cursor::new(&bytes)) {
            let text = text(bytes, Path::new("-"))?;
            return Ok(Context {
                directory: None,
                file: "-".into(),
                text,
                ignore: Ignore::default(),
                project: "-".into(),
                _scratch: None,
            });
        }
        return unpacked(store, Cursor::new(bytes), file, "-");
    }
    if is_git(context) {
        let scratch = store.scratch()?;
        let directory = scratch.path().join("context");
        clone(context, &directory, false)?;
        return in_directory(&directory, file, context, Some(scratch));
    }
    if is_url(context) {
        let mut bytes = Vec::new();
        fetch(context)?
            .reader
            .read_to_end(&mut bytes)
            .map_err(|error| ContextError::Body(context.to_owned(), error))?;
        if unpack::is_archive(Cursor::new(&bytes)) {
            return unpacked(store, Cursor::new(bytes), file, context);
        }
        let text = text(bytes, Path::new(context))?;
        return Ok(Context {
            directory: None,
            file: context.to_owned(),
            text,
            ignore: Ignore::default(),
            project: context.to_owned(),
            _scratch: None,
        });
    }
    let path = Path::new(context);
    if path.is_file() {
        return unpacked(store, File::open(path).on("open", path)?, file, context);
    }
    if !path.is_dir() {
        return Err(ContextError::NoContext(path.to_owned()));
    }
    let path = fs::canonicalize(path).on("realpath", path)?;
    in_directory(&path, file, &path.to_string_lossy(), None)
}

/// The files of a directory, an archive, an address or a git repository.
pub fn files(store: &Store, text: &str) -> Result<Files, ContextError> {
    let of = |directory: PathBuf, scratch: Option<Scratch>| {
        let ignore = ignore(&directory, None);
        Files { directory, ignore, _scratch: scratch }
    };
    let path = Path::new(text);
    if is_git(text) {
        let scratch = store.scratch()?;
        let directory = scratch.path().join("context");
        clone(text, &directory, false)?;
        return Ok(of(directory, Some(scratch)));
    }
    if is_url(text) {
        let (scratch, directory) = unpack(store, fetch(text)?.reader)?;
        return Ok(of(directory, Some(scratch)));
    }
    if path.is_file() {
        let (scratch, directory) = unpack(store, File::open(path).on("open", path)?)?;
        return Ok(of(directory, Some(scratch)));
    }
    if !path.is_dir() {
        return Err(ContextError::NoContext(path.to_owned()));
    }
    Ok(of(fs::canonicalize(path).on("realpath", path)?, None))
}

fn unpacked(
    store: &Store,
    archive: impl Read + Send,
    file: Option<&str>,
    project: &str,
) -> Result<Context, ContextError> {
    let (scratch, directory) = unpack(store, archive)?;
    in_directory(&directory, file, project, Some(scratch))
}

fn unpack(store: &Store, archive: impl Read + Send) -> Result<(Scratch, PathBuf), ContextError> {
    let scratch = store.scratch()?;
    let directory = scratch.path().join("context");
    fs::create_dir(&directory).on("mkdir", &directory)?;
    // Whoever made the archive, the files are the builder's.
    let owners = Owners::here()?;
    unpack::extract(&directory, archive, &owners, Limits::from_env()).map_err(ContextError::Unpack)?;
    Ok((scratch, directory))
}

/// What `.dockerignore` leaves out, or the file of a Dockerfile's own.
fn ignore(directory: &Path, dockerfile: Option<&Path>) -> Ignore {
    let own = dockerfile.map(|path| PathBuf::from(format!("{}.dockerignore", path.display())));
    let all = own.into_iter().chain([".dockerignore", ".containerignore"].map(|name| directory.join(name)));
    let text = all.into_iter().find_map(|path| fs::read(path).ok()).unwrap_or_default();
    Ignore::parse(&String::from_utf8_lossy(&text))
}

fn in_directory(
    directory: &Path,
    file: Option<&str>,
    project: &str,
    scratch: Option<Scratch>,
) -> Result<Context, ContextError> {
    let (name, text, path) = match file {
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map_err(ContextError::Stdin)?;
            ("-".to_owned(), text(bytes, Path::new("-"))?, None)
        }
        Some(file) => {
            // Where one stands, as Docker reads it; within the context, if it is not there.
            let here = std::path::absolute(file).on("open", file)?;
            let path = if here.exists() && scratch.is_none() { here } else { directory.join(file) };
            let bytes = fs::read(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => ContextError::NoDockerfile(path.clone()),
                _ => SysError {
                    call: "read",
                    subject: file.to_owned(),
                    errno: error.raw_os_error().unwrap_or(libc::EIO),
                }
                .into(),
            })?;
            (file.to_owned(), text(bytes, &path)?, Some(path))
        }
        None => {
            let found = NAMES.iter().map(|name| directory.join(name)).find(|path| path.is_file());
            let path = found.ok_or_else(|| ContextError::NoDockerfile(directory.to_owned()))?;
            let bytes = fs::read(&path).on("read", &path)?;
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            (name, text(bytes, &path)?, Some(path))
        }
    };
    Ok(Context {
        ignore: ignore(directory, path.as_deref()),
        directory: Some(directory.to_owned()),
        project: format!("{project}\n{}", path.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default()),
        file: name,
        text,
        _scratch: scratch,
    })
}

fn text(bytes: Vec<u8>, path: &Path) -> Result<String, ContextError> {
    String::from_utf8(bytes).map_err(|_| ContextError::NotText(path.to_owned()))
}

/// Whether an address is a git repository's, as Docker tells it.
pub fn is_git(text: &str) -> bool {
    let address = text.split('#').next().unwrap_or(text);
    text.starts_with("git@")
        || text.starts_with("git://")
        || text.starts_with("ssh://")
        || text.starts_with("github.com/")
        || (is_url(text) && address.ends_with(".git"))
}

/// The commit that `ADDRESS#COMMIT[:DIRECTORY]` names, which never becomes another.
pub fn commit(text: &str) -> Option<&str> {
    let (_, fragment) = text.split_once('#')?;
    let commit = fragment.split(':').next()?;
    (commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit())).then_some(commit)
}

/// Clones `ADDRESS[#REF[:DIRECTORY]]` into a directory.
pub fn clone(text: &str, directory: &Path, keep_git_dir: bool) -> Result<(), ContextError> {
    let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (reference, part) = fragment.split_once(':').unwrap_or((fragment, ""));
    let address = if address.starts_with("github.com/") { format!("https://{address}") } else { address.to_owned() };
    let git = crate::userns::program("git").ok_or_else(|| ContextError::NoGit(text.to_owned()))?;
    let run = |arguments: &[&str], into: &Path| {
        let output = Command::new(&git).args(arguments).current_dir(into).env("GIT_TERMINAL_PROMPT", "0").output();
        let output = output.on("execve", &git)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        Err(ContextError::Git { url: text.to_owned(), said })
    };
    fs::create_dir_all(directory).on("mkdir", directory)?;
    let repository = if part.is_empty() { directory.to_owned() } else { directory.with_extension("git") };
    fs::create_dir_all(&repository).on("mkdir", &repository)?;
    run(&["init", "-q"], &repository)?;
    let wanted = if reference.is_empty() { "HEAD" } else { reference };
    // What begins with a dash would be an option.
    run(&["fetch", "-q", "--depth", "1", "--", &address, wanted], &repository)?;
    run(&["checkout", "-q", "FETCH_HEAD"], &repository)?;
    if !keep_git_dir {
        crate::store::remove_tree(&repository.join(".git"))?;
    }
    if !part.is_empty() {
        let inside = repository.join(super::glob::clean(part));
        let real = fs::canonicalize(&inside).map_err(|_| ContextError::NoPart(part.to_owned()))?;
        if !real.starts_with(fs::canonicalize(&repository).on("realpath", &repository)?) || !real.is_dir() {
            return Err(ContextError::NoPart(part.to_owned()));
        }
        fs::remove_dir(directory).on("rmdir", directory)?;
        fs::rename(&real, directory).on("rename", directory)?;
        crate::store::remove_tree(&repository)?;
    }
    Ok(())
}
