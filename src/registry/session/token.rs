//! Tokens of a token server, for certain repositories, with a login or without.

use super::retry::{self, ATTEMPTS, pause};
use crate::http::{Client, HttpError, is_url};
use crate::registry::RegistryError;
use crate::registry::answer::text;
use crate::registry::host::credential::Credential;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::time::{Duration, Instant};
use ureq::http::Request;

/// The shortest life of a token in seconds; a shorter one is ignored.
const SHORTEST: u64 = 60;
/// A token is not used in the last seconds of its life.
const MARGIN: u64 = 15;
/// The longest answer of a token server.
const LONGEST: u64 = 1 << 20;

/// The registry that wants a token.
#[derive(Clone, Copy)]
pub(crate) struct Registry<'a> {
    pub name: &'a str,
    pub note: fn(&str),
}

pub struct Token {
    pub value: String,
    expires: Instant,
}

impl Token {
    pub fn is_good(&self) -> bool {
        Instant::now() < self.expires
    }
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Asks at `realm`, the token server of `registry`, for a token that is good for `scopes`. An error is final: the request has
/// been repeated already.
pub(crate) fn get(
    http: &Client,
    registry: Registry,
    realm: &str,
    service: Option<&str>,
    scopes: &[String],
    credential: Option<&Credential>,
) -> Result<Token, RegistryError> {
    let mut attempt = 1;
    loop {
        match once(http, registry, realm, service, scopes, credential, attempt) {
            Err(Failed::Passing(_, pause)) if attempt < ATTEMPTS => retry::wait(realm, pause, registry.note),
            Ok(token) => return Ok(token),
            Err(Failed::Passing(error, _) | Failed::Final(error)) => return Err(error),
        }
        attempt += 1;
    }
}

enum Failed {
    /// Worth another attempt after this pause.
    Passing(RegistryError, Duration),
    Final(RegistryError),
}

impl From<RegistryError> for Failed {
    fn from(error: RegistryError) -> Self {
        Self::Final(error)
    }
}

fn once(
    http: &Client,
    registry: Registry,
    realm: &str,
    service: Option<&str>,
    scopes: &[String],
    credential: Option<&Credential>,
    attempt: u32,
) -> Result<Token, Failed> {
    let failed = |source: HttpError| {
        let passing = !source.is_final();
        let error = RegistryError::Token { realm: realm.to_owned(), source };
        if passing { Failed::Passing(error, pause(attempt)) } else { Failed::Final(error) }
    };
    let invalid = || RegistryError::Realm { realm: realm.to_owned() };
    if !is_url(realm) {
        return Err(invalid().into());
    }
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let request = match credential {
        // A token that stands for the password is exchanged by POST (OAuth 2).
        Some(Credential::Identity(identity)) => {
            let mut form = format!("grant_type=refresh_token&client_id=minirun&refresh_token={}", encode(identity));
            form += &format!("&service={}&scope={}", encode(service.unwrap_or_default()), encode(&scopes.join(" ")));
            let request = Request::post(realm).header("content-type", "application/x-www-form-urlencoded");
            request.body(form)
        }
        _ => {
            let mut query: Vec<String> = service.iter().map(|service| format!("service={}", encode(service))).collect();
            query.extend(scopes.iter().map(|scope| format!("scope={}", encode(scope))));
            let joint = if realm.contains('?') { '&' } else { '?' };
            let mut request = Request::get(format!("{realm}{joint}{}", query.join("&")));
            if let Some(Credential::Password { user, password }) = credential {
                request = request.header("authorization", basic(user, password));
            }
            request.body(String::new())
        }
    };
    let request = request.map_err(|_| invalid())?;
    let sent = if request.method() == "GET" { http.send(request.map(|_| ())) } else { http.send(request) };
    let answer = sent.map_err(failed)?;
    let status = answer.status().as_u16();
    if matches!(status, 400 | 401 | 403) {
        let (registry, realm) = (registry.name.to_owned(), realm.to_owned());
        return Err(match credential {
            Some(Credential::Identity(_)) => RegistryError::Identity { registry, realm },
            _ => RegistryError::Login { registry, realm, user: credential.and_then(Credential::user) },
        }
        .into());
    }
    if status != 200 {
        let source = HttpError::Status { url: realm.to_owned(), status };
        let error = RegistryError::Token { realm: realm.to_owned(), source };
        return Err(match retry::pause_of(&answer, attempt) {
            Some(pause) => Failed::Passing(error, pause),
            None => Failed::Final(error),
        });
    }
    let body = text(answer, LONGEST).map_err(|source| failed(HttpError::Broken { url: realm.to_owned(), source }))?;
    let subject = || format!("the token of {realm}");
    let body = body.ok_or_else(|| RegistryError::Long { subject: subject(), longest: LONGEST })?;
    Ok(parse(&body).ok_or_else(invalid)?)
}

/// Parses the answer of a token server.
pub fn parse(body: &[u8]) -> Option<Token> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    // Some send `token`, some `access_token`, some both, and one of them empty.
    let value = [answer.token, answer.access_token].into_iter().flatten().find(|value| !value.is_empty())?;
    let seconds = answer.expires_in.unwrap_or(SHORTEST).max(SHORTEST) - MARGIN;
    Some(Token { value, expires: Instant::now() + Duration::from_secs(seconds.min(24 * 3600)) })
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
