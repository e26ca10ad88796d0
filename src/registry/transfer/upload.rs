//! A blob on its way into a repository: there already, mounted from another repository, or sent while it is made, in the way
//! that the registry accepts: in one stream, in chunks, or as a whole. After a cut it goes on from the offset that the
//! registry names.

use super::download::HEADWAY;
use crate::http::{HttpError, resolve};
use crate::image::name::digest::{Digest, Hasher};
use crate::image::stored::layer::Blob;
use crate::registry::answer::{self, header};
use crate::registry::session::retry::{ATTEMPTS, LONGEST_PAUSE, pause};
use crate::registry::session::way::Way;
use crate::registry::session::{Scope, Session};
use crate::registry::{Progress, RegistryError, State};
use std::io::{self, Read};
use std::time::Duration;
use ureq::http::{Method, Response};
use ureq::{Body, SendBody};

const REPORT: u64 = 256 << 10;
/// If a registry wants longer chunks than this, blobs are sent as a whole.
const LONGEST_CHUNK: u64 = 64 << 20;

/// A repository that a blob is sent to.
pub(crate) struct Target<'a> {
    pub session: &'a Session,
    pub repository: &'a str,
    pub progress: &'a dyn Progress,
}

/// The content of a blob. It is made anew for each attempt, with the same bytes.
pub(crate) trait Content: Sync {
    /// Returns its name in messages.
    fn subject(&self) -> String;

    /// Returns its name in the progress, if it is shown there.
    fn id(&self) -> Option<&str>;

    /// Returns its approximate length.
    fn total(&self) -> u64;

    /// Returns its digest and length, if they are known before it is made.
    fn known(&self) -> Option<(Digest, u64)>;

    /// Hands a stream of it to `use_it`.
    fn with(&self, use_it: &mut dyn FnMut(&mut dyn Read)) -> Result<(), RegistryError>;
}

/// An upload that the registry has begun.
struct Upload {
    url: String,
    /// The bytes that had arrived before this attempt.
    at: u64,
    /// `OCI-Chunk-Min-Length`
    shortest: u64,
}

/// The next step after a failed attempt.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    /// Once more, from where the registry is.
    GoOn,
    /// Once more, from the beginning.
    Anew,
    /// In another way.
    Change(Way),
    End,
}

