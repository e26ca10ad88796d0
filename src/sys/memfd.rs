//! Files in memory, for what is longer than a message of a socket (memfd_create(2)).

use super::{On, SysError};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{Read, Seek, Write};

/// Writes a new file; `name` is shown in `/proc/PID/fd`.
pub(crate) fn write(name: &str, bytes: &[u8]) -> Result<File, SysError> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC).on("memfd_create", name)?);
    file.write_all(bytes).on("write", name)?;
    Ok(file)
}

/// Reads a file from its beginning; `name` is for the error.
pub(crate) fn read(mut file: File, name: &str) -> Result<Vec<u8>, SysError> {
    let mut bytes = Vec::new();
    file.rewind().on("lseek", name)?;
    file.read_to_end(&mut bytes).on("read", name)?;
    Ok(bytes)
}
