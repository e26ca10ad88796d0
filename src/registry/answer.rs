//! The answers of a registry: headers, documents, refusals.

use jiff::Timestamp;
use serde::Deserialize;
use std::io::{self, Read};
use std::time::Duration;
use ureq::Body;
use ureq::http::Response;

/// The longest body of a refusal that is read.
const LONGEST: u64 = 64 << 10;

#[derive(Default, Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<One>,
    /// The message of proxies in front of registries, which send no list.
    message: Option<String>,
}

#[derive(Default, Deserialize)]
struct One {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// A refusal: its status, and the registry's own code and message.
#[derive(Debug, Clone, Default)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub limit: Option<Limit>,
}

/// A limit on pulls, from the headers `ratelimit-limit: 100;w=21600` and `retry-after`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limit {
    pub pulls: Option<u64>,
    pub seconds: Option<u64>,
    pub again_in: Option<u64>,
}

pub(crate) fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Returns the `Content-Encoding` of an answer, unless it leaves the content as it is. No request asks for one, but a cache
/// in front of a registry may use one all the same.
pub(crate) fn encoding(response: &Response<Body>) -> Option<&str> {
    header(response, "content-encoding").map(str::trim).filter(|encoding| !["", "identity"].contains(encoding))
}

/// Reads the body of a document, compressed by gzip or not. Returns `None` if it is longer than it may be.
pub(crate) fn text(response: Response<Body>, longest: u64) -> io::Result<Option<Vec<u8>>> {
    let is_gzip = match encoding(&response) {
        None => false,
        Some("gzip" | "x-gzip") => true,
        Some(other) => return Err(io::Error::new(io::ErrorKind::Unsupported, unasked(other))),
    };
    let body = response.into_body().into_reader();
    let mut bytes = Vec::new();
    if is_gzip {
        flate2::read::MultiGzDecoder::new(body).take(longest + 1).read_to_end(&mut bytes)?;
    } else {
        body.take(longest + 1).read_to_end(&mut bytes)?;
    }
    Ok((bytes.len() as u64 <= longest).then_some(bytes))
}

/// Says of an answer why it cannot be read.
pub(crate) fn unasked(encoding: &str) -> String {
    format!("the answer has the Content-Encoding {}, which was not asked for", plain(encoding.to_owned()))
}

pub(crate) fn refusal(response: Response<Body>) -> Refusal {
    let status = response.status().as_u16();
    let limit = (status == 429).then(|| limit(|name| header(&response, name).map(str::to_owned)));
    let elsewhere = response.status().is_redirection().then(|| header(&response, "location").map(str::to_owned));
    let body = text(response, LONGEST).ok().flatten().unwrap_or_default();
    let (code, mut message) = words(&body);
    if let Some(target) = elsewhere.flatten() {
        message = plain(format!("it redirects to `{target}`, which is not followed"));
    }
    Refusal { status, code, message, limit }
}

/// Returns the code and the message in the body of a refusal, which need not be JSON.
pub fn words(body: &[u8]) -> (String, String) {
    let parsed: Errors = serde_json::from_slice(body).unwrap_or_default();
    let first = parsed.errors.into_iter().next().unwrap_or_default();
    let message = if first.message.is_empty() { parsed.message.unwrap_or_default() } else { first.message };
    (plain(first.code), plain(message))
}

/// Cleans text of a stranger for a terminal.
fn plain(text: String) -> String {
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// Reads `Retry-After`: a number of seconds, or a date (RFC 9110, section 10.2.3).
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(header).ok()?.timestamp();
    Some(Duration::from_secs(u64::try_from(date.as_second() - now.as_second()).unwrap_or(0)))
}

fn limit(header: impl Fn(&str) -> Option<String>) -> Limit {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let limit = header("ratelimit-limit").unwrap_or_default();
    let (pulls, window) = limit.split_once(';').unwrap_or((&limit, ""));
    Limit {
        pulls: number(pulls),
        seconds: window.trim().strip_prefix("w=").and_then(number),
        again_in: header("retry-after")
            .and_then(|text| retry_after(&text, Timestamp::now()))
            .map(|wait| wait.as_secs()),
    }
}

impl Refusal {
    /// Returns the registry's words, or at least the status.
    pub fn words(&self) -> String {
        match (self.code.is_empty(), self.message.is_empty()) {
            (false, false) => format!("{}: {}", self.code.to_lowercase().replace('_', " "), self.message),
            (false, true) => self.code.to_lowercase().replace('_', " "),
            (true, false) => self.message.clone(),
            (true, true) => format!("status {}", self.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_back() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        let wait = |header| retry_after(header, now).map(|wait| wait.as_secs());
        assert_eq!(wait(" 120 "), Some(120));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(wait("Sun, 06 Nov 1994 08:40:37 GMT"), Some(0));
        for nonsense in ["", "-1", "soon", "99999999999999999999999", "Sun, 99 Nov 1994"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
    }

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
