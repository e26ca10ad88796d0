//! Build contexts: a directory, an archive, standard input, a URL or a git repository.

use super::glob::{Ignore, InvalidPattern};
use super::material::Material;
use crate::diag::{Diagnose, ErrorCode, inner_of};
use crate::http::{HttpError, fetch, is_url};
use crate::image::name::digest::Hashing;
use crate::image::overlay::owner::Owners;
use crate::image::tar::unpack;
use crate::image::tar::unpack::{Limits, UnpackError};
use crate::store::{Scratch, Store, StoreError};
use crate::sys::fs::openat2;
use crate::sys::{On, SysError};
use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    #[error("no such file or directory: {}", .0.display())]
    NoContext(PathBuf),
    #[error("there is no Dockerfile in {}", .0.display())]
    NoDockerfile(PathBuf),
    #[error("cannot read {}: it is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    #[error("`{name}` is a link to {}, which is not in the context", target.display())]
    LeadsOut { name: String, target: PathBuf },
    #[error("invalid pattern in {file}")]
    Pattern { file: String, source: InvalidPattern },
    #[error("{} is a directory, not a Dockerfile", .0.display())]
    IsDirectory(PathBuf),
    #[error("cannot read {}: it is larger than 16 MiB", .0.display())]
    TooLarge(PathBuf),
    #[error("{} is neither a directory nor an archive", .0.display())]
    NoArchive(PathBuf),
    #[error("the Dockerfile and the context cannot both come from standard input")]
    BothStdin,
    #[error("cannot read standard input")]
    Stdin(#[source] io::Error),
    #[error("cannot fetch {0}")]
    Body(String, #[source] io::Error),
    #[error("cannot unpack the context")]
    Unpack(#[source] UnpackError),
    #[error("cannot clone {0}: git is not installed")]
    NoGit(String),
    #[error("cannot clone {url}: {said}")]
    Git { url: String, said: String },
    #[error("no such directory in the repository: {0}")]
    NoPart(String),
    #[error("{url} is at commit {found}, and --checksum says {wanted}")]
    Commit { url: String, found: String, wanted: String },
    #[error("invalid --checksum={0}: a git repository takes a commit in at least 7 hexadecimal digits")]
    NoCommit(String),
    #[error(transparent)]
    Fetch(#[from] HttpError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for ContextError {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::NoDockerfile(_) => Some(ErrorCode::NoDockerfile),
            _ => self.inner().and_then(Diagnose::code),
        }
    }

    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Unpack, Fetch, Store, Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoContext(_) => Some("the last argument is the directory with your files: minirun build .".into()),
            Self::NoDockerfile(_) => Some("it is called Dockerfile (or Containerfile); another name: -f FILE".into()),
            Self::LeadsOut { .. } => {
                Some("a link that leads out of the context is not followed; put the file itself there".into())
            }
            Self::IsDirectory(path) => Some(format!("name the file in it: -f {}", path.join("Dockerfile").display())),
            Self::NoArchive(path) => {
                let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Some(format!("a Dockerfile goes with -f: minirun build -f {} {}", path.display(), directory.display()))
            }
            Self::Pattern { .. } => Some("a `[` that stands for itself is written `\\[`".into()),
            Self::BothStdin => Some("give one of them by name".into()),
            Self::NoGit(_) => Some("install git, or clone it elsewhere and build the directory".into()),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// An opened build context and its Dockerfile.
pub(crate) struct Context {
    /// `None` for a Dockerfile without files.
    pub directory: Option<PathBuf>,
    /// The Dockerfile's name, and its text.
    pub file: String,
    pub text: String,
    pub ignore: Ignore,
    /// The name of context and Dockerfile for the cache.
    pub project: String,
    /// The remote source; `None` for local files.
    pub origin: Option<Material>,
    /// Holds files that are unpacked for this build only.
    _scratch: Option<Scratch>,
}

/// An opened `--build-context`.
pub struct Files {
    pub directory: PathBuf,
    pub ignore: Ignore,
    /// The remote source; `None` for local files.
    pub origin: Option<Material>,
    /// Holds files that are unpacked for this build only.
    _scratch: Option<Scratch>,
}

/// The size limit of a Dockerfile and of a `.dockerignore`: that of a message in BuildKit.
const LARGEST_TEXT: u64 = 16 << 20;
const NAMES: [&str; 3] = ["Dockerfile", "Containerfile", "dockerfile"];

/// Whether a context can be opened without fetching or unpacking.
pub(crate) fn is_plain(context: &str, file: Option<&str>) -> bool {
    context != "-" && file != Some("-") && Path::new(context).is_dir() && !is_url(context) && !is_git(context)
}

/// Opens a context. `context` is a directory, an archive, `-` or an address; `file` is a path, or `-`.
pub(crate) fn open(store: &Store, context: &str, file: Option<&str>) -> Result<Context, ContextError> {
    if context == "-" {
        if file == Some("-") {
            return Err(ContextError::BothStdin);
        }
        return from_stream(store, io::stdin(), file, "-");
    }
    if is_git(context) {
        let scratch = store.scratch()?;
        let directory = scratch.path().join("context");
        let commit = clone(context, &directory, false, None)?;
        let origin = Some(Material::fetched(context, Some(("sha1", &commit))));
        return Ok(Context { origin, ..in_directory(&directory, file, context, Some(scratch))? });
    }
    if is_url(context) {
        let mut stream = Hashing::new(fetch(context)?.reader);
        let opened = from_stream(store, &mut stream, file, context)?;
        return Ok(Context { origin: Some(fetched(context, stream)?), ..opened });
    }
    let path = Path::new(context);
    if path.is_file() {
        let archive = File::open(path).on("open", path)?;
        if !unpack::is_archive(&archive) {
            return Err(ContextError::NoArchive(path.to_owned()));
        }
        (&archive).rewind().on("lseek", path)?;
        return unpacked(store, archive, file, context);
    }
    if !path.is_dir() {
        return Err(ContextError::NoContext(path.to_owned()));
    }
    let path = fs::canonicalize(path).on("realpath", path)?;
    in_directory(&path, file, &path.to_string_lossy(), None)
}

/// Reads an archive or a single Dockerfile from a stream.
fn from_stream(
    store: &Store,
    mut stream: impl Read + Send,
    file: Option<&str>,
    name: &str,
) -> Result<Context, ContextError> {
    let broken = |error| match name {
        "-" => ContextError::Stdin(error),
        name => ContextError::Body(name.to_owned(), error),
    };
    // The first bytes tell an archive; a Dockerfile fits in completely.
    let mut begin = Vec::new();
    stream.by_ref().take(LARGEST_TEXT + 1).read_to_end(&mut begin).map_err(broken)?;
    if unpack::is_archive(Cursor::new(&begin)) {
        return unpacked(store, Cursor::new(begin).chain(stream), file, name);
    }
    if begin.len() as u64 > LARGEST_TEXT {
        return Err(ContextError::TooLarge(name.into()));
    }
    Ok(Context {
        directory: None,
        file: name.to_owned(),
        text: text(begin, Path::new(name))?,
        ignore: Ignore::default(),
        project: name.to_owned(),
        origin: None,
        _scratch: None,
    })
}

/// Opens the files of a directory, an archive, an address or a git repository.
pub(crate) fn files(store: &Store, text: &str) -> Result<Files, ContextError> {
    let of = |directory: PathBuf, scratch: Option<Scratch>, origin: Option<Material>| {
        let ignore = ignore(&directory, None)?;
        Ok(Files { directory, ignore, origin, _scratch: scratch })
    };
    let path = Path::new(text);
    if is_git(text) {
        let scratch = store.scratch()?;
        let directory = scratch.path().join("context");
        let commit = clone(text, &directory, false, None)?;
        return of(directory, Some(scratch), Some(Material::fetched(text, Some(("sha1", &commit)))));
    }
    if is_url(text) {
        let mut stream = Hashing::new(fetch(text)?.reader);
        let (scratch, directory) = unpack(store, &mut stream)?;
        return of(directory, Some(scratch), Some(fetched(text, stream)?));
    }
    if path.is_file() {
        let (scratch, directory) = unpack(store, File::open(path).on("open", path)?)?;
        return of(directory, Some(scratch), None);
    }
    if !path.is_dir() {
        return Err(ContextError::NoContext(path.to_owned()));
    }
    of(fs::canonicalize(path).on("realpath", path)?, None, None)
}

/// Reads the rest of a download, and describes it.
fn fetched(address: &str, mut stream: Hashing<impl Read>) -> Result<Material, ContextError> {
    // The digest includes the padding after the archive's end.
    let rest = io::copy(&mut stream, &mut io::sink());
    rest.map_err(|error| ContextError::Body(address.to_owned(), error))?;
    let (_, digest, _) = stream.finish();
    Ok(Material::fetched(address, Some(("sha256", &digest.hex()))))
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
    // The files belong to the builder, whoever the archive names.
    let owners = Owners::here()?;
    unpack::extract(&directory, archive, &owners, Limits::from_env()).map_err(ContextError::Unpack)?;
    Ok((scratch, directory))
}

/// Reads `.dockerignore`, or the ignore file that belongs to the Dockerfile.
fn ignore(directory: &Path, dockerfile: Option<&DockerfilePath>) -> Result<Ignore, ContextError> {
    let (mut file, mut text) = match dockerfile {
        Some(DockerfilePath::Within(name)) => {
            let name = format!("{name}.dockerignore");
            let text = read_within(directory, &name)?;
            (name, text)
        }
        Some(DockerfilePath::Elsewhere(path)) => {
            let name = format!("{}.dockerignore", path.display());
            let text = read_anywhere(Path::new(&name))?;
            (name, text)
        }
        None => (String::new(), None),
    };
    for name in [".dockerignore", ".containerignore"] {
        if text.is_none() {
            (file, text) = (name.to_owned(), read_within(directory, name)?);
        }
    }
    let parsed = Ignore::parse(&String::from_utf8_lossy(&text.unwrap_or_default()));
    parsed.map_err(|source| ContextError::Pattern { file, source })
}

/// The location of a Dockerfile.
enum DockerfilePath {
    /// A path in the context; links are resolved within it, because its author is not trusted.
    Within(String),
    /// A path outside of it that the command line names.
    Elsewhere(PathBuf),
}

fn in_directory(
    directory: &Path,
    file: Option<&str>,
    project: &str,
    scratch: Option<Scratch>,
) -> Result<Context, ContextError> {
    let (name, text, found) = match file {
        Some("-") => ("-".to_owned(), text(read_bounded(io::stdin().lock(), Path::new("-"))?, Path::new("-"))?, None),
        Some(file) => {
            let (found, bytes) = named(directory, file, scratch.is_some())?;
            (file.to_owned(), text(bytes, Path::new(file))?, Some(found))
        }
        None => {
            let mut found = None;
            for name in NAMES {
                if found.is_none() {
                    found = read_within(directory, name)?.map(|bytes| (name, bytes));
                }
            }
            let (name, bytes) = found.ok_or_else(|| ContextError::NoDockerfile(directory.to_owned()))?;
            (name.to_owned(), text(bytes, Path::new(name))?, Some(DockerfilePath::Within(name.to_owned())))
        }
    };
    let path = match &found {
        None => PathBuf::new(),
        Some(DockerfilePath::Within(name)) => directory.join(name),
        Some(DockerfilePath::Elsewhere(path)) => path.clone(),
    };
    Ok(Context {
        ignore: ignore(directory, found.as_ref())?,
        directory: Some(directory.to_owned()),
        project: format!("{project}\n{}", path.display()),
        file: name,
        text,
        origin: None,
        _scratch: scratch,
    })
}

/// Reads the Dockerfile that `-f` names: relative to the working directory, as in Docker, else to the context. A fetched
/// context has only its own.
fn named(directory: &Path, file: &str, is_fetched: bool) -> Result<(DockerfilePath, Vec<u8>), ContextError> {
    let missing = || ContextError::NoDockerfile(directory.join(file));
    if !is_fetched {
        let here = std::path::absolute(file).on("open", file)?;
        // The directory is resolved, to compare it with the context's; the file itself may be a link.
        let real = here.parent().and_then(|parent| fs::canonicalize(parent).ok()).zip(here.file_name());
        let real = real.map(|(parent, name)| parent.join(name));
        let below = real.as_deref().and_then(|real| real.strip_prefix(directory).ok()).and_then(Path::to_str);
        if let Some(below) = below {
            let below = if below.is_empty() { "." } else { below };
            if let Some(bytes) = read_within(directory, below)? {
                return Ok((DockerfilePath::Within(below.to_owned()), bytes));
            }
        } else if let Some(bytes) = read_anywhere(&here)? {
            return Ok((DockerfilePath::Elsewhere(here), bytes));
        }
    }
    let bytes = read_within(directory, file)?.ok_or_else(missing)?;
    Ok((DockerfilePath::Within(file.to_owned()), bytes))
}

/// Reads a file of the context; no link leads out of it. `None`: the file does not exist.
fn read_within(directory: &Path, name: &str) -> Result<Option<Vec<u8>>, ContextError> {
    let root = File::open(directory).on("open", directory)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let path = directory.join(name.trim_start_matches('/'));
    let open = |flags| openat2(&root, name, flags, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS);
    match open(flags) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            let link = open(OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW);
            match link.and_then(|link| rustix::fs::readlinkat(&link, "", Vec::new())) {
                Ok(target) => Err(ContextError::LeadsOut {
                    name: name.to_owned(),
                    target: OsStr::from_bytes(target.as_bytes()).into(),
                }),
                Err(_) => Ok(None),
            }
        }
        opened => read_file(File::from(opened.on("open", &path)?), &path).map(Some),
    }
}

