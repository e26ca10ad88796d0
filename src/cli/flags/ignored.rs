//! Options of Docker, Podman and nerdctl that `run` knows and cannot heed: each is answered in one line, and no help page
//! shows it.

use crate::cli::stderr;
use crate::diag::Diagnose;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

struct Ignored {
    flag: &'static str,
    value: Value,
    answer: Answer,
}

/// What follows the flag.
#[derive(Clone, Copy)]
enum Value {
    /// Nothing, or `=true` or `=false`.
    Switch,
    Needed,
}

#[derive(Clone, Copy)]
enum Answer {
    /// The container runs without it; this is why.
    Note(&'static str),
    /// The container would not be what was asked for; this is why.
    Refuse(&'static str),
}

const fn note(flag: &'static str, value: Value, why: &'static str) -> Ignored {
    Ignored { flag, value, answer: Answer::Note(why) }
}

const fn refuse(flag: &'static str, value: Value, why: &'static str) -> Ignored {
    Ignored { flag, value, answer: Answer::Refuse(why) }
}

const ONE_RUNTIME: &str = "minirun starts containers itself";
const WINDOWS: &str = "it is for Windows";
const DEVICE_GROUPS: &str = "an ordinary user cannot limit devices";
const REAL_TIME: &str = "cgroup v2 has no limit of real-time processor time";
const NO_CGROUP_V2: &str = "cgroup v2 has no such limit";
const ONE_MAP: &str = "all containers of a user have the same ids; see: minirun doctor";
const SIGNATURES: &str = "images are checked by their digests, not by signatures";
const OWN_INIT: &str = "--init runs minirun's own init";
const HEALTH_LOG: &str = "inspect shows the last health checks";

use Value::{Needed, Switch};

const TABLE: &[Ignored] = &[
    note("blkio-weight-device", Needed, DEVICE_GROUPS),
    note("cert-dir", Needed, "certificates are those of the host; --tls-verify=false allows any"),
    note("cgroup-conf", Needed, "set limits by their own options"),
    note("cgroup-parent", Needed, "a container with limits has a group below one that the caller may divide"),
    note("cgroups", Needed, "a container has a control group if it has limits"),
    refuse("chrootdirs", Needed, "the container's root is never shared"),
    note("conmon-pidfile", Needed, "the monitor's process is in: minirun inspect"),
    note("cpu-count", Needed, WINDOWS),
    note("cpu-percent", Needed, WINDOWS),
    note("cpu-rt-period", Needed, REAL_TIME),
    note("cpu-rt-runtime", Needed, REAL_TIME),
    refuse("decryption-key", Needed, "encrypted layers cannot be read"),
    note("device-cgroup-rule", Needed, DEVICE_GROUPS),
    note("device-read-bps", Needed, DEVICE_GROUPS),
    note("device-read-iops", Needed, DEVICE_GROUPS),
    note("device-write-bps", Needed, DEVICE_GROUPS),
    note("device-write-iops", Needed, DEVICE_GROUPS),
    note("disable-content-trust", Switch, SIGNATURES),
    refuse("gidmap", Needed, ONE_MAP),
    refuse("gpus", Needed, "name its nodes: --device /dev/nvidia0 --device /dev/nvidiactl, or --device /dev/dri"),
    refuse("group-entry", Needed, "/etc/group is the image's; use --group-add with a number"),
    note("health-log-destination", Needed, HEALTH_LOG),
    note("health-max-log-count", Needed, HEALTH_LOG),
    note("health-max-log-size", Needed, HEALTH_LOG),
    refuse("hosts-file", Needed, "mount it: -v FILE:/etc/hosts"),
    refuse("hostuser", Needed, "/etc/passwd is the image's; use --user with a number"),
    note("init-binary", Needed, OWN_INIT),
    note("init-path", Needed, OWN_INIT),
    note("io-maxbandwidth", Needed, WINDOWS),
    note("io-maxiops", Needed, WINDOWS),
    note("isolation", Needed, WINDOWS),
    note("kernel-memory", Needed, NO_CGROUP_V2),
    note("link", Needed, "containers on one network find each other by name"),
    note("link-local-ip", Needed, "a network gives its containers addresses of its own"),
    note("memory-swappiness", Needed, NO_CGROUP_V2),
    note("oom-kill-disable", Switch, NO_CGROUP_V2),
    note("passwd", Switch, "/etc/passwd is the image's"),
    refuse("passwd-entry", Needed, "/etc/passwd is the image's; use --user with a number"),
    note("permissive", Switch, "security options are decided one by one"),
    refuse("personality", Needed, "a program changes its personality itself: setarch"),
    refuse("preserve-fd", Needed, "no descriptor of the host enters a container"),
    refuse("preserve-fds", Needed, "no descriptor of the host enters a container"),
    note("rdt-class", Needed, DEVICE_GROUPS),
    note("requires", Needed, "start that container first"),
    note("retry", Needed, "a pull is tried five times"),
    note("retry-delay", Needed, "the registry says when to try again"),
    refuse("rootfs", Switch, "make it an image: tar -C DIRECTORY -c . | minirun import - NAME"),
    note("runtime", Needed, ONE_RUNTIME),
    note("sdnotify", Needed, "no systemd is told; `run -d` returns when the program runs"),
    note("seccomp-policy", Needed, "name a profile: --security-opt seccomp=FILE"),
    refuse("secret", Needed, "mount its file: -v FILE:/run/secrets/NAME:ro"),
    note("shm-size-systemd", Needed, "set the size of a tmpfs: --tmpfs /run:size=64m"),
    note("storage-opt", Needed, "the writable layer is a directory, which only a quota of its file system limits"),
    refuse("subgidname", Needed, ONE_MAP),
    refuse("subuidname", Needed, ONE_MAP),
    note("systemd", Needed, "systemd as a container's first process is not prepared for"),
    refuse("timeout", Needed, "limit the time from outside: timeout SECONDS minirun run …"),
    refuse("uidmap", Needed, ONE_MAP),
    refuse("use-api-socket", Switch, "there is no daemon, and so no socket"),
];

/// The options of [`TABLE`] that were typed.
pub(crate) struct IgnoredFlags(Vec<&'static Ignored>);

#[derive(Debug, thiserror::Error)]
#[error("--{flag} is not possible: {why}")]
struct Refused {
    flag: &'static str,
    why: &'static str,
}

impl Diagnose for Refused {
    fn hint(&self) -> Option<String> {
        Some(format!("leave out --{}", self.flag))
    }
}

impl IgnoredFlags {
    /// Prints why each of them has no effect. An error: the container cannot be what was asked for.
    pub(crate) fn answer(&self) -> Result<(), impl Diagnose + use<>> {
        for Ignored { flag, answer, .. } in &self.0 {
            if let Answer::Refuse(why) = *answer {
                return Err(Refused { flag, why });
            }
        }
        for Ignored { flag, answer, .. } in &self.0 {
            if let Answer::Note(why) = answer {
                stderr::note(&format!("--{flag} has no effect: {why}"));
            }
        }
        Ok(())
    }
}

impl Args for IgnoredFlags {
    fn augment_args(command: Command) -> Command {
        TABLE.iter().fold(command, |command, ignored| {
            let arg = Arg::new(ignored.flag).long(ignored.flag).hide(true).action(ArgAction::Append);
            command.arg(match ignored.value {
                Value::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                Value::Needed => arg.allow_hyphen_values(true),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for IgnoredFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_asked = |ignored: &&Ignored| {
            let mut values = matches.get_many::<String>(ignored.flag).into_iter().flatten();
            values.next_back().is_some_and(|last| last != "false" || matches!(ignored.value, Value::Needed))
        };
        Ok(Self(TABLE.iter().filter(is_asked).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::TABLE;

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| a.flag < b.flag));
    }
}
