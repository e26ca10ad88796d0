//! Limits: cgroup v2 (kernel: Documentation/admin-guide/cgroup-v2.rst).

use oci_spec::runtime::LinuxResources;

/// The files to write, and what, for the limits of a specification.
pub fn settings(resources: &LinuxResources) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    if let Some(memory) = resources.memory() {
        if let Some(limit) = memory.limit() {
            settings.push(("memory.max", limit.to_string()));
            // The specification's swap is memory and swap together; the kernel's is swap alone.
            let swap = memory.swap().map_or(0, |both| both - limit);
            settings.push(("memory.swap.max", swap.max(0).to_string()));
        }
    }
    if let Some(cpu) = resources.cpu() {
        if let (Some(quota), Some(period)) = (cpu.quota(), cpu.period()) {
            settings.push(("cpu.max", format!("{quota} {period}")));
        }
    }
    if let Some(limit) = resources.pids().as_ref().and_then(|p| Some(p.limit())) {
        settings.push(("pids.max", if limit < 0 { "max".into() } else { limit.to_string() }));
    }
    settings
}
