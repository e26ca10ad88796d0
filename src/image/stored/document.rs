//! Reads and writes of the store that images, indexes and layers share.

use crate::image::error::ImageError;
use crate::image::name::digest::Digest;
use crate::store::{self, Store};
use crate::sys::{On, SysError};
use std::fs::{self, File};
use std::path::Path;

/// Reads a JSON document of the store. `None`: it is not there.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, ImageError> {
    let text = match fs::read(path).on("read", path) {
        Err(error) if error.errno == libc::ENOENT => return Ok(None),
        Err(error) if error.errno == libc::EISDIR => {
            let source = SysError { subject: String::new(), ..error };
            return Err(ImageError::NoFile { path: path.to_owned(), source });
        }
        other => other?,
    };
    let record = store::format::from_record(&text);
    record.map(Some).map_err(|source| ImageError::Json { path: path.to_owned(), source })
}

/// Returns the digests whose digits are names in a directory, in order.
pub(crate) fn digests_in(directory: &Path) -> Result<Vec<Digest>, ImageError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).on("opendir", directory)? {
        let name = entry.on("readdir", directory)?.file_name();
        found.extend(name.to_str().and_then(Digest::from_hex));
    }
    found.sort();
    Ok(found)
}

/// Flushes the file system of the store.
pub(crate) fn sync(store: &Store) -> Result<(), ImageError> {
    let root: &Path = &store.root;
    let directory = File::open(root).on("open", root)?;
    Ok(rustix::fs::syncfs(&directory).on("syncfs", root)?)
}
