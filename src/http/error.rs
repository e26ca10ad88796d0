//! Why a host cannot be reached or a transfer failed, and what to do.

use super::proxy;
use crate::diag::{Diagnose, ErrorCode, inner_of};
use crate::sys::SysError;
use std::io;
use ureq::http::Uri;

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
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Reach { .. } => Some(ErrorCode::Unreachable),
            _ => self.inner().and_then(Diagnose::code),
        }
    }

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

    /// Whether the server does not speak TLS: it answers with something else, or hangs up.
    pub fn is_plain_http(&self) -> bool {
        let Self::Reach { source, .. } = self else { return false };
        match &**source {
            ureq::Error::Io(error) if hangs_up(error) => true,
            other => other.to_string().contains("InvalidContentType"),
        }
    }

    /// Whether the server has a certificate that this host does not trust.
    pub fn is_untrusted(&self) -> bool {
        matches!(self, Self::Reach { source, .. } if is_untrusted(source))
    }

    /// Whether a retry is useless: the address or the certificate is wrong.
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
