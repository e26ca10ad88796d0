//! Image configs: made for new images, and changed as a Dockerfile instruction would change them.
//!
//! Configs are kept as JSON values: a typed model would lose the fields that it does not know.

use super::digest::Digest;
use serde_json::{Map, Value, json};

#[derive(Debug, thiserror::Error)]
#[error("invalid change `{change}`: {reason}")]
pub struct InvalidChange {
    change: String,
    reason: String,
}

impl crate::diag::Diagnose for InvalidChange {
    fn hint(&self) -> Option<String> {
        Some(format!("a change is an instruction with its arguments; there are {}", INSTRUCTIONS.join(", ")))
    }
}

const INSTRUCTIONS: [&str; 9] = ["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "ONBUILD", "USER", "VOLUME", "WORKDIR"];

/// Now, or what `SOURCE_DATE_EPOCH` says for builds that are to come out the same each time.
pub fn now() -> String {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|v| v.parse().ok());
    let time = fixed.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.unwrap_or_else(jiff::Timestamp::now).to_string()
}

/// This machine, in Go's words.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// The config of an image of no layer yet.
pub fn new() -> Value {
    json!({
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [] },
        "history": [],
    })
}

/// One more step of the history; with a layer, unless it changed no file.
pub fn add_history(config: &mut Value, mut step: Value, diff_id: Option<Digest>) {
    match diff_id {
        Some(diff_id) => list(&mut config["rootfs"]["diff_ids"]).push(json!(diff_id)),
        None => step["empty_layer"] = json!(true),
    }
    list(&mut config["history"]).push(step);
}

/// Applies `-c` options to the `config` part of an image config.
pub fn apply(config: &mut Value, changes: &[String]) -> Result<(), InvalidChange> {
    if !config["config"].is_object() {
        config["config"] = json!({});
    }
    let Some(settings) = config["config"].as_object_mut() else { return Ok(()) };
    for change in changes {
        instruction(settings, change).map_err(|reason| InvalidChange { change: change.clone(), reason })?;
    }
    Ok(())
}

fn instruction(settings: &mut Map<String, Value>, change: &str) -> Result<(), String> {
    let change = change.trim();
    let (word, rest) = change.split_once(char::is_whitespace).unwrap_or((change, ""));
    let rest = rest.trim();
    let word = word.to_ascii_uppercase();
    if !INSTRUCTIONS.contains(&word.as_str()) {
        return Err(format!("`{word}` is not an instruction that can be given here"));
    }
    if rest.is_empty() && !matches!(word.as_str(), "CMD" | "ENTRYPOINT") {
        return Err("it has no argument".into());
    }
    match word.as_str() {
        "CMD" => set(settings, "Cmd", command(rest)),
        "ENTRYPOINT" => {
            set(settings, "Entrypoint", command(rest));
            // A default command was meant for the entry point that it came with.
            settings.remove("Cmd");
        }
        "ENV" => {
            for (name, value) in pairs(rest)? {
                let list = array(settings, "Env");
                list.retain(|old| old.as_str().and_then(|o| o.split('=').next()) != Some(name.as_str()));
                list.push(json!(format!("{name}={value}")));
            }
        }
        "LABEL" => {
            for (name, value) in pairs(rest)? {
                object(settings, "Labels").insert(name, json!(value));
            }
        }
        "EXPOSE" => {
            for text in words(rest)? {
                for port in ports(&text)? {
                    object(settings, "ExposedPorts").insert(port, json!({}));
                }
            }
        }
        "VOLUME" => {
            for path in json_list(rest).map_or_else(|| words(rest), Ok)? {
                object(settings, "Volumes").insert(path, json!({}));
            }
        }
        "USER" => set(settings, "User", json!(rest)),
        "WORKDIR" => {
            let before = settings.get("WorkingDir").and_then(Value::as_str).unwrap_or("/");
            let path = std::path::Path::new(if before.is_empty() { "/" } else { before }).join(unquote(rest)?);
            set(settings, "WorkingDir", json!(clean(&path)));
        }
        _ => {
            let first = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            if matches!(first.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
                return Err(format!("{first} is not allowed as a trigger"));
            }
            array(settings, "OnBuild").push(json!(rest));
        }
    }
    Ok(())
}

