//! Capabilities: Docker's default set, the changes by `--cap-add` and `--cap-drop`, and the set of a process.

use crate::sys::{SysError, process};
use caps::{CapSet, Capability, CapsHashSet};
use std::fmt;
use std::str::FromStr;

/// The argument of `--cap-add` and `--cap-drop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selected {
    All,
    One(Capability),
}

/// Docker's default set for a container's root (capabilities(7)).
const DEFAULT: [Capability; 14] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FSETID,
    Capability::CAP_FOWNER,
    Capability::CAP_MKNOD,
    Capability::CAP_NET_RAW,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETPCAP,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_KILL,
    Capability::CAP_AUDIT_WRITE,
];

#[derive(Debug, thiserror::Error)]
#[error("unknown capability {name:?}")]
pub(crate) struct UnknownCapability {
    name: String,
}

impl crate::diag::Diagnose for UnknownCapability {
    fn hint(&self) -> Option<String> {
        Some("names are as in capabilities(7), with or without CAP_, or ALL: --cap-add NET_ADMIN".into())
    }
}

impl FromStr for Selected {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        let upper = text.to_uppercase();
        if upper == "ALL" || upper == "CAP_ALL" {
            return Ok(Self::All);
        }
        let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        full.parse().map(Self::One).map_err(|_| UnknownCapability { name: text.to_owned() })
    }
}

impl fmt::Display for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("ALL"),
            Self::One(capability) => capability.fmt(f),
        }
    }
}

crate::store::record_as_text!(Selected);

/// What only a container with a user namespace of its own may have: with these, a namespace that several share could be changed
/// as a whole, and their processes traced.
pub(crate) const STRONG: [Capability; 2] = [Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_PTRACE];

/// Returns the set that a container gets, in the kernel's order.
pub(crate) fn choose(add: &[Selected], drop: &[Selected], privileged: bool) -> Vec<Capability> {
    let known = all();
    let mut chosen: CapsHashSet =
        if privileged { known.iter().copied().collect() } else { DEFAULT.into_iter().collect() };
    // `--cap-drop ALL --cap-add X` leaves X, in whichever order they were typed.
    for selected in drop {
        match selected {
            Selected::All => chosen.clear(),
            Selected::One(capability) => {
                chosen.remove(capability);
            }
        }
    }
    for selected in add {
        match selected {
            Selected::All => chosen.extend(known.iter().copied().filter(|c| !drop.contains(&Selected::One(*c)))),
            Selected::One(capability) => {
                chosen.insert(*capability);
            }
        }
    }
    known.into_iter().filter(|c| chosen.contains(c)).collect()
}

/// Returns a set as the specification's own type, whose names lack `CAP_`.
pub(crate) fn to_spec(set: &[Capability]) -> oci_spec::runtime::Capabilities {
    set.iter().filter_map(|capability| capability.to_string().strip_prefix("CAP_")?.parse().ok()).collect()
}

/// Returns a set of a specification, in the kernel's order. The specification's names come with or without `CAP_`.
pub(crate) fn from_spec(set: &oci_spec::runtime::Capabilities) -> Vec<Capability> {
    let full = |name: String| if name.starts_with("CAP_") { name } else { format!("CAP_{name}") };
    let mut set: Vec<Capability> = set.iter().filter_map(|one| full(one.to_string()).parse().ok()).collect();
    set.sort_by_key(Capability::index);
    set
}

/// Returns a capability's name as Docker's options have it: `net_admin`.
pub(crate) fn short_name(capability: Capability) -> String {
    capability.to_string().trim_start_matches("CAP_").to_lowercase()
}

/// Returns every capability that this program knows, in the kernel's order.
fn all() -> Vec<Capability> {
    let mut all: Vec<_> = caps::all().into_iter().collect();
    all.sort_by_key(Capability::index);
    all
}

/// Takes all but `keep` out of the bounding set.
pub(crate) fn bound(keep: &[Capability]) -> Result<(), SysError> {
    let mut dropped = all().into_iter().filter(|c| !keep.contains(c));
    dropped.try_for_each(|c| process::drop_from_bounding_set(c.index()))
}

/// Sets the effective and the permitted set to `keep`, and clears the inheritable set.
pub(crate) fn set(keep: &[Capability]) -> Result<(), SysError> {
    let keep = keep.iter().copied().collect();
    let answer = |result: Result<(), caps::errors::CapsError>| result.map_err(|_| refused("capset", &"capabilities"));
    answer(caps::set(None, CapSet::Inheritable, &CapsHashSet::new()))?;
    answer(caps::set(None, CapSet::Effective, &keep))?;
    answer(caps::set(None, CapSet::Permitted, &keep))
}

fn refused(call: &'static str, subject: &dyn std::fmt::Display) -> SysError {
    SysError { call, subject: subject.to_string(), errno: libc::EPERM }
}

#[cfg(test)]
mod tests {
    use super::{Capability, Selected, choose, from_spec, to_spec};

    fn words(list: &[&str]) -> Vec<Selected> {
        list.iter().map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn defaults_and_changes() {
        assert_eq!(choose(&[], &[], false).len(), 14);
        assert_eq!(choose(&words(&["net_admin"]), &words(&["all"]), false), [Capability::CAP_NET_ADMIN]);
        assert_eq!(choose(&[], &words(&["CAP_CHOWN"]), false).len(), 13);
        let all_but_one = choose(&words(&["ALL"]), &words(&["MKNOD"]), false);
        assert!(all_but_one.len() > 35 && !all_but_one.contains(&Capability::CAP_MKNOD));
        let all = choose(&[], &[], true);
        assert_eq!(from_spec(&to_spec(&all)), all);
        assert!("FLY".parse::<Selected>().is_err());
        assert_eq!(words(&["net_admin"])[0].to_string(), "CAP_NET_ADMIN");
    }
}
