//! `--security-opt`: each option parsed, a seccomp profile with its file.

use super::error::{ProfileError, RequestError};
use crate::sys::On;
use oci_spec::runtime::{Arch, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One `--security-opt`.
#[derive(Debug, Clone)]
pub(crate) enum SecurityOption {
    NoNewPrivileges(bool),
    Seccomp(Seccomp),
    /// Paths that are hidden.
    Mask(Vec<String>),
    /// Paths that are neither hidden nor read-only; `ALL` for all.
    Unmask(Vec<String>),
    /// A confinement that minirun does not do: the option, and why it has no effect.
    NotHere(String, &'static str),
    /// minirun does so without the option.
    NoEffect,
}

/// The policy for system calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Seccomp {
    /// minirun's own.
    #[default]
    Default,
    Unconfined,
    Profile(Box<Profile>),
}

/// What `--security-opt` asks for beside `no-new-privileges` and seccomp.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Masks {
    pub hidden: Vec<String>,
    /// Paths that are not hidden by default; `ALL`: none is, and `DIRECTORY/*`: none in it.
    pub shown: Vec<String>,
}

impl Masks {
    /// Whether a path that is hidden or read-only by default stays so.
    pub(crate) fn keeps(&self, path: &str) -> bool {
        let is_shown = |shown: &String| match shown.strip_suffix("/*") {
            Some(directory) => Path::new(path).starts_with(directory),
            None => shown == "ALL" || shown == path,
        };
        !self.shown.iter().any(is_shown)
    }
}

/// A seccomp profile as Docker and Podman write it: the OCI specification's, with conditions on each rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    pub default_action: LinuxSeccompAction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    #[serde(default)]
    pub architectures: Option<Vec<Arch>>,
    #[serde(default)]
    pub arch_map: Option<Vec<ArchMap>>,
    #[serde(default)]
    pub flags: Option<Vec<LinuxSeccompFilterFlag>>,
    #[serde(default)]
    pub syscalls: Option<Vec<Rule>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArchMap {
    pub architecture: Arch,
    #[serde(default)]
    pub sub_architectures: Option<Vec<Arch>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule {
    #[serde(default)]
    pub names: Vec<String>,
    /// An older form of `names`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub action: LinuxSeccompAction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<LinuxSeccompArg>>,
    /// All of these must hold.
    #[serde(default)]
    pub includes: Option<Condition>,
    /// None of these may hold.
    #[serde(default)]
    pub excludes: Option<Condition>,
}

/// A condition of a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Condition {
    /// Capabilities that the container has.
    pub caps: Vec<String>,
    /// Machines, in the names of Go.
    pub arches: Vec<String>,
    /// `4.8`: that kernel or a newer one.
    pub min_kernel: Option<String>,
}

/// What all security options ask for together.
#[derive(Debug, Default)]
pub(crate) struct Security {
    pub no_new_privileges: bool,
    pub seccomp: Seccomp,
    pub masks: Masks,
}

impl Security {
    /// Returns what the options ask for; the last word on each subject counts. With it, a note for each that has no effect.
    pub(crate) fn of(options: &[SecurityOption]) -> (Self, Vec<String>) {
        let (mut all, mut notes) = (Self::default(), Vec::new());
        for option in options {
            match option.clone() {
                SecurityOption::NoNewPrivileges(is_set) => all.no_new_privileges = is_set,
                SecurityOption::Seccomp(seccomp) => all.seccomp = seccomp,
                SecurityOption::Mask(paths) => all.masks.hidden.extend(paths),
                SecurityOption::Unmask(paths) => all.masks.shown.extend(paths),
                SecurityOption::NotHere(option, why) => {
                    notes.push(format!("--security-opt {option} has no effect: {why}"));
                }
                SecurityOption::NoEffect => {}
            }
        }
        (all, notes)
    }
}

const LABELS: &str = "minirun sets no SELinux labels";
const APPARMOR: &str = "minirun does not load AppArmor profiles";

