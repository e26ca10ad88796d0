//! Flags about a registry, and about pulling from it.

use crate::image::name::platform::Platform;
use crate::registry::{Policy, Settings};
use clap::Args;

/// The flags of every command that connects to a registry.
#[derive(Args, Clone)]
pub(crate) struct RegistryFlags {
    /// Check certificates; =false allows any, and plain HTTP
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub tls_verify: bool,
}

impl RegistryFlags {
    pub(crate) fn settings(&self) -> Settings {
        settings(self.tls_verify)
    }
}

/// How `run` and `create` pull an image.
#[derive(Args, Clone)]
pub(crate) struct PullFlags {
    /// Set when to pull the image
    #[arg(long, value_name = "WHEN", default_value = "missing", hide_default_value = true)]
    pub pull: PullPolicy,
    /// Use the image for this platform, such as linux/arm64
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Do not print the progress of a pull
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub registry: RegistryFlags,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum PullPolicy {
    Missing,
    Always,
    Never,
}

impl From<PullPolicy> for Policy {
    fn from(policy: PullPolicy) -> Self {
        match policy {
            PullPolicy::Missing => Self::Missing,
            PullPolicy::Always => Self::Always,
            PullPolicy::Never => Self::Never,
        }
    }
}

/// Returns settings whose notes are printed.
pub(crate) fn settings(verify_tls: bool) -> Settings {
    Settings { verify_tls, note: |text| eprintln!("note: {text}"), ..Settings::default() }
}
