//! `login`: whether a registry takes a name and password.

use super::credentials::Credential;
use super::session::Scope;
use super::{Login, RegistryError, Settings, answer, endpoint};
use crate::image::ImageError;
use crate::image::name::reference::Reference;
use ureq::http::Method;

pub(crate) fn check(registry: &str, credential: &Credential, settings: &Settings) -> Result<(), RegistryError> {
    let settings = Settings { login: Login::Known(Some(credential.clone())), ..settings.clone() };
    // Any repository of it will do.
    let reference: Reference = format!("{registry}/login").parse().map_err(ImageError::from)?;
    let session = endpoint::open(&reference, &settings)?;
    let response = session.send(Method::GET, &session.url(""), &[], None, &Scope::none())?;
    match response.status().as_u16() {
        200 => Ok(()),
        401 | 403 => Err(RegistryError::Login { realm: registry.to_owned(), user: credential.user() }),
        _ => Err(answer::refusal(response).into_error(registry)),
    }
}
