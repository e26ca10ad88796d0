//! The limits of a control group (cgroup v2).

use oci_spec::runtime::LinuxResources;

/// Returns the files of a control group and their contents, for the limits of a specification.
pub(crate) fn settings(resources: &LinuxResources) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    let mut set = |file, value: Option<String>| settings.extend(value.map(|value| (file, value)));
    let memory = resources.memory();
    if let Some(limit) = memory.and_then(|memory| memory.limit()) {
        set("memory.max", Some(limit.to_string()));
        // The specification's swap is memory and swap together; the kernel's is swap alone.
        let swap = match memory.and_then(|memory| memory.swap()) {
            Some(both) if both < 0 => "max".into(),
            both => (both.unwrap_or(limit) - limit).max(0).to_string(),
        };
        set("memory.swap.max", Some(swap));
    }
    set("memory.low", memory.and_then(|memory| memory.reservation()).map(|bytes| bytes.to_string()));
    if let Some(cpu) = resources.cpu() {
        set("cpu.max", cpu.quota().zip(cpu.period()).map(|(quota, period)| format!("{quota} {period}")));
        set("cpu.weight", cpu.shares().map(|shares| weight(shares, 2, 262_144).to_string()));
        set("cpuset.cpus", cpu.cpus().clone());
        set("cpuset.mems", cpu.mems().clone());
    }
    let io = resources.block_io().as_ref().and_then(|io| io.weight());
    set("io.weight", io.map(|io| format!("default {}", weight(io.into(), 10, 1000))));
    let pids = resources.pids().map(|pids| pids.limit());
    set("pids.max", pids.map(|limit| if limit <= 0 { "max".into() } else { limit.to_string() }));
    settings
}

/// Returns a share of cgroup v1, which is between `least` and `most`, as a weight of cgroup v2, 1 to 10000.
fn weight(share: u64, least: u64, most: u64) -> u64 {
    1 + (share.clamp(least, most) - least) * 9999 / (most - least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_limit_has_its_file() {
        let resources: LinuxResources = serde_json::from_value(json!({
            "memory": {"limit": 100, "swap": 150, "reservation": 50},
            "cpu": {"quota": 50_000, "period": 100_000, "shares": 1024, "cpus": "0-1", "mems": "0"},
            "blockIO": {"weight": 500},
            "pids": {"limit": 7},
        }))
        .unwrap();
        let settings: Vec<String> =
            settings(&resources).iter().map(|(file, value)| format!("{file}={value}")).collect();
        let expected = "memory.max=100 memory.swap.max=50 memory.low=50 cpu.max=50000_100000 cpu.weight=39 \
                        cpuset.cpus=0-1 cpuset.mems=0 io.weight=default_4950 pids.max=7";
        assert_eq!(settings.join(";").replace(' ', "_").replace(';', " "), expected);
        assert_eq!((weight(2, 2, 262_144), weight(262_144, 2, 262_144), weight(10, 10, 1000)), (1, 10_000, 1));
    }
}
