//! Flags of other builders that have no effect here, accepted so that their users need not leave them out.

use crate::diag::Diagnose;
use clap::Args;

#[derive(Args)]
pub(super) struct IdleFlags {
    /// The image is in the store anyway
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    load: Option<bool>,
    /// No container is left of a step
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rm: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    force_rm: Option<bool>,
    /// Nothing is sent to a daemon
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    compress: Option<bool>,
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(long, hide = true, value_delimiter = ',')]
    allow: Vec<String>,
    #[arg(long, hide = true)]
    cgroup_parent: Option<String>,
    #[arg(short, long, hide = true)]
    cpu_shares: Option<String>,
    #[arg(long, hide = true)]
    cpuset_cpus: Option<String>,
    #[arg(long, hide = true)]
    cpuset_mems: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("invalid --allow {0:?}")]
pub(super) struct UnknownRight(String);

impl Diagnose for UnknownRight {
    fn hint(&self) -> Option<String> {
        Some("a build can have network.host; security.insecure and device are accepted without effect".into())
    }
}

/// The other rights that buildx knows.
const RIGHTS: [&str; 5] = ["security.insecure", "device", "ssh", "fs", "image"];

impl IdleFlags {
    pub(super) fn allows_host_network(&self) -> bool {
        self.allow.iter().any(|right| right == "network.host")
    }

    /// Returns a note for each flag whose effect the user may expect.
    pub(super) fn notes(&self) -> Result<Vec<String>, UnknownRight> {
        let mut notes = Vec::new();
        if let Some(builder) = self.builder.as_ref().filter(|builder| *builder != "default") {
            notes.push(format!("--builder {builder} has no effect: this command builds by itself"));
        }
        let shares = [("cpu-shares", &self.cpu_shares), ("cpuset-cpus", &self.cpuset_cpus)];
        for (name, value) in shares.into_iter().chain([("cpuset-mems", &self.cpuset_mems)]) {
            if value.is_some() {
                notes.push(format!("--{name} has no effect: a RUN is limited by --memory and --cpu-quota alone"));
            }
        }
        if self.cgroup_parent.is_some() {
            let why = "a RUN with limits has a group below one that this user may divide";
            notes.push(format!("--cgroup-parent has no effect: {why}"));
        }
        for right in self.allow.iter().filter(|right| *right != "network.host") {
            let name = right.split(['=', '.']).next().unwrap_or_default();
            if !RIGHTS.iter().any(|known| known == right || *known == name) {
                return Err(UnknownRight(right.clone()));
            }
            // The command line names files, agents and images anyway.
            if matches!(name, "security" | "device") {
                notes.push(format!("--allow {right} has no effect: no RUN gets more rights than others"));
            }
        }
        Ok(notes)
    }
}
