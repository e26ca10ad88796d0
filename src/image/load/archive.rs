//! The files of a directory or of a tar archive, which are found by name and read in any order.

use crate::image::error::ArchiveError;
use crate::image::tar::stream;
use crate::image::tar::stream::Compression;
use crate::image::tar::tape::{Kind, Tape, TapeError};
use crate::image::tar::tree;
use crate::store::Scratch;
use crate::sys::On;
use crate::sys::fs::openat2;
use rustix::fs::{OFlags, ResolveFlags};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most bytes of a manifest or config.
const LONGEST_DOCUMENT: u64 = 16 << 20;
/// The most links that are followed to a file in an archive.
const MOST_LINKS: usize = 8;

pub(crate) struct Archive {
    /// The archive's name in messages.
    pub name: String,
    files: Files,
}

enum Files {
    Directory(PathBuf),
    Tar { file: Arc<File>, index: HashMap<Vec<u8>, Place> },
}

enum Place {
    Bytes { offset: u64, length: u64 },
    Link(Vec<u8>),
}

impl Archive {
    /// Opens an archive; `None` is standard input. Copies what cannot be read in any order to a file in `scratch` first.
    pub(crate) fn open(path: Option<&Path>, scratch: &Scratch) -> Result<Self, ArchiveError> {
        let (name, file) = match path {
            Some(path) => {
                let name = path.display().to_string();
                if path.is_dir() {
                    return Ok(Self { name, files: Files::Directory(path.to_owned()) });
                }
                (name, File::open(path).on("open", path)?)
            }
            None => {
                let standard_input = rustix::io::dup(rustix::stdio::stdin()).on("dup", "standard input")?;
                ("standard input".into(), File::from(standard_input))
            }
        };
        let broken = |source| ArchiveError::Read { archive: name.clone(), source };
        let mut file = file;
        let mut magic = [0; stream::MAGIC];
        let known = stream::fill(&mut file, &mut magic).map_err(broken)?;
        let compression =
            Compression::of(&magic[..known]).map_err(|by| ArchiveError::Compression { archive: name.clone(), by })?;
        // Standard input may be a file too, whose beginning is where it stands, not byte 0.
        let rewound = file.seek(SeekFrom::Current(-(known as i64)));
        let file = match (rewound, compression) {
            (Ok(start), Compression::None) => return Self::index(name, file, start),
            (Ok(_), _) => spool(compression.decode(&mut file), scratch).map_err(broken)?,
            (Err(_), _) => spool(compression.decode((&magic[..known]).chain(file)), scratch).map_err(broken)?,
        };
        Self::index(name, file, 0)
    }

    fn index(name: String, mut file: File, start: u64) -> Result<Self, ArchiveError> {
        let broken = |source| ArchiveError::Tape { archive: name.clone(), source };
        file.seek(SeekFrom::Start(start)).on("lseek", &name)?;
        let end = file.metadata().on("fstat", &name)?.len();
        let mut index = HashMap::new();
        let mut tape = Tape::new(BufReader::new(&file), ());
        while let Some(entry) = tape.entry().map_err(broken)? {
            let Ok(components) = tree::components(&entry.path, MOST_LINKS * 8) else { continue };
            let offset = start + tape.position();
            let place = match entry.kind {
                Kind::File if entry.sparse.is_none() => {
                    if end.saturating_sub(offset) < entry.size {
                        return Err(broken(TapeError::Truncated(end - start)));
                    }
                    Place::Bytes { offset, length: entry.size }
                }
                Kind::HardLink => Place::Link(entry.link),
                // Old versions of Docker wrote a layer that comes twice as a link.
                Kind::Symlink => {
                    let mut target = tree::join(&components[..components.len().saturating_sub(1)]);
                    target.push(b'/');
                    target.extend_from_slice(&entry.link);
                    Place::Link(target)
                }
                _ => continue,
            };
            index.insert(tree::join(&components), place);
            tape.seek_past().map_err(broken)?;
        }
        drop(tape);
        Ok(Self { name, files: Files::Tar { file: Arc::new(file), index } })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        match &self.files {
            Files::Directory(path) => path.join(name).exists(),
            Files::Tar { .. } => self.place(name).is_some(),
        }
    }

    fn place(&self, name: &str) -> Option<(u64, u64)> {
        let Files::Tar { index, .. } = &self.files else { return None };
        let mut name = name.as_bytes().to_vec();
        for _ in 0..MOST_LINKS {
            let components = tree::components(&name, MOST_LINKS * 8).ok()?;
            match index.get(&tree::join(&components))? {
                Place::Bytes { offset, length } => return Some((*offset, *length)),
                Place::Link(target) => name = target.clone(),
            }
        }
        None
    }

    /// Opens a file, and returns its length too.
    pub(crate) fn file(&self, name: &str) -> Result<(Box<dyn Read + Send>, u64), ArchiveError> {
        let missing = || ArchiveError::Missing { archive: self.name.clone(), name: name.to_owned() };
        match &self.files {
            Files::Directory(path) => {
                let directory = File::open(path).on("open", path)?;
                // Names come from documents in the directory, which may come from anybody.
                let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let opened = openat2(&directory, name, flags, ResolveFlags::BENEATH);
                let file = match opened {
                    Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Err(missing()),
                    other => File::from(other.on("openat2", path.join(name))?),
                };
                let found = file.metadata().on("fstat", path.join(name))?;
                if !found.is_file() {
                    return Err(missing());
                }
                Ok((Box::new(file), found.len()))
            }
            Files::Tar { file, .. } => {
                let (offset, length) = self.place(name).ok_or_else(missing)?;
                Ok((Box::new(Section { file: file.clone(), offset, end: offset + length }), length))
            }
        }
    }

    /// Reads a file that is a document.
    pub(crate) fn document(&self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let (mut file, size) = self.file(name)?;
        if size > LONGEST_DOCUMENT {
            return Err(ArchiveError::Long { archive: self.name.clone(), name: name.to_owned(), size });
        }
        let mut bytes = Vec::new();
        let read = file.read_to_end(&mut bytes);
        read.map_err(|source| ArchiveError::Read { archive: self.name.clone(), source })?;
        Ok(bytes)
    }
}

/// A part of a file with its own position, so that several threads can read the file.
struct Section {
    file: Arc<File>,
    offset: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let n = buffer.len().min(left);
        let n = self.file.read_at(&mut buffer[..n], self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

fn spool(input: io::Result<Box<dyn Read + Send + '_>>, scratch: &Scratch) -> io::Result<File> {
    let path = scratch.path().join("archive");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    // Its name is not needed, and without one it is gone when it is closed.
    fs::remove_file(&path)?;
    io::copy(&mut BufReader::with_capacity(1 << 20, input?), &mut file)?;
    Ok(file)
}
