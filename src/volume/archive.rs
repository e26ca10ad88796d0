//! The files of a volume as a tar archive.

use super::error::VolumeError;
use super::option::Backing;
use super::record::Volume;
use crate::image::overlay::owner::Owners;
use crate::image::tar::pack;
use crate::image::tar::pack::{Owner, Sink};
use crate::image::tar::unpack::{Placing, extract_files};
use crate::image::tar::whole::{Manner, pack_directory};
use crate::sys::On;
use rustix::fs::{Mode, OFlags};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Writes the files of a volume. Must run inside the user namespace.
pub(crate) fn export(volume: &Volume, output: &mut impl Sink) -> Result<(), VolumeError> {
    let (_, directory) = open(volume, "export")?;
    let manner = Manner { owner: Owner::Kept, stays_on_mount: false };
    let packed = pack_directory(directory, b".", manner, output).and_then(|()| pack::end(output));
    packed.map_err(|source| VolumeError::Pack { name: volume.name.clone(), source })
}

/// Unpacks an archive, compressed or not, over the files of a volume. Must run inside the user namespace.
pub(crate) fn import(volume: &Volume, archive: impl Read + Send) -> Result<(), VolumeError> {
    let (path, directory) = open(volume, "import into")?;
    let unpacked = extract_files(directory, &path, archive, &Owners::here()?, Placing::Tree);
    unpacked.map(drop).map_err(|source| VolumeError::Unpack { name: volume.name.clone(), source })
}

fn open(volume: &Volume, what: &'static str) -> Result<(PathBuf, OwnedFd), VolumeError> {
    let path = match volume.backing()? {
        Backing::Store => volume.data(),
        Backing::Host { directory, .. } => directory.into(),
        Backing::Memory { .. } => return Err(VolumeError::InMemory { what, name: volume.name.clone() }),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(&path, flags, Mode::empty()).on("open", &path)?;
    Ok((path, directory))
}