impl Target<'_> {
    fn scope(&self) -> Scope {
        Scope::push(self.repository)
    }

    /// Whether the blob is in the repository.
    pub(crate) fn has(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let url = self.session.url(&format!("{}/blobs/{digest}", self.repository));
        let response = self.session.send(Method::HEAD, &url, &[], None, &self.scope())?;
        // Some registries send even this on to where the blob lies, and then it is there.
        Ok(response.status().is_success() || response.status().is_redirection())
    }

    /// Mounts a blob from another repository of the registry. Returns `false` if the registry does not do it.
    pub(crate) fn mount(&self, digest: &Digest, from: &str) -> Result<bool, RegistryError> {
        let url = self.session.url(&format!("{}/blobs/uploads/?mount={digest}&from={from}", self.repository));
        let scope = self.scope().and_pull(from);
        let response = match self.session.send(Method::POST, &url, &[], Some(&[]), &scope) {
            // Somebody who may not read there may still write here.
            Err(RegistryError::Login { .. }) => return Ok(false),
            other => other?,
        };
        if response.status() == 202
            && let Some(url) = self.location(&url, &response)
        {
            // The registry has begun an upload instead, which is of no use before it is known whether there is another
            // repository to mount from.
            let _ = self.session.send(Method::DELETE, &url, &[], None, &self.scope());
        }
        Ok(response.status() == 201)
    }

    /// Sends a blob. Returns its digest and size.
    pub(crate) fn send(&self, content: &dyn Content, media_type: &str) -> Result<Blob, RegistryError> {
        let mut upload = self.start(content)?;
        let (mut cuts, mut cut_at) = (0, 0);
        loop {
            let way = self.session.way();
            let sent = match way {
                Way::Streamed => self.stream(&upload, content),
                Way::Chunked { longest } => self.chunks(&upload, longest, content),
                Way::Whole => self.whole(&upload, content),
            };
            let cause = match sent {
                Ok((digest, size)) => return Ok(Blob { digest, size, media_type: media_type.to_owned() }),
                Err(error) => error,
            };
            let then = judge(&cause, way, upload.at, cuts);
            let reached = match then {
                Then::End => return Err(cause),
                Then::GoOn if way != Way::Whole => self.reached(&upload).ok().flatten(),
                _ => None,
            };
            upload = match reached {
                Some(reached) => reached,
                None => self.start(content)?,
            };
            if let Then::Change(next) = then {
                self.session.change_way(way, next);
                continue;
            }
            cuts = if upload.at >= cut_at + HEADWAY { 1 } else { cuts + 1 };
            cut_at = upload.at;
            if cuts >= ATTEMPTS {
                return Err(cause);
            }
            std::thread::sleep(limited(&cause).unwrap_or_else(|| pause(cuts)));
        }
    }

    /// Begins an upload.
    fn start(&self, content: &dyn Content) -> Result<Upload, RegistryError> {
        let url = self.session.url(&format!("{}/blobs/uploads/", self.repository));
        let response = self.session.send(Method::POST, &url, &[], Some(&[]), &self.scope())?;
        let shortest = header(&response, "oci-chunk-min-length").and_then(|n| n.trim().parse().ok()).unwrap_or(0);
        match (response.status().as_u16(), self.location(&url, &response)) {
            (202, Some(url)) => Ok(Upload { url, at: 0, shortest }),
            (202, None) => Err(RegistryError::NoLocation { url }),
            _ => Err(RegistryError::refused(&content.subject(), answer::refusal(response))),
        }
    }

    /// Sends the missing part in one request.
    fn stream(&self, upload: &Upload, content: &dyn Content) -> Result<(Digest, u64), RegistryError> {
        let (url, digest, size) = self.made(content, |source| {
            source.skip(&upload.url, upload.at)?;
            let headers = [("content-type", "application/octet-stream")];
            let body = SendBody::from_reader(source);
            let response = self.session.send_stream(Method::PATCH, &upload.url, &headers, body, &self.scope())?;
            self.accepted(&upload.url, response, content)
        })?;
        self.finish(&url, &digest)?;
        Ok((digest, size))
    }

    /// Sends the missing part in chunks, each with its range.
    fn chunks(&self, upload: &Upload, longest: u64, content: &dyn Content) -> Result<(Digest, u64), RegistryError> {
        // No shorter than the registry wants them, whatever else it said.
        let length = longest.max(upload.shortest);
        if length > LONGEST_CHUNK {
            return self.whole(upload, content);
        }
        let (url, digest, size) = self.made(content, |source| {
            source.skip(&upload.url, upload.at)?;
            let (mut url, mut chunk) = (upload.url.clone(), Vec::new());
            loop {
                let at = source.at;
                chunk.clear();
                let read = source.by_ref().take(length).read_to_end(&mut chunk);
                let n = read.map_err(|source| HttpError::Broken { url: url.clone(), source })?;
                if n == 0 {
                    return Ok(url);
                }
                let (range, length) = (format!("{at}-{}", source.at - 1), n.to_string());
                let headers = [
                    ("content-type", "application/octet-stream"),
                    ("content-length", length.as_str()),
                    ("content-range", range.as_str()),
                ];
                let mut piece = &chunk[..];
                let body = SendBody::from_reader(&mut piece);
                let response = self.session.send_stream(Method::PATCH, &url, &headers, body, &self.scope())?;
                url = self.accepted(&url, response, content)?;
            }
        })?;
        self.finish(&url, &digest)?;
        Ok((digest, size))
    }

    /// Sends the whole blob in the request that ends the upload. A layer that is compressed on its way out is compressed twice.
    fn whole(&self, upload: &Upload, content: &dyn Content) -> Result<(Digest, u64), RegistryError> {
        let (digest, size) = match content.known() {
            Some(known) => known,
            None => {
                let ((), digest, size) = self.made(content, |source| source.skip(&upload.url, u64::MAX))?;
                (digest, size)
            }
        };
        let url = ended_by(&upload.url, &digest);
        let ((), found, _) = self.made(content, |source| {
            let length = size.to_string();
            let headers = [("content-type", "application/octet-stream"), ("content-length", length.as_str())];
            let body = SendBody::from_reader(source);
            let response = self.session.send_stream(Method::PUT, &url, &headers, body, &self.scope())?;
            self.accepted(&url, response, content).map(drop)
        })?;
        if found != digest {
            return Err(RegistryError::Digest { what: content.subject(), expected: digest, found });
        }
        Ok((digest, size))
    }

    /// Makes the content and hands it to `send`. Returns its result, with the digest and length of what was read.
    fn made<T>(
        &self,
        content: &dyn Content,
        mut send: impl FnMut(&mut Source) -> Result<T, RegistryError>,
    ) -> Result<(T, Digest, u64), RegistryError> {
        let mut result = None;
        content.with(&mut |stream| {
            let (id, total) = (content.id(), content.total());
            let tell = |done| {
                if let Some(id) = id {
                    self.progress.layer(id, State::Pushing { done, total: total.max(done) });
                }
            };
            let mut source =
                Source { stream, hasher: Hasher::default(), at: 0, reported: 0, failure: None, tell: &tell };
            let sent = send(&mut source);
            result = Some(match source.failure.take() {
                Some(failure) => Err(RegistryError::Content { subject: content.subject(), source: failure }),
                None => sent.map(|sent| (sent, source.hasher.finish(), source.at)),
            });
        })?;
        result.unwrap_or_else(|| {
            Err(RegistryError::Content { subject: content.subject(), source: io::ErrorKind::UnexpectedEof.into() })
        })
    }

    /// Returns the URL at which the upload goes on.
    fn accepted(&self, url: &str, response: Response<Body>, content: &dyn Content) -> Result<String, RegistryError> {
        match response.status().as_u16() {
            200..=299 => Ok(self.location(url, &response).unwrap_or_else(|| url.to_owned())),
            _ => Err(RegistryError::refused(&content.subject(), answer::refusal(response))),
        }
    }

    /// Asks how much of an upload has arrived. Returns `None` if the registry has forgotten the upload.
    fn reached(&self, upload: &Upload) -> Result<Option<Upload>, RegistryError> {
        let response = self.session.send(Method::GET, &upload.url, &[], None, &self.scope())?;
        if !response.status().is_success() {
            return Ok(None);
        }
        let Some(range) = header(&response, "range") else { return Ok(None) };
        let Some(last) = range.rsplit('-').next().and_then(|n| n.trim().parse::<u64>().ok()) else { return Ok(None) };
        // `0-0` is said of nothing, too; of one byte it is wrong, and then the digest tells.
        let at = if last == 0 { 0 } else { last.saturating_add(1) };
        let url = self.location(&upload.url, &response).unwrap_or_else(|| upload.url.clone());
        Ok(Some(Upload { url, at, ..*upload }))
    }

    fn finish(&self, url: &str, digest: &Digest) -> Result<(), RegistryError> {
        let response = self.session.send(Method::PUT, &ended_by(url, digest), &[], Some(&[]), &self.scope())?;
        // An answer may have been lost, and the attempt after it finds the upload ended.
        if response.status().is_success() || response.status() == 404 && self.has(digest)? {
            return Ok(());
        }
        Err(RegistryError::refused(&format!("blob {digest}"), answer::refusal(response)))
    }

    /// The address in an answer. A registry behind a proxy may not know that it is spoken to over TLS.
    fn location(&self, asked: &str, response: &Response<Body>) -> Option<String> {
        let location = resolve(asked, header(response, "location")?)?;
        let secured = self.session.base.strip_prefix("https://");
        match (location.strip_prefix("http://"), secured) {
            (Some(rest), Some(host)) if rest.split('/').next() == Some(host) => Some(format!("https://{rest}")),
            (Some(_), Some(_)) => None,
            _ => Some(location),
        }
    }
}

