//! Copies between host, containers and streams: one half packs an archive, the other unpacks it.

use super::error::FilesError;
use super::half::{Direction, Half};
use super::place::{Anchor, Arriving, Put, Typed};
use super::view;
use crate::container::stored::record::Container;
use crate::image::overlay::owner::Owners;
use crate::image::tar::pack::{self, Owner};
use crate::image::tar::unpack::{Placing, extract_files};
use crate::image::tar::whole::{self, pack_directory, pack_one};
use crate::store::Store;
use crate::sys::{On, process};
use rustix::fs::FileType;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

/// One end of a copy.
pub(crate) enum End<'a> {
    Host(&'a str),
    Container(&'a Container, &'a str),
    /// Standard input or output, with an archive.
    Stream,
}

/// How files are copied.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner {
    /// Owners are kept.
    pub archive: bool,
    /// A link that is named is followed.
    pub follow: bool,
}

/// The bytes of the archive in which the files went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copied(pub u64);

/// The name of the file or directory in the archive between two halves.
const NEUTRAL: &[u8] = b"x";

/// The first byte between two halves: what is copied.
const DIRECTORY: u8 = b'd';
const FILE: u8 = b'f';

/// Copies. `told` is called with the bytes so far.
///
/// A stopped container must be reached from inside the user namespace.
pub(crate) fn copy(
    store: &Store,
    from: &End,
    to: &End,
    manner: Manner,
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<Copied, FilesError> {
    // The end of the other half is an error of the call.
    process::ignore_signal(libc::SIGPIPE);
    let is_stream = matches!((from, to), (End::Stream, _) | (_, End::Stream));
    let (sender, reader): (Option<Half>, Option<File>) = match from {
        End::Container(container, path) => {
            let (half, reader) = Half::start(Direction::FromHalf, |pipe| {
                let view = view::open(store, container)?;
                let path = Typed::new(path, Some(&container.record.name));
                send(&Anchor::Root(view.root), &path, manner.follow, Owner::Kept, is_stream, pipe)
            })?;
            (Some(half), Some(reader))
        }
        End::Stream => (None, Some(rustix::io::dup(rustix::stdio::stdin()).on("dup", "standard input")?.into())),
        End::Host(_) => (None, None),
    };
    let source = match from {
        End::Host(path) => Typed::new(path, None),
        End::Container(container, path) => Typed::new(path, Some(&container.record.name)),
        End::Stream => Typed::new("", None),
    };
    let (receiver, writer): (Option<Half>, Option<File>) = match to {
        End::Container(container, path) => {
            let (half, writer) = Half::start(Direction::ToHalf, |pipe| {
                let view = view::open(store, container)?;
                let path = Typed::new(path, Some(&container.record.name));
                let keeps = manner.archive || !matches!(from, End::Host(_));
                let mut owners = Owners::here()?;
                owners.always = if keeps { None } else { Some((0, 0)) };
                receive(&Anchor::Root(view.root), &path, &source, is_stream, &owners, pipe)
            })?;
            (Some(half), Some(writer))
        }
        End::Stream => (None, Some(rustix::io::dup(rustix::stdio::stdout()).on("dup", "standard output")?.into())),
        End::Host(_) => (None, None),
    };
    let mut count = 0;
    let mut counted = |bytes: u64| {
        count += bytes;
        told(count);
    };
    let done = match (from, to, reader, writer) {
        (End::Host(_), _, _, Some(writer)) => {
            let output = Counting { inner: writer, counted: &mut counted };
            send(&Anchor::Host, &source, manner.follow, owner_here(manner), false, output)
        }
        (_, End::Host(path), Some(reader), _) => {
            let input = Counting { inner: reader, counted: &mut counted };
            let owners = owners_here(manner)?;
            receive(&Anchor::Host, &Typed::new(path, None), &source, false, &owners, input)
        }
        (_, _, Some(mut reader), Some(writer)) => {
            let mut output = Counting { inner: writer, counted: &mut counted };
            io::copy(&mut reader, &mut output).on("write", "the archive").map(drop).map_err(FilesError::from)
        }
        _ => Ok(()),
    };
    // The half that failed first knows the reason.
    let sent = sender.map_or(Ok(()), Half::finish);
    let received = receiver.map_or(Ok(()), Half::finish);
    match done {
        Err(error) if !error.is_broken_pipe() && sent.is_ok() => return Err(error),
        _ => sent.and(received)?,
    }
    // The first byte is none of the archive's.
    Ok(Copied(if is_stream { count } else { count.saturating_sub(1) }))
}

/// Writes the files of a container as an archive, without what is mounted in it.
pub(crate) fn export(store: &Store, container: &Container, output: File) -> Result<(), FilesError> {
    process::ignore_signal(libc::SIGPIPE);
    let (half, mut reader) = Half::start(Direction::FromHalf, |pipe| {
        let view = view::open(store, container)?;
        let mut output = BufWriter::with_capacity(64 << 10, pipe);
        let manner = whole::Manner { owner: Owner::Kept, stays_on_mount: true };
        pack_directory(view.root, b"", manner, &mut output)?;
        Ok(finish(output)?)
    })?;
    let mut output = output;
    let written = io::copy(&mut reader, &mut output).on("write", "the archive");
    drop(reader);
    half.finish()?;
    written?;
    Ok(())
}

/// The owners that an archive of the host's files names.
fn owner_here(manner: Manner) -> Owner {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // To a container, the caller's files are root's.
    if manner.archive && user != 0 { Owner::RootFor(user, group) } else { Owner::Kept }
}

/// The owners of files that come to the host: the caller, unless root keeps them.
fn owners_here(manner: Manner) -> Result<Owners, FilesError> {
    let own = (rustix::process::geteuid().as_raw().into(), rustix::process::getegid().as_raw().into());
    let is_host_root = own.0 == 0 && !crate::userns::is_inside();
    let always = if manner.archive && is_host_root { None } else { Some(own) };
    Ok(Owners { only_one: false, always, ..Owners::here()? })
}

fn send(
    anchor: &Anchor,
    path: &Typed,
    follow: bool,
    owner: Owner,
    is_stream: bool,
    pipe: impl Write,
) -> Result<(), FilesError> {
    let (found, kind) = anchor.source(path, follow)?;
    let mut output = BufWriter::with_capacity(64 << 10, pipe);
    let is_directory = kind == FileType::Directory;
    let own = path.name().unwrap_or_else(|| b".".to_vec());
    let name = if is_stream { own.as_slice() } else { NEUTRAL };
    if !is_stream {
        output.write_all(&[if is_directory { DIRECTORY } else { FILE }]).on("write", "a pipe")?;
    }
    if is_directory {
        pack_directory(found, name, whole::Manner { owner, stays_on_mount: false }, &mut output)?;
    } else {
        pack_one(found, name, owner, &mut output)?;
    }
    Ok(finish(output)?)
}

fn finish(mut output: BufWriter<impl Write>) -> Result<(), pack::PackError> {
    pack::end(&mut output)?;
    output.flush().map_err(pack::PackError::Write)
}

fn receive(
    anchor: &Anchor,
    path: &Typed,
    source: &Typed,
    is_stream: bool,
    owners: &Owners,
    mut pipe: impl Read + Send,
) -> Result<(), FilesError> {
    let arriving = if is_stream {
        Arriving::Archive
    } else {
        let mut kind = [0];
        if pipe.read_exact(&mut kind).is_err() {
            // The half that sends has failed, and says why.
            return Ok(());
        }
        Arriving::Tree { is_directory: kind == [DIRECTORY], name: source.name() }
    };
    let destination = anchor.destination(path, &arriving)?;
    let placing = match &destination.put {
        Put::Files => Placing::Files,
        Put::Under(name) => Placing::Under(name),
        Put::Contents => Placing::Contents,
    };
    extract_files(destination.directory, path.shown.as_ref(), pipe, owners, placing)?;
    Ok(())
}

/// Counts the bytes that pass.
struct Counting<'a, T> {
    inner: T,
    counted: &'a mut (dyn FnMut(u64) + Send),
}

impl<T: Write> Write for Counting<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        (self.counted)(length as u64);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Counting<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        (self.counted)(length as u64);
        Ok(length)
    }
}
