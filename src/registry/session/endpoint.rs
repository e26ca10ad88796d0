//! The way to a registry: TLS, or plain HTTP if it is on this machine or the user allows it.

use super::Session;
use crate::http::{Client, HttpError, Trust};
use crate::image::name::reference::Reference;
use crate::registry::RegistryError;
use crate::registry::host::config::{self, Place};
use crate::registry::host::credentials;
use crate::registry::settings::{Login, Settings};
use std::net::IpAddr;
use ureq::http::Request;

const HUB: &str = "docker.io";
/// The host of the Hub, which is not its name in references.
const HUB_HOST: &str = "registry-1.docker.io";

/// Opens a session with the registry of an image.
pub(crate) fn open(reference: &Reference, settings: &Settings) -> Result<Session, RegistryError> {
    open_place(&config::place(reference)?, settings)
}

/// Opens a session with a registry or a mirror of one.
pub(crate) fn open_place(place: &Place, settings: &Settings) -> Result<Session, RegistryError> {
    let registry = &place.host;
    let host = if registry == HUB { HUB_HOST } else { registry };
    let anybody = !settings.verify_tls || place.insecure;
    let http = Client::new(&Trust { anybody, ..config::trust(registry) });
    let outside = Client::new(&Trust { anybody, ..Trust::default() });
    let credential = match &settings.login {
        Login::Known(credential) if !place.is_mirror => credential.clone(),
        _ => credentials::find(registry, &place.repository)?,
    };
    let session = |scheme: &str| {
        let base = format!("{scheme}://{host}");
        Session::new(registry, base, http.clone(), outside.clone(), credential.clone(), settings.note)
    };
    let secured = session("https");
    if !anybody && !is_loopback(host) {
        return Ok(secured);
    }
    let asked = Request::get(secured.url("")).body(()).map_err(|e| HttpError::reach(&secured.url(""), e.into()))?;
    match http.send(asked) {
        Err(error) if error.is_plain_http() => Ok(session("http")),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(secured),
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_on_this_machine() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000", "a.localhost:1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1:5000", "localhost.example.org", "[fd00::1]:5000", "registry"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
