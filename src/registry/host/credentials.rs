//! Logins as Docker keeps them: in `config.json` under `$DOCKER_CONFIG` or `~/.docker`, or in the helper that it names.
//! Podman's logins are read too.

use super::credential::Credential;
use super::helper::{self, HelperError};
use crate::diag::{Diagnose, inner_of};
use crate::sys::{On, SysError};
use crate::userns;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("no place for logins: neither DOCKER_CONFIG nor HOME is set")]
    NoHome,
    #[error("{} cannot be read as JSON", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{} is not a JSON object", path.display())]
    Shape { path: PathBuf },
    #[error(transparent)]
    Helper(#[from] HelperError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for CredentialError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Helper, Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Json { path, .. } | Self::Shape { path } => {
                Some(format!("mend it, or move it away: {}", path.display()))
            }
            _ => self.inner().and_then(Diagnose::hint),
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// Docker's key for its own registry.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Returns the key under which a registry's credential is kept.
pub(crate) fn key(registry: &str) -> &str {
    if registry == "docker.io" { HUB_KEY } else { registry }
}

/// `config.json`, which need not exist.
struct Config {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl Config {
    fn docker() -> Result<Self, CredentialError> {
        let directory = variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")));
        Self::read(directory.ok_or(CredentialError::NoHome)?.join("config.json"))
    }

    fn read(path: PathBuf) -> Result<Self, CredentialError> {
        let text = match fs::read(&path) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Vec::new(),
            other => other.on("read", &path)?,
        };
        if text.trim_ascii().is_empty() {
            return Ok(Self { path, fields: Map::new() });
        }
        match serde_json::from_slice(&text) {
            Ok(Value::Object(fields)) => Ok(Self { path, fields }),
            Ok(_) => Err(CredentialError::Shape { path }),
            Err(source) => Err(CredentialError::Json { path, source }),
        }
    }

    /// Returns the helper that keeps a registry's credential.
    fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.fields.get("credHelpers").and_then(|helpers| helpers.get(registry));
        own.or_else(|| self.fields.get("credsStore")).and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// Returns the key and the entry of a whole registry. Other programs write the key as a URL.
    fn entry(&self, registry: &str) -> Option<(&String, &Value)> {
        let auths = self.fields.get("auths")?.as_object()?;
        auths.get_key_value(key(registry)).or_else(|| auths.iter().find(|(key, _)| place(key) == (registry, "")))
    }

    /// Returns the credential with the longest key that fits a repository, and the length of its namespace: Podman's keys may
    /// name part of a registry.
    fn closest(&self, registry: &str, repository: &str) -> Option<(usize, Credential)> {
        let auths = self.fields.get("auths")?.as_object()?;
        let parts = auths.iter().filter_map(|(key, entry)| match place(key) {
            (host, part) if host == registry && !part.is_empty() && is_below(repository, part) => {
                Some((part.len(), of_entry(entry)?))
            }
            _ => None,
        });
        let whole = || Some((0, of_entry(self.entry(registry)?.1)?));
        parts.max_by_key(|(length, _)| *length).or_else(whole)
    }

    fn set(&mut self, registry: &str, entry: Value) {
        let auths = self.fields.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths[key(registry)] = entry;
    }

    fn remove(&mut self, registry: &str) -> bool {
        let Some(key) = self.entry(registry).map(|(key, _)| key.clone()) else { return false };
        let auths = self.fields.get_mut("auths").and_then(Value::as_object_mut);
        auths.is_some_and(|auths| auths.remove(&key).is_some())
    }