/// Returns the URL that ends an upload.
fn ended_by(url: &str, digest: &Digest) -> String {
    format!("{url}{}digest={digest}", if url.contains('?') { '&' } else { '?' })
}

/// Decides what to do after a failure. `at`: how much had arrived before the attempt.
fn judge(error: &RegistryError, way: Way, at: u64, cuts: u32) -> Then {
    let change = |too_long| way.next(too_long).map_or(Then::End, Then::Change);
    match error {
        // A server that refuses a stream may also just hang up.
        RegistryError::Http(error) if !error.is_final() && way == Way::Streamed && at == 0 && cuts >= 2 => {
            change(false)
        }
        RegistryError::Http(error) if !error.is_final() => Then::GoOn,
        RegistryError::Refused { refusal, .. } => match refusal.status {
            // A token that expired on the way is fetched anew.
            401 | 408 | 500 | 502..=504 => Then::GoOn,
            429 if limited(error).is_some_and(|limit| limit > LONGEST_PAUSE) => Then::End,
            429 => Then::GoOn,
            404 if refusal.code == "BLOB_UPLOAD_UNKNOWN" => Then::Anew,
            // The registry may have got a part twice, or half of one. If that happens again, the way is at fault.
            400 if refusal.code == "DIGEST_INVALID" && cuts < 2 => Then::Anew,
            400 | 404 | 416 if at > 0 => Then::Anew,
            413 => change(true),
            400 | 404 | 405 | 411 | 415 | 416 | 501 => change(false),
            _ => Then::End,
        },
        _ => Then::End,
    }
}

