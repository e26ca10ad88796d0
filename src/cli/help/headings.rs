//! Headings over the options of commands that have many.

use std::collections::HashMap;

/// Command, heading, long names of its options; headings stand in this order. What is not named stands below `Options`.
type Headings = &'static [(&'static str, &'static str)];

const OF_CONTAINERS: Headings = &[
    (
        "Container",
        "detach name rm replace restart label label-file annotation cidfile pidfile timeout pull platform quiet tls-verify \
         rootfs rmi image-volume requires",
    ),
    (
        "Process",
        "interactive tty attach env env-file env-host env-merge unsetenv unsetenv-all entrypoint workdir user group-add \
         init stop-signal stop-timeout detach-keys sig-proxy tz umask systemd oom-score-adj preserve-fds group-entry passwd \
         passwd-entry personality",
    ),
    (
        "Files",
        "volume mount volumes-from volume-driver tmpfs read-only read-only-tmpfs shm-size device gpus secret chrootdirs",
    ),
    (
        "Network",
        "publish publish-all expose network network-alias hostname domainname no-hostname add-host hosts-file no-hosts dns \
         dns-search dns-option ip ip6 mac-address link http-proxy",
    ),
    (
        "Resources",
        "memory memory-reservation memory-swap cpus cpu-shares cpu-period cpu-quota cpuset-cpus cpuset-mems \
         blkio-weight pids-limit ulimit require-limits",
    ),
    ("Security", "privileged cap-add cap-drop security-opt userns uidmap gidmap pid ipc uts cgroupns cgroups sysctl"),
    (
        "Health",
        "health-cmd health-interval health-timeout health-retries health-start-period health-start-interval \
         health-on-failure no-healthcheck health-startup-cmd",
    ),
    ("Output", "explain dry-run log-driver log-opt json format"),
];

const OF_BUILD: Headings = &[
    ("Input", "file build-arg build-context target platform pull secret ssh"),
    ("Result", "tag label annotation output push load iidfile metadata-file squash sbom provenance attest"),
    ("Cache", "no-cache no-cache-filter cache-from cache-to"),
    (
        "Steps",
        "network add-host shm-size ulimit memory memory-swap cpu-period cpu-quota cpu-shares cpuset-cpus cpuset-mems",
    ),
    ("Output", "progress quiet explain check call debug"),
];

const COMMANDS: [(&str, Headings); 3] = [("run", OF_CONTAINERS), ("create", OF_CONTAINERS), ("build", OF_BUILD)];

/// Returns a command's name and the headings of its options; `None` where one list is enough.
pub(super) fn headings(path: &str) -> Option<(&'static str, Headings)> {
    let name = path.rsplit(' ').next()?;
    COMMANDS.into_iter().find(|(command, _)| *command == name)
}

/// Returns the place of each option: its heading and its rank.
pub(super) fn places(headings: Headings) -> HashMap<&'static str, (&'static str, usize)> {
    let all = headings.iter().flat_map(|(heading, names)| names.split_whitespace().map(move |name| (*heading, name)));
    all.enumerate().map(|(rank, (heading, name))| (name, (heading, rank))).collect()
}
