//! What a registry answers, in words.

use super::RegistryError;
use crate::http::HttpError;
use serde::Deserialize;
use std::io::{self, Read};
use ureq::Body;
use ureq::http::Response;

/// An explanation; what is longer explains nothing.
const LONGEST: u64 = 64 << 10;

#[derive(Default, Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<One>,
    /// Some proxies in front of registries know no list.
    message: Option<String>,
}

#[derive(Default, Deserialize)]
struct One {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// A refusal: its status, the registry's own code and words for it.
#[derive(Debug, Clone, Default)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub limit: Option<Limit>,
}

/// How often one may pull, as `ratelimit-limit: 100;w=21600` and `retry-after` tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limit {
    pub pulls: Option<u64>,
    pub seconds: Option<u64>,
    pub again_in: Option<u64>,
}

pub fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// The body, if it is no longer than it may be.
pub fn text(response: Response<Body>, longest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    response.into_body().into_reader().take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(io::Error::other(format!("it is longer than {longest} bytes")));
    }
    Ok(bytes)
}

pub fn refusal(response: Response<Body>) -> Refusal {
    let status = response.status().as_u16();
    let limit = (status == 429).then(|| limit(|name| header(&response, name).map(str::to_owned)));
    let body = text(response, LONGEST).unwrap_or_default();
    let parsed: Errors = serde_json::from_slice(&body).unwrap_or_default();
    let first = parsed.errors.into_iter().next().unwrap_or_default();
    let message = if first.message.is_empty() { parsed.message.unwrap_or_default() } else { first.message };
    // It goes to a terminal, and comes from anybody.
    let plain = |text: String| text.chars().filter(|c| !c.is_control()).take(500).collect();
    Refusal { status, code: plain(first.code), message: plain(message), limit }
}

fn limit(header: impl Fn(&str) -> Option<String>) -> Limit {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let limit = header("ratelimit-limit").unwrap_or_default();
    let (pulls, window) = limit.split_once(';').unwrap_or((&limit, ""));
    Limit {
        pulls: number(pulls),
        seconds: window.trim().strip_prefix("w=").and_then(number),
        again_in: header("retry-after").and_then(|text| number(&text)),
    }
}

impl Refusal {
    /// The registry's words, or at least the number.
    pub fn words(&self) -> String {
        match (self.code.is_empty(), self.message.is_empty()) {
            (false, false) => format!("{}: {}", self.code.to_lowercase().replace('_', " "), self.message),
            (false, true) => self.code.to_lowercase().replace('_', " "),
            (true, false) => self.message.clone(),
            (true, true) => format!("status {}", self.status),
        }
    }

    pub fn into_error(self, subject: &str) -> RegistryError {
        RegistryError::Refused { subject: subject.to_owned(), refusal: self }
    }
}

/// Documents are short; who sends more is up to no good.
pub fn document(response: Response<Body>, url: &str, longest: u64) -> Result<Vec<u8>, RegistryError> {
    text(response, longest).map_err(|source| HttpError::Broken { url: url.to_owned(), source }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_limit() {
        let headers = |name: &str| match name {
            "ratelimit-limit" => Some("100;w=21600".to_owned()),
            "retry-after" => Some("2580".to_owned()),
            _ => None,
        };
        assert_eq!(limit(headers), Limit { pulls: Some(100), seconds: Some(21600), again_in: Some(2580) });
        assert_eq!(limit(|_| None), Limit::default());
    }
}