/// Returns how long a limit lasts, if the registry has said so.
fn limited(error: &RegistryError) -> Option<Duration> {
    let RegistryError::Refused { refusal, .. } = error else { return None };
    refusal.limit.as_ref()?.again_in.map(Duration::from_secs)
}

/// Hashes and counts the bytes that are sent, and keeps errors of this side apart from those of the network.
struct Source<'a> {
    stream: &'a mut dyn Read,
    hasher: Hasher,
    at: u64,
    reported: u64,
    failure: Option<io::Error>,
    tell: &'a dyn Fn(u64),
}

impl Source<'_> {
    /// Reads past bytes that the registry already has; the digest needs them.
    fn skip(&mut self, url: &str, bytes: u64) -> Result<(), RegistryError> {
        match io::copy(&mut self.take(bytes), &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(source) => Err(HttpError::Broken { url: url.to_owned(), source }.into()),
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match self.stream.read(buffer) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let told = io::Error::new(error.kind(), error.to_string());
                self.failure = Some(error);
                return Err(told);
            }
        };
        self.hasher.update(&buffer[..n]);
        self.at += n as u64;
        if self.at - self.reported >= REPORT {
            self.reported = self.at;
            (self.tell)(self.at);
        }
        Ok(n)
    }
}

/// A document, such as a config.
pub(crate) struct Bytes<'a> {
    pub what: &'a str,
    pub bytes: &'a [u8],
}

impl Content for Bytes<'_> {
    fn subject(&self) -> String {
        self.what.to_owned()
    }

    fn id(&self) -> Option<&str> {
        None
    }

    fn total(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn known(&self) -> Option<(Digest, u64)> {
        Some((Digest::of(self.bytes), self.bytes.len() as u64))
    }

    fn with(&self, use_it: &mut dyn FnMut(&mut dyn Read)) -> Result<(), RegistryError> {
        let mut bytes = self.bytes;
        use_it(&mut bytes);
        Ok(())
    }
}
