//! Flags that several commands share: each is declared once, and read by one parser, before anything is done.

use crate::container::request;
use crate::container::request::{Network, RequestError, Ulimit};
use crate::network::resolv::HostEntry;
use crate::sys::On;
use clap::Args;
use std::path::PathBuf;

/// What `run`, `create` and `exec` say of a process.
#[derive(Args)]
pub(super) struct ProcessFlags {
    /// Set a variable, or pass on your own
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = request::variable)]
    env: Vec<Variable>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Start in this directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Run as this user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// All capabilities; of a container also: no system call filter, nothing hidden
    #[arg(long)]
    pub privileged: bool,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
}

/// `NAME=VALUE`; `None`: a variable that is not set here.
type Variable = Option<String>;

impl ProcessFlags {
    /// The variables of all files, and then those of the command line, which win.
    pub(super) fn environment(&self) -> Result<Vec<String>, RequestError> {
        let mut all = Vec::new();
        for file in &self.env_file {
            let text = std::fs::read_to_string(file).on("open", file).map_err(RequestError::EnvFile)?;
            for line in text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                all.extend(request::variable(line)?);
            }
        }
        all.extend(self.env.iter().flatten().cloned());
        Ok(all)
    }
}

/// What `run`, `create` and `build` say of a container.
#[derive(Args)]
pub(super) struct ContainerFlags {
    /// bridge (the default: its own, with a way out), none or host
    #[arg(long, visible_alias = "net", value_name = "NETWORK", value_parser = request::network)]
    pub network: Option<Network>,
    /// Add a line to /etc/hosts
    #[arg(long, value_name = "NAME:IP", value_parser = request::host)]
    pub add_host: Vec<HostEntry>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = request::size)]
    pub shm_size: Option<u64>,
    /// Limit a resource, as setrlimit(2)
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = request::ulimit)]
    pub ulimit: Vec<Ulimit>,
    /// Attach a label
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = request::label)]
    pub label: Vec<(String, String)>,
}