/// Reads a file that the command line names, or one beside it. `None`: the file does not exist.
fn read_anywhere(path: &Path) -> Result<Option<Vec<u8>>, ContextError> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => read_file(opened.on("open", path)?, path).map(Some),
    }
}

fn read_file(file: File, path: &Path) -> Result<Vec<u8>, ContextError> {
    if file.metadata().on("fstat", path)?.is_dir() {
        return Err(ContextError::IsDirectory(path.to_owned()));
    }
    read_bounded(file, path)
}

fn read_bounded(source: impl Read, path: &Path) -> Result<Vec<u8>, ContextError> {
    let mut bytes = Vec::new();
    source.take(LARGEST_TEXT + 1).read_to_end(&mut bytes).on("read", path)?;
    if bytes.len() as u64 > LARGEST_TEXT { Err(ContextError::TooLarge(path.to_owned())) } else { Ok(bytes) }
}

fn text(bytes: Vec<u8>, path: &Path) -> Result<String, ContextError> {
    String::from_utf8(bytes).map_err(|_| ContextError::NotText(path.to_owned()))
}

/// Whether Docker takes an address for a git repository.
pub(crate) fn is_git(text: &str) -> bool {
    let address = text.split('#').next().unwrap_or(text);
    text.starts_with("git@")
        || text.starts_with("git://")
        || text.starts_with("ssh://")
        || text.starts_with("github.com/")
        || (is_url(text) && address.ends_with(".git"))
}

