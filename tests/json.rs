//! JSON: what each command prints is what docs/json.md says.

use crate::common::{Sandbox, wait_until};
use minirun::exposed::Code;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

/// A section's table: each field's path, and the types that it may have.
fn documented(section: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).expect("docs/json.md");
    let heading = format!("## {section}");
    let lines = text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    let rows = lines.filter_map(|line| line.strip_prefix("| `"));
    let fields = rows.filter_map(|row| {
        let (path, rest) = row.split_once("` | ")?;
        Some((path.to_owned(), rest.split(" | ").next()?.to_owned()))
    });
    let fields: BTreeMap<_, _> = fields.collect();
    assert!(!fields.is_empty(), "docs/json.md has no table in a section {section:?}");
    fields
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Every field that was printed stands in its section's table, with its type.
fn check(section: &str, printed: &Value) {
    let fields = documented(section);
    assert_eq!(printed["format"], 1, "{section}: {printed}");
    look(section, "", printed, &fields);
}

fn look(section: &str, path: &str, value: &Value, fields: &BTreeMap<String, String>) {
    match value {
        Value::Object(object) if !fields.contains_key(path) => {
            for (name, value) in object {
                let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                let free = below("*");
                let is_free = fields.keys().any(|field| field.starts_with(&free));
                let known = fields.keys().any(|field| field.starts_with(&below(name)));
                let path = if is_free && !known { free } else { below(name) };
                look(section, &path, value, fields);
            }
        }
        Value::Array(list) if !fields.contains_key(path) => {
            let below = format!("{path}[]");
            let is_known = fields.keys().any(|field| field.starts_with(&below));
            assert!(is_known, "docs/json.md, {section}: no {below}");
            list.iter().for_each(|value| look(section, &below, value, fields));
        }
        Value::Null if fields.keys().any(|field| field.starts_with(&format!("{path}."))) => {
            let types = fields.get(path).map(String::as_str).unwrap_or_default();
            assert!(types.split(" or ").any(|one| one == "null"), "docs/json.md, {section}: {path} is null");
        }
        _ => {
            let types = fields.get(path).unwrap_or_else(|| panic!("docs/json.md, {section}: no {path}"));
            let is = type_of(value);
            assert!(
                types.split(" or ").any(|one| one == is),
                "docs/json.md, {section}: {path} is {value}, not {types}"
            );
        }
    }
}

fn printed(sandbox: &Sandbox, words: &[&str]) -> Value {
    let said = sandbox.run(words).stdout;
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
}

#[test]
fn every_code_is_documented_and_no_other() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).expect("docs/json.md");
    let table = text.lines().skip_while(|line| !line.starts_with("| code |")).skip(2);
    let documented = table.take_while(|line| line.starts_with("| `")).filter_map(|line| line.split('`').nth(1));
    let documented: Vec<String> = documented.map(ToOwned::to_owned).collect();
    let code = |code: &Code| serde_json::to_value(code).unwrap().as_str().unwrap().to_owned();
    assert_eq!(documented, Code::ALL.iter().map(code).collect::<Vec<_>>());
}

#[test]
fn what_is_printed_is_documented() {
    let sandbox = Sandbox::with_alpine();
    sandbox.run(&["run", "--network", "none", "--name", "failed", "alpine", "sh", "-c", "exit 3"]);
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "runs", "alpine", "sleep", "1000"]);
    check("minirun why", &printed(&sandbox, &["why", "--json", "failed"]));
    check("minirun why", &printed(&sandbox, &["why", "--json", "runs"]));
    sandbox.ok(&["stop", "-t", "0", "runs"]);
    check("minirun why", &printed(&sandbox, &["why", "--json", "runs"]));
    check("minirun why --to", &printed(&sandbox, &["why", "--json", "runs", "--to", "failed:80"]));
    check("minirun doctor", &printed(&sandbox, &["doctor", "--json"]));
    check("minirun system df", &printed(&sandbox, &["system", "df", "--json"]));
    check("minirun system check", &printed(&sandbox, &["system", "check", "--json"]));
    fs::write(sandbox.root().join("names/broken"), "").unwrap();
    let damaged = sandbox.run(&["system", "check", "--json"]).stdout;
    check("minirun system check", &serde_json::from_str(&damaged).unwrap());
}

