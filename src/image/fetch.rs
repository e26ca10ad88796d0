//! An archive from the web, for `import URL`.

use super::dns::Dns;
use crate::diag::Diagnose;
use std::fs;
use std::io::Read;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;

#[derive(Debug, thiserror::Error)]
#[error("cannot fetch {url}")]
pub struct FetchError {
    url: String,
    #[source]
    source: ureq::Error,
}

impl Diagnose for FetchError {
    fn hint(&self) -> Option<String> {
        match self.source {
            ureq::Error::HostNotFound => Some("no name server knows this host; see /etc/resolv.conf".into()),
            ureq::Error::StatusCode(404) => Some("there is nothing at this address".into()),
            _ => None,
        }
    }
}

pub fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

pub fn fetch(url: &str) -> Result<Box<dyn Read + Send>, FetchError> {
    let tls = TlsConfig::builder().root_certs(trusted()).build();
    let config = Agent::config_builder().tls_config(tls).timeout_connect(Some(Duration::from_secs(30)));
    let agent = Agent::with_parts(config.build(), DefaultConnector::default(), Dns);
    let response = agent.get(url).call().map_err(|source| FetchError { url: url.to_owned(), source })?;
    Ok(Box::new(response.into_body().into_reader()))
}

/// The authorities that this host trusts, among them perhaps its owner's; else Mozilla's.
fn trusted() -> RootCerts {
    let named = std::env::var("SSL_CERT_FILE").ok();
    let usual = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    for path in named.iter().map(String::as_str).chain(usual) {
        let Ok(text) = fs::read(path) else { continue };
        let certificates = parse_pem(&text).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let certificates: Vec<_> = certificates.collect();
        if !certificates.is_empty() {
            return RootCerts::from(certificates);
        }
    }
    RootCerts::WebPki
}
