//! A blob on its way into a repository: there already, mounted from another repository, or sent as it is made, and where the
//! connection is cut, sent on from where the registry says that it is.

use super::answer::{self, header};
use super::session::{ATTEMPTS, Scope, Session, pause};
use super::{Progress, RegistryError, State};
use crate::http::{HttpError, resolve};
use crate::image::digest::{Digest, Hasher};
use crate::image::layer::Blob;
use std::io::{self, Read};
use ureq::http::{Method, Response};
use ureq::{Body, SendBody};

/// Having got so far since the last cut, it is as if there had been none.
const HEADWAY: u64 = 256 << 10;
const REPORT: u64 = 256 << 10;

/// A repository that is written to.
pub struct Target<'a> {
    pub session: &'a Session,
    pub repository: &'a str,
    pub progress: &'a dyn Progress,
}

/// What is sent: made anew for each attempt, the same bytes each time.
pub trait Content: Sync {
    /// What it is called in messages.
    fn subject(&self) -> String;

    /// How the progress calls it, if it tells of it at all.
    fn id(&self) -> Option<&str>;

    /// About how long it is.
    fn total(&self) -> u64;

    /// Hands a stream of it to `use_it`.
    fn with(&self, use_it: &mut dyn FnMut(&mut dyn Read)) -> Result<(), RegistryError>;
}

