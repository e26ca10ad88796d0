//! The host's settings for registries: mirrors, insecure registries, certificates. They are read from Docker's
//! `daemon.json`, from `registries.conf` of Podman and others, and from `certs.d` of both.

use crate::diag::{Diagnose, inner_of};
use crate::http::Trust;
use crate::image::name::reference::Reference;
use crate::sys::{On, SysError};
use serde::Deserialize;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{} cannot be read as JSON", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{} cannot be read as TOML", path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{} forbids {name}", path.display())]
    Blocked { path: PathBuf, name: String },
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for ConfigError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }
}

/// A place to pull from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// `mirror.example.org:5000`
    pub host: String,
    pub repository: String,
    /// Certificates are not checked, and plain HTTP is allowed.
    pub insecure: bool,
    pub is_mirror: bool,
}

/// The fields of `daemon.json` about registries.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Daemon {
    #[serde(default)]
    registry_mirrors: Vec<String>,
    #[serde(default)]
    insecure_registries: Vec<String>,
}

/// `registries.conf`, version 2.
#[derive(Default, Deserialize)]
struct Registries {
    #[serde(default)]
    registry: Vec<Rule>,
}

#[derive(Default, Deserialize)]
struct Rule {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
}

#[derive(Deserialize)]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
}

/// Returns the places of an image: its mirrors in the order in which they are asked, and the registry itself.
pub(crate) fn places(reference: &Reference) -> Result<(Vec<Place>, Place), ConfigError> {
    let daemon = daemon()?;
    let mut mirrors = Vec::new();
    let mut own = own(&daemon, reference);
    if let Some((rule, path)) = rule(reference)? {
        if rule.blocked {
            return Err(ConfigError::Blocked { path, name: reference.name() });
        }
        for mirror in &rule.mirror {
            mirrors.extend(moved(reference, &rule, &mirror.location, mirror.insecure, true));
        }
        own.insecure |= rule.insecure;
        if !rule.location.is_empty() {
            own = moved(reference, &rule, &rule.location, own.insecure, false).unwrap_or(own);
        }
    }
    if reference.registry == "docker.io" {
        for url in &daemon.registry_mirrors {
            let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
            let host = rest.trim_end_matches('/').to_owned();
            let insecure = scheme == "http" || is_listed(&daemon.insecure_registries, &host);
            mirrors.push(Place { host, repository: reference.repository.clone(), insecure, is_mirror: true });
        }
    }
    Ok((mirrors, own))
}

/// Returns the registry itself, for everything but pulls.
pub(crate) fn place(reference: &Reference) -> Result<Place, ConfigError> {
    let mut own = own(&daemon()?, reference);
    own.insecure |= rule(reference)?.is_some_and(|(rule, _)| rule.insecure);
    Ok(own)
}

fn own(daemon: &Daemon, reference: &Reference) -> Place {
    let insecure = is_listed(&daemon.insecure_registries, &reference.registry);
    let (host, repository) = (reference.registry.clone(), reference.repository.clone());
    Place { host, repository, insecure, is_mirror: false }
}

/// Replaces the rule's prefix of a name with the location.
fn moved(reference: &Reference, rule: &Rule, location: &str, insecure: bool, is_mirror: bool) -> Option<Place> {
    let name = reference.name();
    let rest = if rule.prefix().starts_with("*.") {
        name.strip_prefix(&reference.registry)?
    } else {
        name.strip_prefix(rule.prefix())?
    };
    let whole = format!("{}{rest}", location.trim_end_matches('/'));
    let (host, repository) = whole.split_once('/')?;
    Some(Place { host: host.to_owned(), repository: repository.to_owned(), insecure, is_mirror })
}

impl Rule {
    fn prefix(&self) -> &str {
        if self.prefix.is_empty() { &self.location } else { &self.prefix }
    }

