//! Image names by Docker's rules: `[REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST]`.

use super::digest::Digest;
use std::fmt;
use std::str::FromStr;

const HUB: &str = "docker.io";
const LIBRARY: &str = "library/";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// A name that is complete but for the tag: `docker.io/library/alpine`, `:3.20`, `@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    pub registry: String,
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("invalid image name `{name}`: {reason}")]
pub struct InvalidReference {
    name: String,
    reason: String,
}

impl crate::diag::Diagnose for InvalidReference {
    fn hint(&self) -> Option<String> {
        if pasted(&self.name).is_some() {
            return None;
        }
        let lower = self.name.to_lowercase();
        if lower != self.name && lower.parse::<Reference>().is_ok() {
            return Some(format!("did you mean: {lower}"));
        }
        Some("a name looks like this: [REGISTRY[:PORT]/]REPOSITORY[:TAG], for example nginxnew:v1.2".into())
    }
}

impl Reference {
    /// Adds `:latest` if there is neither tag nor digest.
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".into());
        }
        self
    }

    /// Returns whether the registry is Docker Hub, which names without a registry belong to.
    pub fn is_of_hub(&self) -> bool {
        self.registry == HUB
    }

    /// Returns the name as Docker prints it: without `docker.io/` and `library/`.
    pub fn familiar(&self) -> String {
        self.familiar_repository() + &self.suffix()
    }

    /// [`Self::familiar`] without tag and digest. A short form that would be read as another name (`library/a/b`, or a
    /// first part that looks like a registry) is not used.
    pub fn familiar_repository(&self) -> String {
        let is_same =
            |name: &&str| parse(name).is_ok_and(|read| read.is_of_hub() && read.repository == self.repository);
        let short = self.repository.strip_prefix(LIBRARY).unwrap_or(&self.repository);
        let found = [short, &self.repository].into_iter().filter(|_| self.is_of_hub()).find(is_same);
        found.map_or_else(|| self.name(), str::to_owned)
    }

    /// Returns `registry/repository`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|t| format!(":{t}")).unwrap_or_default();
        let digest = self.digest.as_ref().map(|d| format!("@{d}")).unwrap_or_default();
        tag + &digest
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.suffix())
    }
}

crate::store::record_as_text!(Reference);

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        parse(text).map_err(|reason| {
            // A part of the message, since the parser of the command line prints no hints.
            let meant = pasted(text).map_or(String::new(), |meant| format!("; did you mean: {meant}"));
            InvalidReference { name: text.to_owned(), reason: reason + &meant }
        })
    }
}

/// Returns the name of the image that a web page describes, or that an address contains.
fn pasted(text: &str) -> Option<String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let place = rest.split(['?', '#']).next()?.trim_end_matches('/');
    let parts: Vec<&str> = place.split('/').collect();
    let meant = match parts[..] {
        ["hub.docker.com", "_", name, ..] => name.to_owned(),
        ["hub.docker.com", "layers", owner, name, tag, ..] => format!("{owner}/{name}:{tag}"),
        ["hub.docker.com", "r", owner, name, ..] => format!("{owner}/{name}"),
        ["quay.io", "repository", owner, name, ..] => format!("quay.io/{owner}/{name}"),
        ["gallery.ecr.aws", owner, name, ..] => format!("public.ecr.aws/{owner}/{name}"),
        ["github.com", owner, _, "pkgs", "container", name, ..]
        | ["github.com", "orgs" | "users", owner, "packages", "container", "package", name, ..] => {
            format!("ghcr.io/{owner}/{name}")
        }
        _ if scheme.is_some() => place.to_owned(),
        _ => return None,
    };
    parse(&meant).ok().map(|reference| reference.familiar())
}

fn parse(text: &str) -> Result<Reference, String> {
    // Podman writes this before names in registries.
    let text = text.strip_prefix("docker://").unwrap_or(text);
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("`{scheme}://` begins an address, not a name"));
    }
    if text.starts_with("hub.docker.com/") {
        return Err("it is a web site, not a registry".into());
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse::<Digest>().map_err(|e| e.to_string())?)),
        None => (text, None),
    };
    // A colon before the last slash is a registry's port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    if name.len() == 64 && Digest::from_hex(name).is_some() {
        return Err("64 hexadecimal digits are an id, not a name".into());
    }
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if is_registry(first) => (first, path),
        _ => (HUB, name),
    };
    let registry = if registry == "index.docker.io" { HUB } else { registry };
    check_registry(registry)?;
    for component in path.split('/') {
        check_component(component)?;
    }
    let repository = if registry == HUB && !path.contains('/') { format!("{LIBRARY}{path}") } else { path.to_owned() };
    if registry.len() + 1 + repository.len() > LONGEST_NAME {
        return Err(format!("it is longer than {LONGEST_NAME} characters"));
    }
    Ok(Reference { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
}

fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn check_registry(registry: &str) -> Result<(), String> {
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or("the bracket around the address is not closed")?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| format!("`{address}` is not an IPv6 address"))?;
            (None, after.strip_prefix(':').or(if after.is_empty() { None } else { Some(after) }))
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(registry), None),
        },
    };
    if let Some(port) = port
        && port.parse::<u16>().is_err()
    {
        return Err(format!("`{port}` is not a port number"));
    }
    for label in host.into_iter().flat_map(|h| h.split('.')) {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if label.is_empty() || !inner || label.starts_with('-') || label.ends_with('-') {
            return Err(format!("`{registry}` is not a host name"));
        }
    }
    Ok(())
}

