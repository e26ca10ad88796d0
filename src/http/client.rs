//! The client: whom it trusts, how long it waits, and one request at a time.

use super::dns::Dns;
use super::error::HttpError;
use super::proxy;
use std::fs;
use std::time::Duration;
use ureq::http::{Request, Response};
use ureq::tls::{ClientCert, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, AsSendBody, Body};

/// The time to wait for a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);
/// The time to wait for more of an answer.
const SILENCE: Duration = Duration::from_secs(60);
/// The buffer of a connection, and of a file that is written from one.
pub(super) const BUFFER: usize = 128 << 10;

/// The authorities that are trusted, and the client's own certificate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    /// Accept any certificate.
    pub anybody: bool,
    /// Authorities that are trusted beside those of this host, as PEM.
    pub authorities: Vec<Vec<u8>>,
    /// The client certificate and its key, as PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// An HTTP client. Its clones share their connections.
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

    /// Sends one request. Any status is an answer, and redirects are not followed.
    pub(crate) fn send(&self, request: Request<impl AsSendBody>) -> Result<Response<Body>, HttpError> {
        let url = request.uri().to_string();
        let proxy = proxy::of(request.uri());
        let request = self.agent.configure_request(request).proxy(proxy).build();
        self.agent.run(request).map_err(|source| HttpError::reach(&url, source))
    }
}

/// Returns the authorities that this host trusts, or else Mozilla's.
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
