//! Names and passwords as Docker keeps them: `config.json` in `$DOCKER_CONFIG` or `~/.docker`, and the helpers it names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// What says who one is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Password {
        user: String,
        password: String,
    },
    /// A token that stands for a password.
    Identity(String),
}

impl Credential {
    pub fn user(&self) -> Option<String> {
        match self {
            Self::Password { user, .. } => Some(user.clone()),
            Self::Identity(_) => None,
        }
    }
}

/// Where Docker keeps those of its own registry.
const HUB_KEY: &str = "https://index.docker.io/v1/";

pub fn key(registry: &str) -> &str {
    if registry == "docker.io" { HUB_KEY } else { registry }
}

pub fn path() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let directory = var("DOCKER_CONFIG").or_else(|| var("HOME").map(|home| home.join(".docker")))?;
    Some(directory.join("config.json"))
}

pub fn find(registry: &str) -> Option<Credential> {
    let text = fs::read(path()?).ok()?;
    let config: Value = serde_json::from_slice(&text).ok()?;
    let auths = config["auths"].as_object()?;
    let key = key(registry);
    let same = |found: &str| {
        let host = found.split_once("://").map_or(found, |(_, rest)| rest);
        host.split('/').next() == Some(registry)
    };
    let entry = auths.get(key).or_else(|| auths.iter().find(|(found, _)| same(found)).map(|(_, entry)| entry))?;
    of_entry(entry)
}

fn of_entry(entry: &Value) -> Option<Credential> {
    if let Some(token) = entry["identitytoken"].as_str().filter(|token| !token.is_empty()) {
        return Some(Credential::Identity(token.to_owned()));
    }
    let decoded = STANDARD.decode(entry["auth"].as_str()?.trim_end_matches('\0')).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credential::Password { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
}
