//! Requests to one registry, with the authentication that it asks for, and with retries.

use super::challenge::{self, Challenge};
use super::retry::{ATTEMPTS, pause, pause_of, wait};
use super::token::{self, Token};
use super::way::Way;
use crate::http::{Client, HttpError, redirect};
use crate::registry::host::credential::Credential;
use crate::registry::{RegistryError, answer};
use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::time::Duration;
use ureq::http::request::Builder;
use ureq::http::{Method, Request, Response};
use ureq::{AsSendBody, Body, SendBody};

const MOST_REDIRECTS: usize = 10;

pub(crate) struct Session {
    /// Its name in references.
    pub registry: String,
    /// `https://registry-1.docker.io`
    pub base: String,
    http: Client,
    /// The client for other hosts, to which the registry redirects.
    outside: Client,
    credential: Option<Credential>,
    /// Is told of long waits.
    note: fn(&str),
    known: Mutex<Known>,
}

/// The state that requests share.
#[derive(Default)]
struct Known {
    challenge: Option<Challenge>,
    /// Tokens by their scopes.
    tokens: HashMap<String, Token>,
    /// The credential was refused, so requests go on without a login.
    anonymous: bool,
    /// The way in which it accepts blobs.
    way: Way,
}

/// The rights that a request needs: `repository:library/alpine:pull`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope(Vec<String>);

impl Scope {
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn pull(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull")])
    }

    pub(crate) fn catalog() -> Self {
        Self(vec!["registry:catalog:*".to_owned()])
    }

    pub(crate) fn push(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull,push")])
    }

    /// Adds the right to read another repository, which a mount from there needs.
    pub(crate) fn and_pull(mut self, repository: &str) -> Self {
        self.0.push(format!("repository:{repository}:pull"));
        self
    }
}

impl Session {
    pub(crate) fn new(
        registry: &str,
        base: String,
        http: Client,
        outside: Client,
        credential: Option<Credential>,
        note: fn(&str),
    ) -> Self {
        Self { registry: registry.to_owned(), base, http, outside, credential, note, known: Mutex::default() }
    }

    /// Returns the user of the login, if there is one.
    pub(crate) fn user(&self) -> Option<String> {
        self.credential.as_ref().and_then(Credential::user)
    }

