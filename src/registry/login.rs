//! `login`: checks that a registry accepts a name and password.

use super::answer;
use super::host::credential::Credential;
use super::session::Scope;
use super::session::endpoint;
use super::settings::Login;
use super::{RegistryError, Settings};
use crate::image::ImageError;
use crate::image::name::reference::Reference;
use ureq::http::Method;

pub(crate) fn check(registry: &str, credential: &Credential, settings: &Settings) -> Result<(), RegistryError> {
    let settings = Settings { login: Login::Known(Some(credential.clone())), ..settings.clone() };
    // Any repository of the registry will do.
    let reference: Reference = format!("{registry}/login").parse().map_err(ImageError::from)?;
    let session = endpoint::open(&reference, &settings)?;
    let response = session.send(Method::GET, &session.url(""), &[], None, &Scope::none())?;
    match response.status().as_u16() {
        200 => Ok(()),
        401 | 403 => Err(RegistryError::Login {
            registry: registry.to_owned(),
            realm: registry.to_owned(),
            user: credential.user(),
        }),
        _ => Err(RegistryError::refused(registry, answer::refusal(response))),
    }
}