fn set(settings: &mut Map<String, Value>, key: &str, value: Value) {
    settings.insert(key.to_owned(), value);
}

fn array<'a>(settings: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    list(settings.entry(key).or_insert(Value::Null))
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([]);
    }
    match value {
        Value::Array(list) => list,
        _ => unreachable!("made an array just now"),
    }
}

fn object<'a>(settings: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = settings.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object just now"),
    }
}

/// The exec form as it is; the shell form through a shell; nothing at all to unset it.
fn command(rest: &str) -> Value {
    match json_list(rest) {
        Some(list) => json!(list),
        None if rest.is_empty() => Value::Null,
        None => json!(["/bin/sh", "-c", rest]),
    }
}

fn json_list(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') { serde_json::from_str(text).ok() } else { None }
}

/// `a=1 b="2 3"`, or the old form `a 1 2 3`.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) =
            text.split_once(char::is_whitespace).ok_or_else(|| format!("`{text}` has no value; write NAME=VALUE"))?;
        return Ok(vec![(name.to_owned(), value.trim_start().to_owned())]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(format!("`{word}` has no name")),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("`{word}` has no value; write NAME=VALUE")),
    };
    words(text)?.into_iter().map(pair).collect()
}

/// Words between blanks; quotes and backslashes as in a Dockerfile.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut begun, mut quote) = (Vec::new(), String::new(), false, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                begun = true;
                word.push(chars.next().unwrap_or('\\'));
            }
            ('"' | '\'', None) => (begun, quote) = (true, Some(c)),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => {
                begun = true;
                word.push(c);
            }
        }
    }
    if let Some(quote) = quote {
        return Err(format!("the quote {quote} is not closed"));
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

fn unquote(text: &str) -> Result<String, String> {
    Ok(words(text)?.join(" "))
}

/// `80`, `80/udp`, `8000-8010/tcp`.
fn ports(text: &str) -> Result<Vec<String>, String> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("`{protocol}` is no protocol; there are tcp, udp and sctp"));
    }
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is no port number"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("`{range}` ends before it begins"));
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// Without `.`, `..` and doubled slashes.
fn clean(path: &std::path::Path) -> String {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(part) => parts.push(part.to_string_lossy()),
            std::path::Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(changes: &[&str]) -> Result<Value, InvalidChange> {
        let mut config = new();
        config["config"]["Healthcheck"] = json!({ "Test": ["NONE"] });
        apply(&mut config, &changes.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>())?;
        Ok(config["config"].take())
    }

    #[test]
    fn changes_as_in_a_dockerfile() {
        let config = applied(&[
            "ENTRYPOINT [\"nginx\"]",
            "CMD [\"-g\", \"daemon off;\"]",
            "ENV A=1 B=\"2 3\"",
            "ENV A 4 5",
            "EXPOSE 80 90-91/udp",
            "LABEL a.b=c \"d e\"=f",
            "USER nginx",
            "VOLUME /a /b",
            "VOLUME [\"/c d\"]",
            "WORKDIR /srv",
            "WORKDIR www/../html",
            "ONBUILD RUN true",
        ])
        .unwrap();
        assert_eq!(
            config,
            json!({
                "Healthcheck": { "Test": ["NONE"] },
                "Entrypoint": ["nginx"], "Cmd": ["-g", "daemon off;"], "Env": ["B=2 3", "A=4 5"],
                "ExposedPorts": { "80/tcp": {}, "90/udp": {}, "91/udp": {} },
                "Labels": { "a.b": "c", "d e": "f" }, "User": "nginx",
                "Volumes": { "/a": {}, "/b": {}, "/c d": {} }, "WorkingDir": "/srv/html", "OnBuild": ["RUN true"],
            })
        );
        assert_eq!(applied(&["cmd echo hi"]).unwrap()["Cmd"], json!(["/bin/sh", "-c", "echo hi"]));
    }

    #[test]
    fn wrong_changes_say_why() {
        for wrong in [
            "RUN true",
            "ENV",
            "ENV A",
            "ENV =b",
            "EXPOSE x",
            "EXPOSE 9-8",
            "EXPOSE 1/x",
            "LABEL \"a=b",
            "ONBUILD FROM a",
        ] {
            assert!(applied(&[wrong]).is_err(), "{wrong}");
        }
    }
}
