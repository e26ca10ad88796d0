//! A file from a URL.

use super::client::{BUFFER, Client, Trust};
use super::error::HttpError;
use super::url::redirect;
use crate::sys::On;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use ureq::http::{Method, Request};

/// An answer with a body that can be read once.
pub(crate) struct Fetched {
    pub reader: Box<dyn Read + Send>,
    pub last_modified: Option<String>,
    pub etag: Option<String>,
}

impl Fetched {
    /// Returns the strong ETag, or else the time of the last change: a value that differs if the content does.
    pub(crate) fn validator(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| !tag.starts_with("W/")).or(self.last_modified.as_deref())
    }
}

const MOST_REDIRECTS: usize = 10;

/// Sends a GET and follows redirects.
pub(crate) fn fetch(url: &str) -> Result<Fetched, HttpError> {
    request(Method::GET, url)
}

/// Sends a HEAD and follows redirects.
pub(crate) fn look(url: &str) -> Result<Fetched, HttpError> {
    request(Method::HEAD, url)
}

fn request(method: Method, url: &str) -> Result<Fetched, HttpError> {
    let client = Client::new(&Trust::default());
    let mut url = url.to_owned();
    for _ in 0..MOST_REDIRECTS {
        let request = Request::builder()
            .method(method.clone())
            .uri(&url)
            .body(())
            .map_err(|e| HttpError::reach(&url, e.into()))?;
        let response = client.send(request)?;
        match redirect(&url, &response) {
            Some(next) => url = next,
            None if response.status().is_success() => {
                let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
                let (last_modified, etag) = (header("last-modified"), header("etag"));
                let reader = Box::new(response.into_body().into_reader());
                return Ok(Fetched { reader, last_modified, etag });
            }
            None => return Err(HttpError::Status { url, status: response.status().as_u16() }),
        }
    }
    Err(HttpError::reach(&url, ureq::Error::TooManyRedirects))
}

/// Fetches a URL into a new file.
pub(crate) fn fetch_to(url: &str, path: &Path) -> Result<Fetched, HttpError> {
    let mut fetched = fetch(url)?;
    let mut file = File::create_new(path).on("open", path)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let broken = |source| HttpError::Broken { url: url.to_owned(), source };
        let n = match fetched.reader.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(broken)?,
        };
        if n == 0 {
            break;
        }
        io::Write::write_all(&mut file, &buffer[..n]).on("write", path)?;
    }
    fetched.reader = Box::new(io::empty());
    Ok(fetched)
}
