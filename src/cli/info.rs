//! `info` and `version`: minirun and the host, in words and under Docker's names.

use super::format::Format;
use super::{human, inspect};
use crate::container::stored::record::{Container, Phase};
use crate::diag::Failure;
use crate::image;
use crate::store::Store;
use crate::userns::IdMap;
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

#[derive(Args)]
pub(super) struct InfoArgs {
    /// Print through a template, such as '{{.ServerVersion}}', or as JSON: json
    #[arg(short, long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
}

#[derive(Args)]
pub(super) struct VersionArgs {
    /// Print through a template, such as '{{.Server.Version}}', or as JSON: json
    #[arg(short, long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The host's side of what `info` tells.
struct Host {
    kernel: String,
    machine: String,
    name: String,
    system: String,
    /// Bytes; `None`: the kernel does not say.
    memory: Option<u64>,
    processors: usize,
    /// The version of the control groups: `1` or `2`.
    cgroups: &'static str,
}

impl Host {
    fn read() -> Self {
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib: Option<u64> =
            memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
        Self {
            kernel: text(uname.release()),
            machine: text(uname.machine()),
            name: text(uname.nodename()),
            system: os_name(),
            memory: kib.map(|kib| kib * 1024),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            cgroups: if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "2" } else { "1" },
        }
    }
}

fn os_name() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

pub(super) fn info(arguments: &InfoArgs, store: &Store) -> Result<u8, Failure> {
    let host = Host::read();
    if arguments.format != Format::Default {
        inspect::print(&arguments.format, vec![docker_info(store, &host)?])?;
        return Ok(0);
    }
    let containers = fs::read_dir(store.path("containers")).map_or(0, Iterator::count);
    for (name, value) in [
        ("Containers", containers.to_string()),
        (" Running", Container::running(store).len().to_string()),
        ("Images", image::all(store)?.len().to_string()),
        ("Version", VERSION.into()),
        ("Root", store.root.display().to_string()),
        ("Runtime", store.runtime.display().to_string()),
        ("Ids", IdMap::of_caller().kind().into()),
        ("Cgroup version", host.cgroups.into()),
        ("Kernel", host.kernel),
        ("Operating system", host.system),
        ("Architecture", host.machine),
        ("CPUs", host.processors.to_string()),
        ("Memory", host.memory.map_or_else(String::new, human::size)),
        ("Name", host.name),
    ] {
        println!("{:18}{value}", format!("{name}:"));
    }
    Ok(0)
}

fn docker_info(store: &Store, host: &Host) -> Result<Value, Failure> {
    let phases: Vec<Phase> = Container::all(store).iter().map(|container| container.state().phase).collect();
    let running = phases.iter().filter(|phase| **phase == Phase::Running).count();
    Ok(json!({
        "ID": "",
        "Containers": phases.len(),
        "ContainersRunning": running,
        "ContainersPaused": 0,
        "ContainersStopped": phases.len() - running,
        "Images": image::all(store)?.len(),
        "Driver": "overlay",
        "DockerRootDir": store.root,
        "LoggingDriver": "json-file",
        "CgroupDriver": if host.cgroups == "2" { "systemd" } else { "none" },
        "CgroupVersion": host.cgroups,
        "KernelVersion": host.kernel,
        "OperatingSystem": host.system,
        "OSType": "linux",
        "Architecture": host.machine,
        "NCPU": host.processors,
        "MemTotal": host.memory.unwrap_or(0),
        "Name": host.name,
        "ServerVersion": VERSION,
        "DefaultRuntime": "minirun",
        "Runtimes": { "minirun": { "path": "minirun" } },
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"],
        "IndexServerAddress": "https://index.docker.io/v1/",
        "Labels": [],
        "Warnings": null,
        "Swarm": { "LocalNodeState": "inactive" },
        "ClientInfo": { "Version": VERSION, "Context": "default", "Plugins": [], "Warnings": null },
    }))
}

pub(super) fn version(arguments: &VersionArgs) -> Result<u8, Failure> {
    let host = Host::read();
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    if arguments.format == Format::Default {
        println!("minirun {VERSION}, {os} {arch}");
        println!("kernel  {}", host.kernel);
        return Ok(0);
    }
    let arch = match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let client =
        json!({ "Version": VERSION, "Os": os, "Arch": arch, "Context": "default", "Platform": { "Name": "minirun" } });
    let server = json!({
        "Version": VERSION,
        "Os": os,
        "Arch": arch,
        "KernelVersion": host.kernel,
        "Platform": { "Name": "minirun" },
        "Components": [{ "Name": "Engine", "Version": VERSION, "Details": { "Os": os, "Arch": arch } }],
    });
    inspect::print(&arguments.format, vec![json!({ "Client": client, "Server": server })])?;
    Ok(0)
}
