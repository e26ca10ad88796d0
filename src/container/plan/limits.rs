//! The limits of a control group (cgroup v2).

use oci_spec::runtime::LinuxResources;

/// Returns the files of a control group and their contents, for the limits of a specification.
pub(crate) fn settings(resources: &LinuxResources) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    if let Some(memory) = resources.memory()
        && let Some(limit) = memory.limit()
    {
        settings.push(("memory.max", limit.to_string()));
        // The specification's swap is memory and swap together; the kernel's is swap alone.
        let swap = match memory.swap() {
            Some(both) if both < 0 => "max".into(),
            both => (both.unwrap_or(limit) - limit).max(0).to_string(),
        };
        settings.push(("memory.swap.max", swap));
    }
    if let Some(cpu) = resources.cpu()
        && let (Some(quota), Some(period)) = (cpu.quota(), cpu.period())
    {
        settings.push(("cpu.max", format!("{quota} {period}")));
    }
    if let Some(pids) = resources.pids() {
        let limit = pids.limit();
        settings.push(("pids.max", if limit <= 0 { "max".into() } else { limit.to_string() }));
    }
    settings
}
