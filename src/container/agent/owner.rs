//! chown(2) and its kin: the new owner is noted in the attribute that layers have, as far as the caller may give the file away.

use super::caller::Caller;
use crate::image::overlay::owner::{STAT, Stat};
use crate::sys::other::descriptor;
use caps::Capability;
use rustix::fs::{AtFlags, FileType, Mode, StatxFlags, XattrFlags, statx};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// What the agent knows of the container's files.
pub(super) struct Files<'a> {
    /// The agent's own directory of the host's /proc.
    pub own: BorrowedFd<'a>,
    /// The number of the mount that is the container's root.
    pub root: u64,
}

/// The id that means "leave it as it is".
const SAME: u32 = u32::MAX;

/// An owner to be given.
struct Wanted {
    uid: u32,
    gid: u32,
}

/// Carries out a call of this name.
pub(super) fn change(name: &str, caller: &Caller, files: &Files) -> Result<(), Errno> {
    let [first, second, third, fourth, fifth, _] = caller.call.arguments;
    let is_short = |nr: u32| caller.call.arch == I386 && SHORT.contains(&nr);
    let id = |argument: u64| match argument as u32 {
        // Numbers of 16 bits, as the oldest calls have them.
        number if is_short(caller.call.nr) && number & 0xffff == 0xffff => SAME,
        number if is_short(caller.call.nr) => number & 0xffff,
        number => number,
    };
    let here = libc::AT_FDCWD;
    let (file, wanted) = match name {
        "fchown" | "fchown32" => {
            (caller.open_descriptor(descriptor(first))?, Wanted { uid: id(second), gid: id(third) })
        }
        "fchownat" => {
            let flags = AtFlags::from_bits_retain(fifth as u32);
            if !(AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH).contains(flags) {
                return Err(Errno::INVAL);
            }
            let path = caller.read_path(second)?;
            let wanted = Wanted { uid: id(third), gid: id(fourth) };
            if path.is_empty() && flags.contains(AtFlags::EMPTY_PATH) {
                (caller.open_descriptor(descriptor(first))?, wanted)
            } else {
                let follows = !flags.contains(AtFlags::SYMLINK_NOFOLLOW);
                let Some(file) = open(caller, descriptor(first), &path, follows)? else { return Ok(()) };
                (file, wanted)
            }
        }
        _ => {
            let path = caller.read_path(first)?;
            let follows = !name.starts_with('l');
            let Some(file) = open(caller, here, &path, follows)? else { return Ok(()) };
            (file, Wanted { uid: id(second), gid: id(third) })
        }
    };
    give(&file, &wanted, caller, files)
}

/// AUDIT_ARCH_I386, and its numbers of lchown, fchown and chown.
const I386: u32 = 0x4000_0003;
const SHORT: [u32; 3] = [16, 95, 182];

/// Opens the file of a path. `None`: it leads into /proc, as /dev/stdout does, where nothing has an owner to be noted.
fn open(caller: &Caller, directory: i32, path: &CString, follows: bool) -> Result<Option<OwnedFd>, Errno> {
    match caller.open(directory, path, follows) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::LOOP) if follows && leads_to_proc(caller, directory, path) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn leads_to_proc(caller: &Caller, directory: i32, path: &CString) -> bool {
    let is_special = |path: &[u8]| [&b"/proc/"[..], b"/dev/"].iter().any(|prefix| path.starts_with(prefix));
    if is_special(path.as_bytes()) {
        return true;
    }
    let link = caller.open(directory, path, false).and_then(|link| rustix::fs::readlinkat(link, "", Vec::new()));
    link.is_ok_and(|to| is_special(to.as_bytes()))
}

fn give(file: &OwnedFd, wanted: &Wanted, caller: &Caller, files: &Files) -> Result<(), Errno> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::from_bits_retain(libc::STATX_MNT_ID);
    let found = statx(file, "", AtFlags::EMPTY_PATH, mask)?;
    let mode = u32::from(found.stx_mode);
    let kind = FileType::from_raw_mode(mode);
    let path = format!("fd/{}", file.as_fd().as_raw_fd());
    rustix::process::fchdir(files.own)?;
    let note = read_note(&path)?;
    let now = Stat::of_file(0, 0, mode, note.as_deref());
    let id = |wanted: u32, now: u64| if wanted == SAME { now } else { u64::from(wanted) };
    let new = Stat { uid: id(wanted.uid, now.uid), gid: id(wanted.gid, now.gid), mode: now.mode };
    if new != now && !caller.has(Capability::CAP_CHOWN) {
        return Err(Errno::PERM);
    }
    // Only the container's own files become layers; and of those, others cannot bear a note (xattr(7)).
    if found.stx_mnt_id != files.root || !matches!(kind, FileType::RegularFile | FileType::Directory) {
        return Ok(());
    }
    if !caller.still_waits() {
        return Err(Errno::INTR);
    }
    let cleared = if kind == FileType::RegularFile { cleared_bits(mode) } else { 0 };
    let new = Stat { mode: new.mode & !cleared, ..new };
    if new != now {
        write_note(&path, new, mode & 0o7777 & !cleared)?;
    }
    if mode & cleared != 0 {
        rustix::fs::chmod(path.as_str(), Mode::from_raw_mode(mode & 0o7777 & !cleared))?;
    }
    Ok(())
}

/// Returns the bits that the kernel takes from a file that is given away: set-user-ID, and set-group-ID where the group may execute
/// it (chown(2)).
fn cleared_bits(mode: u32) -> u32 {
    if mode & 0o010 != 0 { 0o6000 } else { 0o4000 }
}

fn read_note(path: &str) -> Result<Option<Vec<u8>>, Errno> {
    let mut note = vec![0; 64];
    match rustix::fs::getxattr(path, STAT, &mut note[..]) {
        Ok(length) => {
            note.truncate(length);
            Ok(Some(note))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE | Errno::PERM | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn write_note(path: &str, stat: Stat, mode: u32) -> Result<(), Errno> {
    let written = if (stat.uid, stat.gid, stat.mode) == (0, 0, mode) {
        rustix::fs::removexattr(path, STAT)
    } else {
        rustix::fs::setxattr(path, STAT, stat.to_string().as_bytes(), XattrFlags::empty())
    };
    match written {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}
