//! Flags about the variables of a container that come from elsewhere than `-e`.

use clap::Args;

/// What `run` and `create` do with the variables of the host and of the image.
#[derive(Args)]
pub(crate) struct EnvironmentFlags {
    /// Pass on all variables of the caller
    #[arg(long)]
    env_host: bool,
    /// Leave out a variable of the image
    #[arg(long, value_name = "NAME")]
    pub unsetenv: Vec<String>,
    /// Leave out all variables of the image
    #[arg(long)]
    pub unsetenv_all: bool,
    /// Pass on the caller's proxies: http_proxy, no_proxy and so on
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    http_proxy: Option<bool>,
}

const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"];

impl EnvironmentFlags {
    /// Returns the variables of the caller that are passed on.
    pub(crate) fn of_host(&self) -> Vec<String> {
        let is_proxy = |name: &str| PROXIES.contains(&name.to_ascii_lowercase().as_str());
        let is_wanted = |name: &str| self.env_host || (self.http_proxy == Some(true) && is_proxy(name));
        let all =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        // Its home and its path are not the container's.
        let all =
            all.filter(|(name, _)| is_wanted(name) && !["HOME", "PATH", "PWD", "OLDPWD"].contains(&name.as_str()));
        all.map(|(name, value)| format!("{name}={value}")).collect()
    }
}