/// Returns the commit in `ADDRESS#COMMIT[:DIRECTORY]`, which identifies the content for ever.
pub(crate) fn commit(text: &str) -> Option<&str> {
    let (_, fragment) = text.split_once('#')?;
    let commit = fragment.split(':').next()?;
    (commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit())).then_some(commit)
}

/// Clones `ADDRESS[#REF[:DIRECTORY]]` into a directory, and returns its commit, which must match `checksum`.
pub(crate) fn clone(
    text: &str,
    directory: &Path,
    keep_git_dir: bool,
    checksum: Option<&str>,
) -> Result<String, ContextError> {
    let is_commit = |text: &&str| (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(wrong) = checksum.filter(|text| !is_commit(text)) {
        return Err(ContextError::NoCommit(wrong.to_owned()));
    }
    let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (reference, part) = fragment.split_once(':').unwrap_or((fragment, ""));
    let address = if address.starts_with("github.com/") { format!("https://{address}") } else { address.to_owned() };
    let git = crate::userns::program("git").ok_or_else(|| ContextError::NoGit(text.to_owned()))?;
    let run = |arguments: &[&str], into: &Path| {
        let output = Command::new(&git).args(arguments).current_dir(into).env("GIT_TERMINAL_PROMPT", "0").output();
        let output = output.on("execve", &git)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        Err(ContextError::Git { url: text.to_owned(), said })
    };
    fs::create_dir_all(directory).on("mkdir", directory)?;
    let repository = if part.is_empty() { directory.to_owned() } else { directory.with_extension("git") };
    fs::create_dir_all(&repository).on("mkdir", &repository)?;
    run(&["init", "-q"], &repository)?;
    let wanted = if reference.is_empty() { "HEAD" } else { reference };
    // git would read a leading dash as an option.
    match run(&["fetch", "-q", "--depth", "1", "--", &address, wanted], &repository) {
        // A plain file server cannot give a shallow history.
        Err(ContextError::Git { said, .. }) if said.contains("shallow") => {
            run(&["fetch", "-q", "--", &address, wanted], &repository)?
        }
        other => other?,
    };
    run(&["checkout", "-q", "FETCH_HEAD"], &repository)?;
    let found = run(&["rev-parse", "FETCH_HEAD^{commit}"], &repository)?;
    if let Some(wanted) = checksum.filter(|wanted| !found.starts_with(&wanted.to_ascii_lowercase())) {
        return Err(ContextError::Commit { url: text.to_owned(), found, wanted: wanted.to_owned() });
    }
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
    Ok(found)
}