/// Checks one component: lower-case letters and digits, joined by one `.`, one or two `_`, or any number of `-`.
fn check_component(component: &str) -> Result<(), String> {
    if component.is_empty() {
        return Err("a part between slashes is empty".into());
    }
    if let Some(wrong) = component.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')) {
        return Err(if wrong.is_ascii_uppercase() {
            "a repository is written in lower case".into()
        } else {
            format!("`{wrong}` is not allowed in it")
        });
    }
    let joined = component.split(|c: char| c.is_ascii_alphanumeric()).filter(|s| !s.is_empty());
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    if edge(component.chars().next()) || edge(component.chars().last()) {
        return Err(format!("`{component}` must begin and end with a letter or digit"));
    }
    for separator in joined {
        if !matches!(separator, "." | "_" | "__") && separator.bytes().any(|b| b != b'-') {
            return Err(format!("`{separator}` does not join the parts of a name"));
        }
    }
    Ok(())
}

fn check_tag(tag: &str) -> Result<(), String> {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if tag.is_empty() || tag.len() > LONGEST_TAG {
        return Err(format!("a tag has 1 to {LONGEST_TAG} characters"));
    }
    if !tag.starts_with(first) || !tag.chars().all(|c| first(c) || c == '.' || c == '-') {
        return Err(format!(
            "`{tag}` is not a tag, which has letters, digits, `_`, `.` and `-`, and begins with none of the last two"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_the_hubs() {
        for (given, whole, familiar) in [
            ("alpine", "docker.io/library/alpine", "alpine"),
            ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
            ("index.docker.io/library/alpine", "docker.io/library/alpine", "alpine"),
            ("customimage/alpng:ng_v1", "docker.io/customimage/alpng:ng_v1", "customimage/alpng:ng_v1"),
            ("localhost/a", "localhost/a", "localhost/a"),
            ("localhost:5000/a:b", "localhost:5000/a:b", "localhost:5000/a:b"),
            ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
            ("quay.io/a/b/c__d--e.f", "quay.io/a/b/c__d--e.f", "quay.io/a/b/c__d--e.f"),
            ("docker.io/library/a/b:1", "docker.io/library/a/b:1", "library/a/b:1"),
            ("docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c"),
        ] {
            let reference: Reference = given.parse().unwrap();
            assert_eq!(reference.to_string(), whole);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(whole.parse::<Reference>().unwrap(), reference);
            assert_eq!(familiar.parse::<Reference>().unwrap(), reference);
        }
        let digest = Digest::of(b"");
        let both: Reference = format!("a:1@{digest}").parse().unwrap();
        assert_eq!((both.tag.as_deref(), both.digest), (Some("1"), Some(digest)));
        assert_eq!("a".parse::<Reference>().unwrap().or_latest().familiar(), "a:latest");
    }

    #[test]
    fn addresses_are_told_from_names() {
        assert_eq!("docker://alpine:3".parse::<Reference>().unwrap().familiar(), "alpine:3");
        for (address, name) in [
            ("https://hub.docker.com/_/alpine", "alpine"),
            ("hub.docker.com/_/alpine/", "alpine"),
            ("https://hub.docker.com/r/ann/app/tags?name=1", "ann/app"),
            ("hub.docker.com/r/ann/app", "ann/app"),
            ("https://hub.docker.com/layers/library/alpine/3.20/images/x", "alpine:3.20"),
            ("https://quay.io/repository/a/b?tab=tags", "quay.io/a/b"),
            ("https://github.com/a/b/pkgs/container/c", "ghcr.io/a/c"),
            ("https://github.com/orgs/a/packages/container/package/c", "ghcr.io/a/c"),
            ("https://ghcr.io/a/b:1", "ghcr.io/a/b:1"),
            ("oci://docker.io/library/alpine", "alpine"),
        ] {
            let error = address.parse::<Reference>().unwrap_err();
            assert!(error.to_string().ends_with(&format!("; did you mean: {name}")), "{error}");
        }
    }

    #[test]
    fn wrong_names_are_refused() {
        let (hex, schemes) = ("a".repeat(64), "docker://".repeat(10_000));
        let long = "a/".repeat(130) + "a";
        for wrong in [
            "",
            "Alpine",
            "a b",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a:",
            "a:-b",
            "a//b",
            "/a",
            "a/",
            "a@sha256:12",
            "x.y:port/a",
            "a.b-/c",
            "[::1/a",
            "../a",
            hex.as_str(),
            schemes.as_str(),
            long.as_str(),
        ] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
    }
}
