//! Who has made a container's new files, where the kernel cannot tell.

use super::diff::{ChangeKind, Item};
use super::owner::{Owners, STAT, Stat};
use crate::sys::{On, SysError};
use rustix::fs::{FileType, XattrFlags};
use rustix::io::Errno;
use std::path::Path;

/// Notes in a container's own files who has made those that are new and bear no note: its user, where there is one id only.
pub(crate) fn note(upper: &Path, items: &[Item], creator: Option<(u32, u32)>) -> Result<(), SysError> {
    let Some((uid, gid)) = creator.filter(|_| Owners::here().is_ok_and(|owners| owners.only_one)) else {
        return Ok(());
    };
    for item in items.iter().filter(|item| item.kind == ChangeKind::Added) {
        let path = upper.join(item.path.strip_prefix("/").unwrap_or(&item.path));
        let found = rustix::fs::lstat(&path).on("stat", &path)?;
        // No other kind of file can bear a note (xattr(7)).
        if !matches!(FileType::from_raw_mode(found.st_mode), FileType::RegularFile | FileType::Directory) {
            continue;
        }
        let stat = Stat { uid: uid.into(), gid: gid.into(), mode: found.st_mode & 0o7777 };
        match rustix::fs::lsetxattr(&path, STAT, stat.to_string().as_bytes(), XattrFlags::CREATE) {
            Ok(()) | Err(Errno::EXIST) => {}
            other => other.on("lsetxattr", &path)?,
        }
    }
    Ok(())
}