    /// Returns the URL of a path below `/v2/`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v2/{path}", self.base)
    }

    /// Sends a request without a body or with one that can be sent again.
    pub(crate) fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
        scope: &Scope,
    ) -> Result<Response<Body>, RegistryError> {
        let mut attempt = 1;
        loop {
            let builder = builder(method.clone(), url, headers);
            let result = match body {
                Some(bytes) => self.once(builder, url, bytes, scope),
                None => self.once(builder, url, (), scope),
            };
            match retry_after(&result, attempt) {
                Some(pause) => wait(&self.registry, pause, self.note),
                None => return result,
            }
            attempt += 1;
        }
    }

    /// Sends a request whose body is made while it is sent. There is no retry: only the caller knows whether the body can be
    /// made again.
    pub(crate) fn send_stream(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: SendBody<'_>,
        scope: &Scope,
    ) -> Result<Response<Body>, RegistryError> {
        let builder = self.authorized(builder(method, url, headers), url, scope)?;
        let was_told = says_who(&builder);
        let request = builder.body(body).map_err(|e| HttpError::reach(url, e.into()))?;
        let response = self.client(url).send(request)?;
        if response.status() == 401 && self.is_own(url) {
            self.learn(&response, was_told);
        }
        Ok(response)
    }

    /// Sends a GET and follows redirects. Other hosts get no login.
    pub(crate) fn get(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        scope: &Scope,
    ) -> Result<Response<Body>, RegistryError> {
        let mut response = self.send(Method::GET, url, headers, None, scope)?;
        let mut url = url.to_owned();
        for _ in 0..MOST_REDIRECTS {
            let Some(next) = redirect(&url, &response) else { return Ok(response) };
            response = self.send(Method::GET, &next, headers, None, scope)?;
            url = next;
        }
        match redirect(&url, &response) {
            Some(_) => Err(RegistryError::Redirects { url, times: MOST_REDIRECTS }),
            None => Ok(response),
        }
    }

    /// Reads a whole document with GET. If the connection breaks off, it begins again.
    pub(crate) fn document(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        scope: &Scope,
        longest: u64,
        subject: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut attempt = 1;
        loop {
            let response = self.get(url, headers, scope)?;
            if response.status() != 200 {
                return Err(RegistryError::refused(subject, answer::refusal(response)));
            }
            match answer::text(response, longest) {
                Ok(Some(bytes)) => return Ok(bytes),
                Ok(None) => return Err(RegistryError::Long { subject: subject.to_owned(), longest }),
                Err(error) if attempt < ATTEMPTS && error.kind() != io::ErrorKind::Unsupported => {
                    std::thread::sleep(pause(attempt))
                }
                Err(source) => return Err(HttpError::Broken { url: url.to_owned(), source }.into()),
            }
            attempt += 1;
        }
    }

    /// Returns the client for a URL. Another host gets no client certificate, and must have one that this host trusts.
    fn client(&self, url: &str) -> &Client {
        if self.is_own(url) { &self.http } else { &self.outside }
    }

    fn is_own(&self, url: &str) -> bool {
        url.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Makes one attempt, and a second one if the first was answered with a challenge.
    fn once<B: AsSendBody + Copy>(
        &self,
        builder: Builder,
        url: &str,
        body: B,
        scope: &Scope,
    ) -> Result<Response<Body>, RegistryError> {
        let unsigned = builder.body(()).map_err(|e| HttpError::reach(url, e.into()))?;
        let with_body = |builder: Builder| builder.body(body).map_err(|e| HttpError::reach(url, e.into()));
        let again = || {
            let mut builder = Request::builder().method(unsigned.method()).uri(unsigned.uri());
            for (name, value) in unsigned.headers() {
                builder = builder.header(name, value);
            }
            builder
        };
        let first = self.authorized(again(), url, scope)?;
        let was_told = says_who(&first);
        let response = self.client(url).send(with_body(first)?)?;
        if response.status() != 401 {
            return Ok(response);
        }
        let second = if !self.is_own(url) {
            match self.token_elsewhere(url, &response)? {
                Some(token) => again().header("authorization", format!("Bearer {}", token.value)),
                None => return Ok(response),
            }
        } else if self.learn(&response, was_told) {
            self.authorized(again(), url, scope)?
        } else {
            return Ok(response);
        };
        Ok(self.client(url).send(with_body(second)?)?)
    }

    /// Gets a token for another host, to which a redirect led. No login is sent: anybody could have written the redirect.
    fn token_elsewhere(&self, url: &str, response: &Response<Body>) -> Result<Option<Token>, RegistryError> {
        match challenge::choose(&asked_for(response)) {
            Some(Challenge::Bearer { realm, service, scope })
                if realm.starts_with("https://") || url.starts_with("http://") =>
            {
                let scopes: Vec<String> = scope.into_iter().collect();
                token::get(&self.outside, self.server(), &realm, service.as_deref(), &scopes, None).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Keeps the challenge of an answer. Returns `false` if a second attempt would be the same.
    fn learn(&self, response: &Response<Body>, was_told: bool) -> bool {
        let Some(challenge) = challenge::choose(&asked_for(response)) else { return false };
        let mut known = self.known();
        let has_token = matches!(self.credential, Some(Credential::Token(_)));
        if (challenge == Challenge::Basic || has_token) && (self.credential.is_none() || was_told) {
            return false;
        }
        known.tokens.clear();
        known.challenge = Some(challenge);
        true
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Adds the authentication that the registry has asked for, if it has.
    fn authorized(&self, builder: Builder, url: &str, scope: &Scope) -> Result<Builder, RegistryError> {
        if !self.is_own(url) {
            return Ok(builder);
        }
        // Held while the token is fetched: other threads need the same one.
        let mut known = self.known();
        match known.challenge.clone() {
            None => Ok(builder),
            Some(Challenge::Basic) => match &self.credential {
                Some(Credential::Password { user, password }) => {
                    Ok(builder.header("authorization", token::basic(user, password)))
                }
                _ => Ok(builder),
            },
            Some(Challenge::Bearer { realm, service, scope: asked }) => {
                if let Some(Credential::Token(token)) = &self.credential {
                    return Ok(builder.header("authorization", format!("Bearer {token}")));
                }
                // The registry's own scope may be wider than the request's.
                let scopes = if scope.0.is_empty() { asked.into_iter().collect() } else { scope.0.clone() };
                let key = scopes.join(" ");
                if !known.tokens.get(&key).is_some_and(Token::is_good) {
                    let token = self.token(&mut known, &realm, service.as_deref(), &scopes)?;
                    known.tokens.insert(key.clone(), token);
                }
                match known.tokens.get(&key) {
                    Some(token) => Ok(builder.header("authorization", format!("Bearer {}", token.value))),
                    None => Ok(builder),
                }
            }
        }
    }

    fn token(
        &self,
        known: &mut Known,
        realm: &str,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<Token, RegistryError> {
        // A password for a registry over TLS must not be sent without TLS.
        let exposed = self.base.starts_with("https://") && !realm.starts_with("https://");
        let credential = self.credential.as_ref().filter(|_| !known.anonymous && !exposed);
        let http = self.client(realm);
        match token::get(http, self.server(), realm, service, scopes, credential) {
            // A public repository needs no login.
            Err(RegistryError::Login { .. } | RegistryError::Identity { .. })
                if credential.is_some() && !scopes.is_empty() && scopes.iter().all(|s| s.ends_with(":pull")) =>
            {
                known.anonymous = true;
                token::get(http, self.server(), realm, service, scopes, None)
            }
            other => other,
        }
    }

    fn server(&self) -> token::Registry<'_> {
        token::Registry { name: &self.registry, note: self.note }
    }

    pub(crate) fn way(&self) -> Way {
        self.known().way
    }

    /// Switches to another way of sending blobs, unless another thread has switched already.
    pub(crate) fn change_way(&self, from: Way, to: Way) {
        let mut known = self.known();
        if known.way == from {
            known.way = to;
        }
    }

    /// Whether the login was refused.
    pub(crate) fn is_login_refused(&self) -> bool {
        self.known().anonymous
    }
}

/// Returns the challenges of an answer with status 401.
fn asked_for(response: &Response<Body>) -> Vec<&str> {
    response.headers().get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok()).collect()
}

fn says_who(request: &Builder) -> bool {
    request.headers_ref().is_some_and(|headers| headers.contains_key("authorization"))
}

fn builder(method: Method, url: &str, headers: &[(&str, &str)]) -> Builder {
    headers
        .iter()
        .fold(Request::builder().method(method).uri(url), |builder, (name, value)| builder.header(*name, *value))
}

/// Returns the pause before the next attempt, or `None` if there should be none.
fn retry_after(result: &Result<Response<Body>, RegistryError>, attempt: u32) -> Option<Duration> {
    if attempt >= ATTEMPTS {
        return None;
    }
    match result {
        Err(RegistryError::Http(error)) => (!error.is_final()).then(|| pause(attempt)),
        Err(_) => None,
        Ok(response) => pause_of(response, attempt),
    }
}