/// `--security-opt`'s argument.
pub(crate) fn security_option(text: &str) -> Result<SecurityOption, RequestError> {
    let unknown = || RequestError::SecurityOption(text.to_owned());
    // Docker still takes its old form with a colon.
    let (name, value) = text.split_once(['=', ':']).map_or((text, None), |(name, value)| (name, Some(value)));
    let paths = |value: Option<&str>| -> Result<Vec<String>, RequestError> {
        let paths: Vec<String> = value.unwrap_or_default().split(':').map(str::to_owned).collect();
        let is_path = |path: &String| path.starts_with('/') && path.len() > 1;
        if paths.iter().all(is_path) { Ok(paths) } else { Err(unknown()) }
    };
    Ok(match (name, value) {
        ("no-new-privileges", None | Some("true" | "1")) => SecurityOption::NoNewPrivileges(true),
        ("no-new-privileges", Some("false" | "0")) => SecurityOption::NoNewPrivileges(false),
        ("seccomp", Some("unconfined")) => SecurityOption::Seccomp(Seccomp::Unconfined),
        ("seccomp", Some("builtin")) => SecurityOption::Seccomp(Seccomp::Default),
        ("seccomp", Some(path)) if !path.is_empty() => SecurityOption::Seccomp(Seccomp::Profile(read_profile(path)?)),
        ("mask", value) => SecurityOption::Mask(paths(value)?),
        ("unmask", Some("ALL" | "all")) | ("systempaths", Some("unconfined")) => {
            SecurityOption::Unmask(vec!["ALL".into()])
        }
        ("unmask", value) => SecurityOption::Unmask(paths(value)?),
        // Neither is confined by minirun.
        ("label", Some("disable")) | ("apparmor", Some("unconfined")) | ("label", Some("nested")) => {
            SecurityOption::NoEffect
        }
        ("label", Some(_)) => SecurityOption::NotHere(text.to_owned(), LABELS),
        ("apparmor", Some(_)) => SecurityOption::NotHere(text.to_owned(), APPARMOR),
        _ => return Err(unknown()),
    })
}

fn read_profile(path: &str) -> Result<Box<Profile>, ProfileError> {
    let text = std::fs::read_to_string(path).on("open", path).map_err(ProfileError::Open)?;
    let parsed = serde_json::from_str(&text);
    parsed.map(Box::new).map_err(|source| ProfileError::Parse { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_in_both_forms() {
        use SecurityOption::{Mask, NoEffect, NoNewPrivileges, NotHere, Seccomp as Policy, Unmask};
        for text in ["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"] {
            assert!(matches!(security_option(text), Ok(NoNewPrivileges(true))), "{text}");
        }
        assert!(matches!(security_option("no-new-privileges:false"), Ok(NoNewPrivileges(false))));
        assert!(matches!(security_option("seccomp:unconfined"), Ok(Policy(Seccomp::Unconfined))));
        assert!(matches!(security_option("label=disable"), Ok(NoEffect)));
        assert!(matches!(security_option("label=type:svirt_t"), Ok(NotHere(..))));
        assert!(matches!(security_option("mask=/proc/a:/proc/b"), Ok(Mask(paths)) if paths.len() == 2));
        assert!(matches!(security_option("systempaths=unconfined"), Ok(Unmask(paths)) if paths == ["ALL"]));
        for bad in ["magic", "seccomp", "seccomp=", "mask=", "mask=x", "unmask", "no-new-privileges=maybe", "seccomp=/"]
        {
            assert!(security_option(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_is_no_longer_hidden() {
        let masks =
            |shown: &[&str]| Masks { shown: shown.iter().map(|s| (*s).to_owned()).collect(), ..Masks::default() };
        assert!(masks(&[]).keeps("/proc/kcore") && !masks(&["ALL"]).keeps("/proc/kcore"));
        assert!(!masks(&["/proc/*"]).keeps("/proc/kcore") && masks(&["/proc/*"]).keeps("/sys/firmware"));
        assert!(!masks(&["/sys/firmware"]).keeps("/sys/firmware") && masks(&["/sys/f"]).keeps("/sys/firmware"));
    }
}
