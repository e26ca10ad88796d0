//! URLs, and those that answers name.

use ureq::Body;
use ureq::http::{Response, Uri};

pub(crate) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Returns the URL to which an answer redirects, but never one without TLS after one with TLS.
pub(crate) fn redirect(from: &str, response: &Response<Body>) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get("location")?.to_str().ok()?;
    let target = resolve(from, location)?;
    (!from.starts_with("https://") || target.starts_with("https://")).then_some(target)
}

/// Makes an absolute URL of a `Location`, which may be relative.
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
