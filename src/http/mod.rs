//! HTTP without an async runtime and without the C library's name service: for registries, `import URL` and `ADD URL`.

mod dns;
mod proxy;

use crate::diag::{Diagnose, inner_of};
use crate::sys::{On, SysError};
use dns::Dns;
pub(crate) use proxy::is_within;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;
use ureq::http::{Method, Request, Response, Uri};
use ureq::tls::{ClientCert, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, AsSendBody, Body};

/// A host that does not answer at all.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);
/// A host that answered, and then fell silent.
const SILENCE: Duration = Duration::from_secs(60);
const BUFFER: usize = 128 << 10;

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("cannot reach {url}")]
    Reach { url: String, source: Box<ureq::Error> },
    #[error("cannot fetch {url}: the answer is {status}")]
    Status { url: String, status: u16 },
    #[error("the transfer of {url} broke off")]
    Broken { url: String, source: io::Error },
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for HttpError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Reach { url, source } => reach_hint(url, source),
            Self::Status { status: 404, .. } => Some("there is nothing at this address".into()),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}

impl HttpError {
    pub fn reach(url: &str, source: ureq::Error) -> Self {
        Self::Reach { url: url.to_owned(), source: Box::new(source) }
    }

    /// The other side does not speak TLS: it answers with something else, or hangs up.
    pub fn is_plain_http(&self) -> bool {
        let Self::Reach { source, .. } = self else { return false };
        match &**source {
            ureq::Error::Io(error) if hangs_up(error) => true,
            other => other.to_string().contains("InvalidContentType"),
        }
    }

    /// The other side shows a certificate that this host does not trust.
    pub fn is_untrusted(&self) -> bool {
        matches!(self, Self::Reach { source, .. } if is_untrusted(source))
    }

    /// Trying again is of no use: the address or its certificate is wrong.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Reach { source, .. } => {
                matches!(
                    **source,
                    ureq::Error::HostNotFound
                        | ureq::Error::BadUri(_)
                        | ureq::Error::Http(_)
                        | ureq::Error::TooManyRedirects
                        | ureq::Error::InvalidProxyUrl
                        | ureq::Error::ConnectProxyFailed(_)
                ) || is_untrusted(source)
                    || is_refused(source)
            }
            // An encoding that was not asked for.
            Self::Broken { source, .. } => source.kind() == io::ErrorKind::Unsupported,
            _ => true,
        }
    }
}

fn is_untrusted(error: &ureq::Error) -> bool {
    error.to_string().contains("invalid peer certificate")
}

fn hangs_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn is_refused(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

fn reach_hint(url: &str, error: &ureq::Error) -> Option<String> {
    let uri: Option<Uri> = url.parse().ok();
    let through = uri.as_ref().and_then(proxy::of).map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
    match error {
        _ if is_untrusted(error) => Some(
            "its certificate is not signed by an authority that this host trusts; name that authority's certificate in \
             SSL_CERT_FILE"
                .into(),
        ),
        ureq::Error::HostNotFound if through.is_none() => {
            Some("no name server knows this host; see /etc/resolv.conf".into())
        }
        _ if through.is_some() => {
            let through = through.unwrap_or_default();
            Some(format!("the way goes through the proxy {through}, as HTTP_PROXY or HTTPS_PROXY says; NO_PROXY names hosts to reach without it"))
        }
        _ if is_refused(error) => Some("nothing listens there".into()),
        _ => None,
    }
}

/// Whom to believe, and who to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    /// Believe anybody.
    pub anybody: bool,
    /// Certificates of authorities to believe beside those of this host, as PEM.
    pub authorities: Vec<Vec<u8>>,
    /// A certificate and its key to show, as PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Connections are kept and shared by the threads that use a clone of it.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
}

