//! The challenge of an answer with status 401: the header `WWW-Authenticate` (RFC 9110, section 11.6.1).

/// A challenge of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    /// A token from the server `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// Chooses the challenge to answer: a token rather than a password.
pub fn choose(headers: &[&str]) -> Option<Challenge> {
    let mut basic = None;
    for header in headers {
        for (scheme, parameters) in challenges(header) {
            let value = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
            };
            if scheme.eq_ignore_ascii_case("bearer") {
                let Some(realm) = value("realm") else { continue };
                return Some(Challenge::Bearer { realm, service: value("service"), scope: value("scope") });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
        }
    }
    basic
}

type Parameters = Vec<(String, String)>;

/// Parses `Scheme key=value, key="quoted, value", Scheme2 …`. Skips invalid parts.
fn challenges(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            // Not a token: go on behind whatever it is.
            let mut characters = rest.chars();
            if characters.next().is_none() {
                return found;
            }
            rest = characters.as_str();
            continue;
        }
        let trimmed = after.trim_start();
        match (trimmed.strip_prefix('='), found.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let (value, behind) = value_of(value.trim_start());
                parameters.push((word.to_owned(), value));
                rest = behind;
            }
            (Some(value), None) => rest = value_of(value.trim_start()).1,
            (None, _) => {
                found.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

/// Splits off a value, quoted or not. Returns it with the rest.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, after) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (value.to_owned(), after);
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return (value, characters.as_str()),
            '\\' => value.extend(characters.next()),
            other => value.push(other),
        }
    }
    (value, "")
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let (service, scope) = (service.map(str::to_owned), scope.map(str::to_owned));
        Some(Challenge::Bearer { realm: realm.to_owned(), service, scope })
    }

    #[test]
    fn challenges_of_registries() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let expected =
            bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:a/b:pull,push"));
        assert_eq!(choose(&[hub]), expected);
        assert_eq!(choose(&[r#"Basic realm="Registry""#]), Some(Challenge::Basic));
        assert_eq!(choose(&["basic"]), Some(Challenge::Basic));
        assert_eq!(choose(&[r#"Basic realm="x", Bearer realm = "y", service=z"#]), bearer("y", Some("z"), None));
        assert_eq!(choose(&["Basic realm=x", "bearer realm=y"]), bearer("y", None, None));
        assert_eq!(choose(&[r#"Bearer realm="a\"b""#]), bearer("a\"b", None, None));
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for nonsense in ["", "Bearer", "Negotiate", "=", "\"", "Bearer realm=", "Bearer realm=\"", ",,,==", "é=\"ü"] {
            assert_eq!(choose(&[nonsense]), None, "{nonsense}");
        }
    }
}
