//! `--device`: nodes of the host that a container may use.

use super::error::RequestError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A device node of the host, and its path in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Device {
    pub source: String,
    pub target: String,
    /// Of `rwm`: read, write, make.
    pub access: String,
}

/// The devices of one `--device`: a directory stands for all that are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Devices(pub Vec<Device>);

/// What a device node is (mknod(2)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub is_block: bool,
    pub number: u64,
    /// Permission bits, for the access that was asked for.
    pub mode: u32,
    pub gid: u32,
}

impl Device {
    /// Returns the node as it is on the host. `None`: it is gone.
    pub(crate) fn node(&self) -> Option<Node> {
        let found = fs::metadata(&self.source).ok()?;
        let kind = found.file_type();
        let denied = [('r', 0o444), ('w', 0o222)].into_iter().filter(|(letter, _)| !self.access.contains(*letter));
        let denied = denied.fold(0, |all, (_, bits)| all | bits);
        let is_device = kind.is_block_device() || kind.is_char_device();
        is_device.then(|| Node {
            is_block: kind.is_block_device(),
            number: found.rdev(),
            mode: found.mode() & 0o777 & !denied,
            gid: found.gid(),
        })
    }
}

/// `--device`'s argument: `SOURCE[:TARGET][:rwm]`.
pub(crate) fn device(text: &str) -> Result<Devices, RequestError> {
    let wrong = |why| RequestError::Device { text: text.to_owned(), why };
    let is_access = |part: &str| !part.is_empty() && part.chars().all(|letter| "rwm".contains(letter));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, access) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, access] if is_access(access) => (source, source, access),
        [source, target] => (source, target, "rwm"),
        [source, target, access] if is_access(access) => (source, target, access),
        [_, _, _] => return Err(wrong("the access is r, w and m")),
        _ => return Err(wrong("it has more than three parts")),
    };
    if !source.starts_with('/') || !target.starts_with('/') || target.split('/').any(|part| part == "..") {
        return Err(wrong("both paths must be absolute"));
    }
    let found = fs::metadata(source).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => wrong("this host has no such device"),
        _ => wrong("it cannot be looked at"),
    })?;
    let one = |source: &Path, target: PathBuf| Device {
        source: source.to_string_lossy().into_owned(),
        target: target.to_string_lossy().into_owned(),
        access: access.to_owned(),
    };
    let nodes = if found.is_dir() { nodes_in(Path::new(source)) } else { vec![PathBuf::from(source)] };
    let below = |node: &PathBuf| match node.strip_prefix(source) {
        Ok(rest) if found.is_dir() => Path::new(target).join(rest),
        _ => PathBuf::from(target),
    };
    let devices: Vec<Device> = nodes.iter().map(|node| one(node, below(node))).collect();
    if devices.is_empty() || devices.iter().any(|device| device.node().is_none()) {
        return Err(wrong("it is not a device"));
    }
    Ok(Devices(devices))
}

fn nodes_in(directory: &Path) -> Vec<PathBuf> {
    let mut nodes = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(directory).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => nodes.extend(nodes_in(&entry.path())),
            Ok(kind) if kind.is_char_device() || kind.is_block_device() => nodes.push(entry.path()),
            _ => {}
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_docker() {
        let one = |text: &str| {
            let Devices(devices) = device(text).unwrap();
            let Device { source, target, access } = devices[0].clone();
            (source, target, access)
        };
        let zero = |target: &str, access: &str| ("/dev/zero".to_owned(), target.to_owned(), access.to_owned());
        assert_eq!(one("/dev/zero"), zero("/dev/zero", "rwm"));
        assert_eq!(one("/dev/zero:r"), zero("/dev/zero", "r"));
        assert_eq!(one("/dev/zero:/dev/x"), zero("/dev/x", "rwm"));
        assert_eq!(one("/dev/zero:/dev/x:rw"), zero("/dev/x", "rw"));
        for bad in ["", "zero", "/dev/zero:x", "/dev/zero:/dev/x:q", "/no/such", "/etc/passwd", "/dev/zero:/a/../b"] {
            assert!(device(bad).is_err(), "{bad}");
        }
        assert_eq!(device("/dev/zero:w").unwrap().0[0].node().unwrap().mode & 0o444, 0);
    }
}