    /// Replaces the file in one step. A new file is readable for its owner alone.
    fn write(&self) -> Result<(), SysError> {
        // The file may be a link into a directory of one's own.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let directory = path.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).on("mkdir", directory)?;
        let mode = fs::metadata(&path).map_or(0o600, |found| found.permissions().mode() & 0o777);
        let mut text = Vec::new();
        let mut serializer =
            serde_json::Serializer::with_formatter(&mut text, serde_json::ser::PrettyFormatter::with_indent(b"\t"));
        // An object of strings cannot fail to be written to memory.
        let _ = self.fields.serialize(&mut serializer);
        let new = path.with_extension(format!("{}.new", crate::store::random_hex(4)));
        let written = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written.on("write", &path)
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Splits a key of `auths` into the host and a namespace on it: `https://index.docker.io/v1/` is the whole Hub, `quay.io/team`
/// a namespace.
fn place(key: &str) -> (&str, &str) {
    let place = key.split_once("://").map_or(key, |(_, rest)| rest);
    let (host, part) = place.split_once('/').unwrap_or((place, ""));
    let host = if host == "index.docker.io" { "docker.io" } else { host };
    match part.trim_end_matches('/') {
        "v1" | "v2" => (host, ""),
        part => (host, part),
    }
}

fn is_below(repository: &str, part: &str) -> bool {
    repository.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the credential for a repository, or with `""` for the whole registry: that of the longest key that fits, Docker's
/// before Podman's.
pub(crate) fn find(registry: &str, repository: &str) -> Result<Option<Credential>, CredentialError> {
    let docker = Config::docker()?;
    let podman = variable("REGISTRY_AUTH_FILE")
        .or_else(|| variable("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json")));
    let podman = podman.map(Config::read).transpose()?;
    let configs = [podman.as_ref(), Some(&docker)].into_iter().flatten();
    // Of keys of the same length, the last one wins.
    let closest = configs.filter_map(|config| config.closest(registry, repository)).max_by_key(|(length, _)| *length);
    if closest.as_ref().is_none_or(|(length, _)| *length == 0)
        && let Some(helper) = docker.helper(registry)
        && let Some(found) = ask(helper, registry)?
    {
        return Ok(Some(found));
    }
    Ok(closest.map(|(_, credential)| credential))
}

/// Asks a helper, outside of any user namespace: it may check who asks. A failure there must not prevent the pull of a public
/// image.
fn ask(helper: &str, registry: &str) -> Result<Option<Credential>, CredentialError> {
    match if userns::is_inside() { userns::ask(registry.as_bytes()) } else { None } {
        Some(answer) => Ok(serde_json::from_slice(&answer).ok().flatten()),
        None => Ok(helper::get(helper, key(registry))?),
    }
}

/// Answers the half of this command that is inside the user namespace: with the credential that is kept for the registry that
/// it asks for, or with none and the reason.
pub(crate) fn answer(registry: &[u8]) -> (Vec<u8>, Option<CredentialError>) {
    let (credential, error) = match find(&String::from_utf8_lossy(registry), "") {
        Ok(credential) => (credential, None),
        Err(error) => (None, Some(error)),
    };
    (serde_json::to_vec(&credential).unwrap_or_default(), error)
}

fn of_entry(entry: &Value) -> Option<Credential> {
    if let Some(token) = entry["identitytoken"].as_str().filter(|token| !token.is_empty()) {
        return Some(Credential::Identity(token.to_owned()));
    }
    if let Some(token) = entry["registrytoken"].as_str().filter(|token| !token.is_empty()) {
        return Some(Credential::Token(token.to_owned()));
    }
    // An entry that was written by hand.
    if let (Some(user), Some(password)) = (entry["username"].as_str(), entry["password"].as_str()) {
        return Some(Credential::Password { user: user.to_owned(), password: password.to_owned() });
    }
    let decoded = STANDARD.decode(entry["auth"].as_str()?.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credential::Password { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
}

/// The place where a credential is kept.
pub(crate) enum Kept {
    /// This file, without encryption.
    File(PathBuf),
    Helper,
}

pub(crate) fn keep(registry: &str, user: &str, password: &str) -> Result<Kept, CredentialError> {
    let mut config = Config::docker()?;
    if let Some(helper) = config.helper(registry) {
        helper::store(helper, key(registry), user, password)?;
        // Docker marks a login in a helper by an empty entry.
        config.set(registry, json!({}));
        config.write()?;
        return Ok(Kept::Helper);
    }
    config.set(registry, json!({ "auth": STANDARD.encode(format!("{user}:{password}")) }));
    config.write()?;
    Ok(Kept::File(config.path))
}

/// Removes a credential. Returns `false` if there was none.
pub(crate) fn forget(registry: &str) -> Result<bool, CredentialError> {
    let mut config = Config::docker()?;
    let mut found = false;
    if let Some(helper) = config.helper(registry)
        && helper::get(helper, key(registry))?.is_some()
    {
        helper::erase(helper, key(registry))?;
        found = true;
    }
    if config.remove(registry) {
        config.write()?;
        found = true;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_as_docker_and_others_write_them() {
        let auth = STANDARD.encode("ann:a:b");
        let fields = json!({ "auths": {
            "https://index.docker.io/v1/": { "auth": auth },
            "https://registry.example.org/v2/": { "auth": auth },
            "localhost:5000": { "identitytoken": "t", "auth": auth },
            "plain:1": { "username": "ann", "password": "a:b" },
            "broken": { "auth": "!" },
            "token.example.org": { "registrytoken": "r" },
            "quay.io": { "username": "ann", "password": "whole" },
            "quay.io/team": { "username": "ann", "password": "team" },
            "quay.io/team/app": { "username": "ann", "password": "app" },
            "part.example.org/other": { "auth": auth },
        }});
        let Value::Object(fields) = fields else { unreachable!() };
        let config = Config { path: PathBuf::new(), fields };
        let find_for = |registry: &str, repository| config.closest(registry, repository).map(|(_, found)| found);
        let find = |registry| find_for(registry, "x/y");
        let password = Some(Credential::Password { user: "ann".into(), password: "a:b".into() });
        assert!(
            find("plain:1") == password && find("docker.io") == password && find("registry.example.org") == password
        );
        assert!(find("localhost:5000") == Some(Credential::Identity("t".into())));
        assert!(find("token.example.org") == Some(Credential::Token("r".into())));
        assert!(find("broken").is_none() && find("localhost").is_none() && find("part.example.org").is_none());
        for (repository, expected) in
            [("x", "whole"), ("team", "team"), ("team/x", "team"), ("team/app/y", "app"), ("teamx/app", "whole")]
        {
            let found = find_for("quay.io", repository);
            assert!(
                matches!(found, Some(Credential::Password { password, .. }) if password == expected),
                "{repository}"
            );
        }
    }
}
