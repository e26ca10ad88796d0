//! The remote sources of a build, as its provenance lists them.

use serde_json::{Value, json};

/// A source that a build took from elsewhere: an image, a download or a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    pub(crate) uri: String,
    /// The algorithm, and the digest in hexadecimal digits.
    pub(crate) digest: Option<(String, String)>,
}

impl Material {
    /// Describes the content of an address, without the password in it.
    pub fn fetched(address: &str, digest: Option<(&str, &str)>) -> Self {
        let digest = digest.map(|(algorithm, hex)| (algorithm.to_owned(), hex.to_owned()));
        Self { uri: without_credentials(address), digest }
    }

    /// Returns SLSA's description: the URI, and the digest as far as it is known.
    pub(crate) fn to_json(&self) -> Value {
        let mut json = json!({ "uri": self.uri });
        if let Some((algorithm, hex)) = &self.digest {
            json["digest"] = json!({ algorithm: hex });
        }
        json
    }
}

fn without_credentials(address: &str) -> String {
    let address = if address.starts_with("github.com/") { format!("https://{address}") } else { address.to_owned() };
    let Some((scheme, rest)) = address.split_once("://") else { return address };
    let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        // In an SSH address the user selects the account.
        Some((user, host)) if scheme == "ssh" => {
            format!("ssh://{}@{host}{path}", user.split(':').next().unwrap_or("git"))
        }
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_no_password() {
        for (given, kept) in [
            ("https://user:secret@example.org/a.git#main", "https://example.org/a.git#main"),
            ("https://example.org/a@b", "https://example.org/a@b"),
            ("ssh://git:secret@example.org/a", "ssh://git@example.org/a"),
            ("git@example.org:a.git", "git@example.org:a.git"),
            ("github.com/a/b", "https://github.com/a/b"),
        ] {
            assert_eq!(without_credentials(given), kept);
        }
    }
}