    fn is_for(&self, reference: &Reference) -> bool {
        if let Some(domain) = self.prefix().strip_prefix('*') {
            return reference.registry.ends_with(domain);
        }
        let name = reference.name();
        let rest = name.strip_prefix(self.prefix());
        !self.prefix().is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Returns the rule with the longest prefix that matches an image, and its file.
fn rule(reference: &Reference) -> Result<Option<(Rule, PathBuf)>, ConfigError> {
    let mut found: Option<(Rule, PathBuf)> = None;
    for path in registries_files() {
        let Some(text) = read(&path)? else { continue };
        let parsed: Registries = toml::from_str(&text)
            .map_err(|source| ConfigError::Toml { path: path.clone(), source: Box::new(source) })?;
        for rule in parsed.registry.into_iter().filter(|rule| rule.is_for(reference)) {
            // Of two prefixes of the same length, the later file's wins.
            if found.as_ref().is_none_or(|(other, _)| rule.prefix().len() >= other.prefix().len()) {
                found = Some((rule, path.clone()));
            }
        }
    }
    Ok(found)
}

/// Lists the files to read: the user's file or else the host's, and the drop-ins of both.
fn registries_files() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("CONTAINERS_REGISTRIES_CONF").filter(|v| !v.is_empty()) {
        return vec![named.into()];
    }
    let mut bases = vec![PathBuf::from("/etc/containers")];
    bases.extend(user_config().map(|config| config.join("containers")));
    let main = bases.iter().rev().map(|base| base.join("registries.conf")).find(|path| path.exists());
    let mut files: Vec<PathBuf> = main.into_iter().collect();
    for base in bases {
        let entries = fs::read_dir(base.join("registries.conf.d")).into_iter().flatten().flatten();
        let mut more: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        more.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        more.sort();
        files.extend(more);
    }
    files
}

fn daemon() -> Result<Daemon, ConfigError> {
    let user = user_config().map(|config| config.join("docker/daemon.json"));
    for path in user.into_iter().chain([PathBuf::from("/etc/docker/daemon.json")]) {
        if let Some(text) = read(&path)? {
            return serde_json::from_str(&text).map_err(|source| ConfigError::Json { path, source });
        }
    }
    Ok(Daemon::default())
}

fn user_config() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    var("XDG_CONFIG_HOME").or_else(|| var("HOME").map(|home| home.join(".config")))
}

/// Returns `None` if the file does not exist or may not be read.
fn read(path: &Path) -> Result<Option<String>, SysError> {
    match fs::read_to_string(path) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES)) => Ok(None),
        other => other.map(Some).on("read", path),
    }
}

/// Whether a list has a host: by name and port, or by the network of its address.
fn is_listed(list: &[String], host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let address: Option<IpAddr> = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
    list.iter().any(|entry| {
        let entry = entry.split_once("://").map_or(entry.as_str(), |(_, rest)| rest).trim_end_matches('/');
        entry == host || address.is_some_and(|address| crate::http::is_within(address, entry))
    })
}

/// Returns the authorities that are trusted for a host, and the client certificate for it.
pub(crate) fn trust(host: &str) -> Trust {
    let mut trust = Trust::default();
    let mut bases: Vec<PathBuf> = ["/etc/docker/certs.d", "/etc/containers/certs.d"].map(PathBuf::from).into();
    let of_user = user_config().map(|config| ["containers/certs.d", "minirun/certs.d"].map(|d| config.join(d)));
    bases.extend(of_user.into_iter().flatten());
    for base in bases {
        let entries = fs::read_dir(base.join(host)).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => trust.authorities.extend(fs::read(&path).ok()),
                Some("cert") => {
                    let pair = fs::read(&path).and_then(|chain| Ok((chain, fs::read(path.with_extension("key"))?)));
                    trust.identity = pair.ok().or(trust.identity);
                }
                _ => {}
            }
        }
    }
    trust
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str, name: &str) -> Vec<(String, String)> {
        let parsed: Registries = toml::from_str(text).unwrap();
        let reference: Reference = name.parse().unwrap();
        let rules = parsed.registry.iter().filter(|rule| rule.is_for(&reference));
        let of = |rule: &Rule| {
            let mirrors = rule.mirror.iter().filter_map(|m| moved(&reference, rule, &m.location, m.insecure, true));
            mirrors.map(|place| (place.host, place.repository)).collect::<Vec<_>>()
        };
        rules.flat_map(of).collect()
    }

    #[test]
    fn rules_of_registries_conf() {
        let text = r#"
            unqualified-search-registries = ["docker.io"]
            [[registry]]
            prefix = "docker.io/library"
            [[registry.mirror]]
            location = "mirror.local:5000/hub"
            insecure = true
            [[registry]]
            prefix = "*.example.org"
            location = "elsewhere.org"
            [[registry.mirror]]
            location = "near.org/x"
        "#;
        let pair = |host: &str, repository: &str| vec![(host.to_owned(), repository.to_owned())];
        assert_eq!(rules(text, "alpine"), pair("mirror.local:5000", "hub/alpine"));
        assert_eq!(rules(text, "me/alpine"), []);
        assert_eq!(rules(text, "a.example.org/b/c"), pair("near.org", "x/b/c"));
    }

    #[test]
    fn insecure_registries_of_docker() {
        let list = ["registry.local:5000".to_owned(), "10.0.0.0/8".to_owned(), "http://other/".to_owned()];
        for host in ["registry.local:5000", "10.1.2.3:5000", "other"] {
            assert!(is_listed(&list, host), "{host}");
        }
        for host in ["registry.local", "11.1.2.3", "registry.local:5001"] {
            assert!(!is_listed(&list, host), "{host}");
        }
    }
}