impl Client {
    pub(crate) fn new(trust: &Trust) -> Self {
        let mut tls = TlsConfig::builder().root_certs(roots(&trust.authorities)).disable_verification(trust.anybody);
        if let Some((chain, key)) = &trust.identity
            && let Ok(key) = ureq::tls::PrivateKey::from_pem(key)
        {
            let chain: Vec<_> = certificates(chain).collect();
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .proxy(None)
            .user_agent(concat!("minirun/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .timeout_connect(Some(CONNECT_PATIENCE))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .build();
        Self { agent: Agent::with_parts(config, DefaultConnector::default(), Dns) }
    }

    /// One request, whatever the status of its answer; redirects are the caller's.
    pub(crate) fn send(&self, request: Request<impl AsSendBody>) -> Result<Response<Body>, HttpError> {
        let url = request.uri().to_string();
        let proxy = proxy::of(request.uri());
        let request = self.agent.configure_request(request).proxy(proxy).build();
        self.agent.run(request).map_err(|source| HttpError::reach(&url, source))
    }
}

/// The authorities that this host trusts, among them perhaps its owner's; else Mozilla's.
fn roots(more: &[Vec<u8>]) -> RootCerts {
    let named = std::env::var("SSL_CERT_FILE").ok();
    let usual = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    let files = named.iter().map(String::as_str).chain(usual);
    let found = files.filter_map(|path| fs::read(path).ok()).find(|text| certificates(text).next().is_some());
    let all: Vec<_> = found.iter().chain(more).flat_map(|text| certificates(text)).collect();
    if all.is_empty() { RootCerts::WebPki } else { RootCerts::from(all) }
}

fn certificates(pem: &[u8]) -> impl Iterator<Item = ureq::tls::Certificate<'static>> {
    parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    })
}

pub(crate) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// What a URL led to, to be read once.
pub(crate) struct Fetched {
    pub reader: Box<dyn Read + Send>,
    pub last_modified: Option<String>,
    pub etag: Option<String>,
}

impl Fetched {
    /// What is another when what the address leads to is another, if the server gives such a thing. A weak tag is not: it
    /// stands for what only means the same.
    pub(crate) fn validator(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| !tag.starts_with("W/")).or(self.last_modified.as_deref())
    }
}

const MOST_REDIRECTS: usize = 10;

/// GET, by way of any redirects.
pub(crate) fn fetch(url: &str) -> Result<Fetched, HttpError> {
    request(Method::GET, url)
}

/// [`fetch`], but for the body.
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

/// [`fetch`] into a new file.
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

/// Where an answer sends us on to. Never from a secured address to an open one.
pub(crate) fn redirect(from: &str, response: &Response<Body>) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get("location")?.to_str().ok()?;
    let target = resolve(from, location)?;
    (!from.starts_with("https://") || target.starts_with("https://")).then_some(target)
}

/// A `Location`, which may be relative, as a whole address.
pub fn resolve(base: &str, location: &str) -> Option<String> {
    // A scheme is meant in any case (RFC 3986, 3.1), and no other is followed.
    let (scheme, rest) = location.split_once(':').unwrap_or_default();
    if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    {
        let url = format!("{}:{rest}", scheme.to_ascii_lowercase());
        return is_url(&url).then_some(url);
    }
    let base: Uri = base.parse().ok()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    if location.starts_with('?') {
        return Some(format!("{scheme}://{authority}{}{location}", base.path()));
    }
    let (directory, _) = base.path().rsplit_once('/')?;
    Some(format!("{scheme}://{authority}{directory}/{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_relative_to_what_was_asked_for() {
        let base = "https://a.b:1/v2/x/blobs/uploads/?state=1";
        for (location, whole) in [
            ("https://c/d", "https://c/d"),
            ("//c/d", "https://c/d"),
            ("/d?e=1", "https://a.b:1/d?e=1"),
            ("d", "https://a.b:1/v2/x/blobs/uploads/d"),
            ("?e", "https://a.b:1/v2/x/blobs/uploads/?e"),
            ("HTTPS://c/D", "https://c/D"),
            ("/d:e", "https://a.b:1/d:e"),
        ] {
            assert_eq!(resolve(base, location).as_deref(), Some(whole));
        }
        for location in ["file:///etc/passwd", "ftp://c/d", "javascript:x"] {
            assert_eq!(resolve(base, location), None, "{location}");
        }
    }
}