#[test]
fn what_shows_the_inside_is_documented() {
    let sandbox = Sandbox::with_alpine();
    let change = "echo more >>/etc/motd; rm /etc/issue; mkdir /d; echo 1 >/d/f; ln -s /d /link";
    sandbox.ok(&["run", "--network", "none", "--name", "changed", "alpine", "sh", "-c", change]);
    sandbox.ok(&["commit", "changed", "layered"]);
    let flags = ["run", "-d", "--network", "none", "-v", "named:/data", "--name"];
    sandbox.ok(&[&flags[..], &["runs", "layered", "sh", "-c", "rm -r /d; echo >/d; echo >>/etc/motd; exec sleep 600"]]
        .concat());
    sandbox.ok(&[&flags[..], &["other", "layered", "sleep", "600"]].concat());
    for (section, words) in [
        ("minirun compare", &["compare", "--json", "layered", "runs"][..]),
        ("minirun compare", &["compare", "--json", "other", "runs"]),
        ("minirun compare", &["compare", "--json", "alpine", "layered"]),
        ("minirun explain", &["explain", "--json", "runs"]),
        ("minirun explain", &["explain", "--json", "layered"]),
        ("minirun explain --files", &["explain", "--json", "--files", "runs"]),
        ("minirun explain --files", &["explain", "--json", "layered", "--files", "1"]),
        ("minirun where", &["where", "--json", "runs", "/etc/motd"]),
        ("minirun where", &["where", "--json", "runs", "/etc/issue"]),
        ("minirun where", &["where", "--json", "runs", "/d/f"]),
        ("minirun where", &["where", "--json", "runs", "/link/.."]),
        ("minirun where", &["where", "--json", "runs", "/proc/1"]),
        ("minirun where", &["where", "--json", "layered", "/link"]),
        ("minirun probe", &["probe", "--json", "runs"]),
        ("minirun script", &["script", "--json", "runs"]),
    ] {
        check(section, &printed(&sandbox, words));
    }
    sandbox.ok(&["network", "create", "--ipv6", "shop"]);
    let serve = ["-p", "80", "alpine", "nc", "-lk", "-p", "80", "-e", "true"];
    sandbox.ok(&[&["run", "-d", "--network", "shop:alias=front", "--name", "server"], &serve[..]].concat());
    for (section, words) in [
        ("minirun explain NETWORK", &["explain", "--json", "shop"][..]),
        ("minirun explain NETWORK", &["explain", "--json", "bridge"]),
        ("minirun explain", &["explain", "--json", "server"]),
        ("minirun why --to", &["why", "--json", "server", "--to", "front:80"]),
    ] {
        check(section, &printed(&sandbox, words));
    }
    let said = sandbox.run(&["run", "--rm", "--network", "none", "--explain=json", "alpine", "true"]).stderr;
    let lines = said.lines().filter(|line| line.starts_with('{'));
    lines.for_each(|line| check("minirun run --explain=json", &serde_json::from_str(line).unwrap()));
    // It ends with the container.
    let mut watch = sandbox.command(&["watch", "--json", "runs"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(watch.stdout.take().unwrap());
    let (tell, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    let mut told = String::new();
    wait_until("it watches", || {
        sandbox.ok(&["exec", "runs", "sh", "-c", "echo >/new"]);
        lines.recv_timeout(Duration::from_millis(200)).is_ok_and(|line| {
            told = line + "\n";
            true
        })
    });
    sandbox.ok(&["exec", "runs", "sh", "-c", "echo >>/etc/group"]);
    sandbox.ok(&["stop", "-t", "0", "runs"]);
    lines.iter().for_each(|line| told += &(line + "\n"));
    watch.wait().unwrap();
    assert!(told.contains("copy-up"), "{told}");
    told.lines().for_each(|line| check("minirun watch", &serde_json::from_str(line).unwrap()));
}
