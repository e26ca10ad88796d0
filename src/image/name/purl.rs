//! Package URLs, by which provenance and bills of materials name their subjects.

use super::platform::Platform;
use super::reference::Reference;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Display;

/// The characters that are escaped in a package URL.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':');

/// Escapes one part of a package URL.
pub(crate) fn part(text: &str) -> impl Display {
    utf8_percent_encode(text, PLAIN)
}

/// Returns the package URL of an image, such as `pkg:docker/alpine@3.20?platform=linux%2Famd64`
pub(crate) fn of_image(reference: &Reference, platform: &Platform) -> String {
    let name = reference.familiar_repository();
    let name: Vec<String> = name.split('/').map(|text| part(text).to_string()).collect();
    let tag = reference.tag.as_ref().map(|tag| format!("@{}", part(tag))).unwrap_or_default();
    let digest = reference.digest.map(|digest| format!("digest={digest}&")).unwrap_or_default();
    format!("pkg:docker/{}{tag}?{digest}platform={}", name.join("/"), part(&platform.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::name::digest::Digest;

    #[test]
    fn images_have_package_addresses() {
        let platform: Platform = "linux/arm64".parse().unwrap();
        let purl = |name: &str| of_image(&name.parse::<Reference>().unwrap().or_latest(), &platform);
        assert_eq!(purl("alpine"), "pkg:docker/alpine@latest?platform=linux%2Farm64");
        assert_eq!(purl("me/app:1"), "pkg:docker/me/app@1?platform=linux%2Farm64");
        assert_eq!(purl("localhost:5000/a:b"), "pkg:docker/localhost:5000/a@b?platform=linux%2Farm64");
        let digest = Digest::of(b"");
        let with = purl(&format!("alpine@{digest}"));
        assert_eq!(with, format!("pkg:docker/alpine?digest={digest}&platform=linux%2Farm64"));
    }
}
