//! The calls that change a process's user: which of them say that it will be another user for good.

use super::caller::Caller;
use crate::sys::other;
use caps::Capability;
use rustix::io::Errno;

/// What follows from a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It succeeds; the process remains root.
    Nothing,
    /// The process becomes this user.
    User(User),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    pub uid: u32,
    pub gid: u32,
}

/// The id that means "leave it as it is".
const SAME: u32 = u32::MAX;

/// Marks a group that a process has chosen before its user, beside what a limit may be else.
const CHOSEN: u64 = 0x6772_6f75 << 32;

/// Carries out a call of this name by a process that is the container's root.
pub(super) fn change(name: &str, caller: &Caller) -> Result<Change, Errno> {
    let name = name.trim_end_matches("32");
    let count = match name {
        "setresuid" | "setresgid" => 3,
        "setreuid" | "setregid" => 2,
        "setuid" | "setgid" => 1,
        // Groups beside the first, and the ids for files alone, are nobody's to see.
        _ => 0,
    };
    let ids: Vec<u32> = caller.call.arguments.iter().take(count).map(|id| *id as u32).collect();
    if count == 1 && ids == [SAME] {
        return Err(Errno::INVAL);
    }
    let is_of_group = name.ends_with("gid") || name == "setgroups";
    let needed = if is_of_group { Capability::CAP_SETGID } else { Capability::CAP_SETUID };
    let is_new = name == "setgroups" || ids.iter().any(|id| *id != 0 && *id != SAME);
    if is_new && !caller.has(needed) {
        return Err(Errno::PERM);
    }
    // For good: no id is left to go back to.
    let wanted = ids.first().copied().filter(|id| *id != SAME && ids.iter().all(|other| other == id));
    match wanted {
        Some(gid) if is_of_group => other::keep_number(caller.call.pid, CHOSEN | u64::from(gid)),
        Some(uid) if uid != 0 => {
            return Ok(Change::User(User { uid, gid: chosen_group(caller.call.pid) }));
        }
        _ => {}
    }
    Ok(Change::Nothing)
}

/// Returns the group that a process has chosen before its user.
pub(super) fn chosen_group(pid: i32) -> u32 {
    let kept = other::kept_number(pid).filter(|number| number & !0xffff_ffff == CHOSEN);
    kept.map_or(0, |number| number as u32)
}