impl Target<'_> {
    fn scope(&self) -> Scope {
        Scope::push(self.repository)
    }

    /// The blob is in the repository.
    pub fn has(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let url = self.session.url(&format!("{}/blobs/{digest}", self.repository));
        let response = self.session.send(Method::HEAD, &url, &[], None, &self.scope())?;
        // Some registries send even this on to where the blob lies, and then it is there.
        Ok(response.status().is_success() || response.status().is_redirection())
    }

    /// Makes the registry use a blob of another repository of its own. `false`: it does not.
    pub fn mount(&self, digest: &Digest, from: &str) -> Result<bool, RegistryError> {
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

    /// Sends a blob, and gives what it was.
    pub fn send(&self, content: &dyn Content, media_type: &str) -> Result<Blob, RegistryError> {
        let mut url = self.start(content)?;
        let (mut at, mut cuts, mut cut_at) = (0, 0, 0);
        loop {
            let sent = self.attempt(&url, at, content);
            let cause = match sent.and_then(|sent| self.finish(&sent).map(|()| sent)) {
                Ok(sent) => {
                    return Ok(Blob { digest: sent.digest, size: sent.size, media_type: media_type.to_owned() });
                }
                Err(RegistryError::Http(error)) if !error.is_final() => RegistryError::Http(error),
                Err(RegistryError::Refused { refusal, .. })
                    // Of an upload in parts, the registry may have got one twice: then it is made anew.
                    if is_passing(refusal.status) || at > 0 && refusal.status == 400 =>
                {
                    refusal.into_error(&content.subject())
                }
                Err(error) => return Err(error),
            };
            let reached = self.reached(&url);
            if let Ok(Some((next, offset))) = reached {
                (url, at) = (next, offset);
            } else {
                (url, at) = (self.start(content)?, 0);
            }
            if at >= cut_at + HEADWAY {
                cuts = 0;
            }
            (cuts, cut_at) = (cuts + 1, at);
            if cuts >= ATTEMPTS {
                return Err(cause);
            }
            std::thread::sleep(pause(cuts));
        }
    }

    /// Begins an upload, and gives its address.
    fn start(&self, content: &dyn Content) -> Result<String, RegistryError> {
        let url = self.session.url(&format!("{}/blobs/uploads/", self.repository));
        let response = self.session.send(Method::POST, &url, &[], Some(&[]), &self.scope())?;
        match (response.status().as_u16(), self.location(&url, &response)) {
            (202, Some(location)) => Ok(location),
            (202, None) => Err(RegistryError::NoLocation { url }),
            _ => Err(answer::refusal(response).into_error(&content.subject())),
        }
    }

    fn attempt(&self, url: &str, at: u64, content: &dyn Content) -> Result<Sent, RegistryError> {
        let mut result = None;
        content.with(&mut |stream| {
            let (id, total) = (content.id(), content.total());
            let mut source = Source {
                stream,
                hasher: Hasher::default(),
                at: 0,
                reported: 0,
                failure: None,
                tell: &|done| {
                    if let Some(id) = id {
                        self.progress.layer(id, State::Pushing { done, total: total.max(done) });
                    }
                },
            };
            // What the registry has already is made again, for the digest of the whole.
            let skipped = io::copy(&mut (&mut source).take(at), &mut io::sink());
            let headers = [("content-type", "application/octet-stream")];
            let sent = match skipped {
                Ok(_) => {
                    let body = SendBody::from_reader(&mut source);
                    self.session.send_stream(Method::PATCH, url, &headers, body, &self.scope())
                }
                Err(source) => Err(HttpError::Broken { url: url.to_owned(), source }.into()),
            };
            let failure = source.failure.take();
            let (digest, size) = (source.hasher.finish(), source.at);
            result = Some(match (failure, sent) {
                (Some(source), _) => Err(RegistryError::Content { subject: content.subject(), source }),
                (None, sent) => sent.map(|response| (response, digest, size)),
            });
        })?;
        let (response, digest, size) = result.unwrap_or_else(|| {
            Err(RegistryError::Content { subject: content.subject(), source: io::ErrorKind::UnexpectedEof.into() })
        })?;
        match (response.status().as_u16(), self.location(url, &response)) {
            (202 | 201 | 204, Some(location)) => Ok(Sent { url: location, digest, size }),
            (202 | 201 | 204, None) => Ok(Sent { url: url.to_owned(), digest, size }),
            _ => Err(answer::refusal(response).into_error(&content.subject())),
        }
    }

    /// How much of an upload has arrived, and where to go on. `None`: the registry knows nothing of it any more.
    fn reached(&self, url: &str) -> Result<Option<(String, u64)>, RegistryError> {
        let response = self.session.send(Method::GET, url, &[], None, &self.scope())?;
        if !response.status().is_success() {
            return Ok(None);
        }
        let Some(range) = header(&response, "range") else { return Ok(None) };
        let Some(last) = range.rsplit('-').next().and_then(|n| n.trim().parse::<u64>().ok()) else { return Ok(None) };
        // `0-0` is said of nothing, too; of one byte it is wrong, and then the digest tells.
        let offset = if last == 0 { 0 } else { last + 1 };
        let url = self.location(url, &response).unwrap_or_else(|| url.to_owned());
        Ok(Some((url, offset)))
    }

    fn finish(&self, sent: &Sent) -> Result<(), RegistryError> {
        let joint = if sent.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}digest={}", sent.url, sent.digest);
        let response = self.session.send(Method::PUT, &url, &[], Some(&[]), &self.scope())?;
        // An answer may have been lost, and the attempt after it finds the upload ended.
        if response.status().is_success() || response.status() == 404 && self.has(&sent.digest)? {
            return Ok(());
        }
        Err(answer::refusal(response).into_error(&format!("blob {}", sent.digest)))
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

struct Sent {
    url: String,
    digest: Digest,
    size: u64,
}

/// Worth another attempt. A token that expired on the way is fetched anew.
fn is_passing(status: u16) -> bool {
    matches!(status, 401 | 408 | 416 | 429 | 500 | 502 | 503 | 504)
}

/// Hashes and counts what is sent, and keeps what goes wrong on this side apart from what the network does.
struct Source<'a> {
    stream: &'a mut dyn Read,
    hasher: Hasher,
    at: u64,
    reported: u64,
    failure: Option<io::Error>,
    tell: &'a dyn Fn(u64),
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
pub struct Bytes<'a> {
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

    fn with(&self, use_it: &mut dyn FnMut(&mut dyn Read)) -> Result<(), RegistryError> {
        let mut bytes = self.bytes;
        use_it(&mut bytes);
        Ok(())
    }
}
