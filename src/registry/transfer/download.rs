//! A blob as a stream that outlives its connections: where one is cut, the next one goes on after the last byte.

use crate::http::{HttpError, is_url};
use crate::image::name::digest::Digest;
use crate::registry::answer;
use crate::registry::session::retry::{ATTEMPTS, pause};
use crate::registry::session::{Scope, Session};
use crate::registry::{Progress, RegistryError, State};
use std::io::{self, Read};
use std::sync::Mutex;

/// After so many bytes since the last cut, earlier cuts no longer count.
pub(crate) const HEADWAY: u64 = 8 << 10;
/// The bytes between two reports of progress.
const REPORT: u64 = 256 << 10;

pub(crate) struct Download<'a> {
    pub session: &'a Session,
    pub repository: &'a str,
    pub digest: Digest,
    pub size: u64,
    /// Other places of the blob that the manifest names.
    pub urls: &'a [String],
    /// Its name in the progress.
    pub id: String,
    pub progress: &'a dyn Progress,
    /// The first failure, since a reader can return an `io::Error` only.
    pub failure: &'a Mutex<Option<RegistryError>>,
}

impl<'a> Download<'a> {
    pub(crate) fn reader(self) -> Stream<'a> {
        Stream { download: self, body: None, at: 0, ranges: true, cuts: 0, cut_at: 0, reported: 0 }
    }
}

pub(crate) struct Stream<'a> {
    download: Download<'a>,
    body: Option<Box<dyn Read + Send>>,
    at: u64,
    /// The server has not refused a range yet.
    ranges: bool,
    /// Cuts without headway in between.
    cuts: u32,
    cut_at: u64,
    reported: u64,
}

impl Stream<'_> {
    fn connect(&mut self) -> Result<(), RegistryError> {
        let Download { session, repository, digest, size, .. } = &self.download;
        let url = session.url(&format!("{repository}/blobs/{digest}"));
        let range = format!("bytes={}-", self.at);
        let headers = [("range", range.as_str())];
        let headers = if self.at == 0 || !self.ranges { &[][..] } else { &headers[..] };
        let mut response = session.get(&url, headers, &Scope::pull(repository))?;
        for other in self.download.urls.iter().filter(|url| is_url(url)) {
            if response.status().is_success() || response.status() == 416 {
                break;
            }
            response = session.get(other, headers, &Scope::none())?;
        }
        let (skip, whole) = match response.status().as_u16() {
            // Of a server that knows no ranges, the part that is here is read once more.
            200 => (self.at, answer::header(&response, "content-length").and_then(|n| n.parse().ok())),
            206 if begins_at(answer::header(&response, "content-range"), self.at) => (0, None),
            // It gave a part before, or it would not be asked for one: the whole must do.
            416 if self.ranges && self.at > 0 => {
                self.ranges = false;
                return Ok(());
            }
            206 => return Err(HttpError::Broken { url, source: io::ErrorKind::InvalidData.into() }.into()),
            _ => return Err(RegistryError::refused(&format!("layer {digest}"), answer::refusal(response))),
        };
        // Some servers call a layer's own compression an encoding; its length tells them from those that compress it again.
        if let Some(encoding) = answer::encoding(&response)
            && response.status() == 200
            && whole != Some(*size)
        {
            let source = io::Error::new(io::ErrorKind::Unsupported, answer::unasked(encoding));
            return Err(HttpError::Broken { url, source }.into());
        }
        if let Some(found) = whole.filter(|found: &u64| found != size) {
            return Err(RegistryError::Size { digest: *digest, expected: *size, found });
        }
        let mut body: Box<dyn Read + Send> = Box::new(response.into_body().into_reader());
        let skipped = io::copy(&mut body.by_ref().take(skip), &mut io::sink());
        if skipped.is_ok_and(|n| n == skip) {
            self.body = Some(body);
        }
        Ok(())
    }

    /// Reads bytes of the blob. Returns 0 if the connection was cut.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, RegistryError> {
        if self.body.is_none() {
            self.connect()?;
        }
        let Some(body) = &mut self.body else { return Ok(0) };
        let left = usize::try_from(self.download.size - self.at).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        match body.read(&mut buffer[..most]) {
            Ok(n) => Ok(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => self.receive(buffer),
            Err(_) => Ok(0),
        }
    }

    fn report(&mut self, n: usize) {
        self.at += n as u64;
        let Download { size, id, progress, .. } = &self.download;
        if self.at - self.reported >= REPORT || self.at == *size {
            self.reported = self.at;
            progress.layer(id, State::Downloading { done: self.at, total: *size });
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.download.size || buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let error = match self.receive(buffer) {
                Ok(0) => None,
                Ok(n) => {
                    self.report(n);
                    return Ok(n);
                }
                Err(RegistryError::Http(error)) if !error.is_final() => Some(error.into()),
                Err(error) => return Err(self.fail(error)),
            };
            self.body = None;
            let headway = self.at - self.cut_at >= HEADWAY;
            (self.cuts, self.cut_at) = (if headway { 0 } else { self.cuts + 1 }, self.at);
            if headway {
                continue;
            }
            if self.cuts >= ATTEMPTS {
                let Download { digest, size, .. } = self.download;
                let cut = RegistryError::Cut { what: format!("layer {digest}"), at: self.at, size };
                return Err(self.fail(error.unwrap_or(cut)));
            }
            std::thread::sleep(pause(self.cuts));
        }
    }
}

impl Stream<'_> {
    fn fail(&self, error: RegistryError) -> io::Error {
        let told = io::Error::other(error.to_string());
        // The first failure is the cause of the others.
        self.download.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(error);
        told
    }
}

/// `Content-Range: bytes 100-199/200`
fn begins_at(header: Option<&str>, offset: u64) -> bool {
    let first = header.and_then(|h| h.trim().strip_prefix("bytes ")).and_then(|h| h.split('-').next());
    first.and_then(|n| n.trim().parse().ok()) == Some(offset)
}
