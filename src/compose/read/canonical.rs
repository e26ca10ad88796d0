//! Checks a tree against the tables, and brings every short form into its long one.

use super::node::{Entry, Map, Node, Tag, Value};
use super::schema::{Object, Shape};
use super::words;
use crate::builder::read::vocabulary::guess;
use crate::compose::fault::Fault;
use crate::container::request;

/// How strictly a tree is read.
#[derive(Clone, Copy)]
pub(crate) struct Canonical {
    /// Variables were left in their places, and so may stand where a number should.
    pub has_variables: bool,
}

impl Canonical {
    /// Returns the canonical form of a node.
    pub(crate) fn of(self, shape: &Shape, node: Node, path: &str) -> Result<Node, Fault> {
        let (place, tag) = (node.place, node.tag);
        if tag == Tag::Reset {
            return Ok(node);
        }
        if self.has_variables && node.scalar().is_some_and(|text| text.contains('$')) {
            return Ok(node);
        }
        let mut canonical = self.shaped(shape, node, path)?;
        (canonical.place, canonical.tag) = (place, tag);
        Ok(canonical)
    }

    fn shaped(self, shape: &Shape, node: Node, path: &str) -> Result<Node, Fault> {
        let place = node.place;
        let text = node.scalar().map(str::to_owned);
        let must = |what: &str| Fault::new(place, format!("{path} must be {what}, not {}", kind(&node)));
        let scalar = |what: &str| text.clone().ok_or_else(|| must(what));
        let with = |value: Value| Ok(Node::new(value, place));
        match shape {
            Shape::Any => Ok(node),
            Shape::Text => with(Value::Text(scalar("a text")?)),
            Shape::Bool => match scalar("true or false")?.as_str() {
                "true" | "True" | "TRUE" | "yes" | "y" | "on" | "1" => with(Value::Bool(true)),
                "false" | "False" | "FALSE" | "no" | "n" | "off" | "0" => with(Value::Bool(false)),
                _ => Err(must("true or false")),
            },
            Shape::Int => {
                let text = scalar("a number")?;
                let number: i64 = text.parse().map_err(|_| must("a whole number"))?;
                with(Value::Number(number.to_string()))
            }
            Shape::Decimal => {
                let text = scalar("a number")?;
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.ok_or_else(|| must("a number"))?;
                with(Value::Number(text))
            }
            Shape::Size => {
                let text = scalar("a size, such as 64m")?;
                if text == "-1" {
                    return with(Value::Text(text));
                }
                let bytes = request::size(&text).map_err(|_| must("a size, such as 64m"))?;
                with(Value::Text(bytes.to_string()))
            }
            Shape::Duration => {
                let text = scalar("a time, such as 1m30s")?;
                let time = request::duration(&text).ok_or_else(|| must("a time with its unit, such as 1m30s"))?;
                with(Value::Text(in_go_s_format(time)))
            }
            Shape::Word(known) => {
                let text = scalar("a word")?;
                if known.contains(&text.as_str()) {
                    return with(Value::Text(text));
                }
                let fault = Fault::new(place, format!("{path}: unknown word {text:?}"));
                Err(match guess(&text, known.iter().copied()) {
                    Some(meant) => fault.hint(format!("did you mean {meant}? words: {}", known.join(", "))),
                    None => fault.hint(format!("words: {}", known.join(", "))),
                })
            }
            Shape::Command => match (&node.value, text) {
                (Value::List(_), _) => self.list(&Shape::Text, node, path),
                (_, Some(text)) => {
                    let is_test = path.ends_with(".healthcheck.test");
                    let words =
                        if is_test { Some(vec!["CMD-SHELL".to_owned(), text.clone()]) } else { words::split(&text) };
                    let words =
                        words.ok_or_else(|| Fault::new(place, format!("{path}: a quotation mark is not closed")))?;
                    with(Value::List(words.into_iter().map(|word| Node::text_at(word, place)).collect()))
                }
                _ => Err(must("a command or a list of words")),
            },
            Shape::List(element, _) => match node.value {
                Value::List(_) => self.list(element, node, path),
                _ => Err(must("a list")),
            },
            Shape::Lines(element) => {
                let list =
                    if let Value::List(_) = node.value { node } else { Node::new(Value::List(vec![node]), place) };
                self.list(element, list, path)
            }
            Shape::Pairs => pairs(node, path),
            Shape::Hosts => hosts(node, path),
            Shape::Object(object) => self.object(object, node, path),
            Shape::Map(element) => {
                let Value::Map(map) = node.value else { return Err(must("a map")) };
                let mut canonical = Map::new();
                for (key, Entry { key: at, node }) in map {
                    if key.starts_with("x-") {
                        canonical.insert(key, Entry { key: at, node });
                        continue;
                    }
                    check_name(path, &key, at)?;
                    let below = format!("{path}.{key}");
                    let node = match (node.is_null(), element) {
                        // A service that says nothing has no image.
                        (true, Shape::Object(_)) if node.tag == Tag::None => {
                            Node { value: Value::Map(Map::new()), ..node }
                        }
                        (true, _) => node,
                        (false, _) => self.of(element, node, &below)?,
                    };
                    canonical.insert(key, Entry { key: at, node });
                }
                with(Value::Map(canonical))
            }
            Shape::Names(object) => self.names(object, node, path),
            Shape::Ulimit => match text {
                Some(text) => self.shaped(&Shape::Int, Node::text_at(text, place), path),
                None => self.object(&ULIMIT, node, path),
            },
            Shape::External => match text {
                Some(_) => self.shaped(&Shape::Bool, node, path),
                None => self.object(&EXTERNAL, node, path),
            },
        }
    }

    fn list(self, element: &Shape, node: Node, path: &str) -> Result<Node, Fault> {
        let Value::List(list) = node.value else { return Ok(node) };
        let mut canonical = Vec::with_capacity(list.len());
        for (index, one) in list.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            if one.is_null() {
                return Err(Fault::new(one.place, format!("{path} is empty")));
            }
            match element {
                Shape::Object(Object { short: Some(short), .. }) if one.scalar().is_some() => {
                    if self.has_variables && one.scalar().is_some_and(|text| text.contains('$')) {
                        canonical.push(one);
                        continue;
                    }
                    canonical.extend(short(&one).map_err(|wrong| {
                        let text = one.scalar().unwrap_or_default();
                        Fault::new(one.place, format!("{path}: invalid {text:?}: {}", wrong.why)).hint(wrong.forms)
                    })?);
                }
                element => canonical.push(self.of(element, one, &path)?),
            }
        }
        Ok(Node::new(Value::List(canonical), node.place))
    }

    fn object(self, object: &Object, node: Node, path: &str) -> Result<Node, Fault> {
        let place = node.place;
        let node = match (object.short, node.scalar()) {
            (Some(short), Some(_)) => short(&node).ok().and_then(|all| all.into_iter().next()).unwrap_or(node),
            _ => node,
        };
        let Value::Map(map) = node.value else {
            return Err(Fault::new(place, format!("{path} must be a map, not {}", kind(&node))));
        };
        let mut canonical = Map::new();
        for (key, Entry { key: at, node }) in map {
            if key.starts_with("x-") {
                canonical.insert(key, Entry { key: at, node });
                continue;
            }
            let Some((_, shape)) = object.keys.iter().find(|(known, _)| *known == key) else {
                let fault = Fault::new(
                    at,
                    format!("unknown key {key:?} in {}", if path.is_empty() { object.name } else { path }),
                );
                let known = object.keys.iter().map(|(known, _)| *known);
                return Err(match guess(&key, known) {
                    Some(meant) => fault.hint(format!("did you mean {meant}?")),
                    None if object.keys.len() < 16 => {
                        let known: Vec<_> = object.keys.iter().map(|(known, _)| *known).collect();
                        fault.hint(format!("keys: {}; your own begin with x-", known.join(", ")))
                    }
                    None => fault.hint("keys of your own begin with x-"),
                });
            };
            // A key without a value is one that is not given, unless it takes back what another file says.
            if node.is_null() && node.tag == Tag::None {
                continue;
            }
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let node = self.of(shape, node, &below)?;
            canonical.insert(key, Entry { key: at, node });
        }
        Ok(Node::new(Value::Map(canonical), place))
    }

    fn names(self, object: &'static Object, node: Node, path: &str) -> Result<Node, Fault> {
        let place = node.place;
        let mut canonical = match node.value {
            Value::List(list) => {
                let mut map = Map::new();
                for one in list {
                    let name =
                        one.scalar().ok_or_else(|| Fault::new(one.place, format!("{path} is a list of names")))?;
                    let node = Node::new(Value::Null, one.place);
                    map.insert(name.to_owned(), Entry { key: one.place, node });
                }
                map
            }
            Value::Map(map) => map,
            _ => return Err(Fault::new(place, format!("{path} must be a list or a map, not {}", kind(&node)))),
        };
        let is_dependency = object.name == "a dependency";
        for (name, entry) in &mut canonical {
            let below = format!("{path}.{name}");
            let node = std::mem::replace(&mut entry.node, Node::new(Value::Null, place));
            entry.node = match node.is_null() {
                true if is_dependency => Node::map_at(node.place, []),
                true => node,
                false => self.of(&Shape::Object(object), node, &below)?,
            };
            if is_dependency && entry.node.tag != Tag::Reset {
                let at = entry.node.place;
                if entry.node.get("condition").is_none() {
                    entry.node.put("condition", Node::text_at("service_started", at));
                }
                if entry.node.get("required").is_none() {
                    entry.node.put("required", Node::new(Value::Bool(true), at));
                }
            }
        }
        Ok(Node::new(Value::Map(canonical), place))
    }
}

const ULIMIT: Object = Object { name: "a limit", keys: &[("hard", Shape::Int), ("soft", Shape::Int)], short: None };
const EXTERNAL: Object = Object { name: "external", keys: &[("name", Shape::Text)], short: None };

/// What a message calls a node of the wrong kind.
fn kind(node: &Node) -> String {
    match &node.value {
        Value::Null => "empty".into(),
        Value::Bool(set) => set.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::Text(text) => format!("the text {text:?}"),
        Value::List(_) => "a list".into(),
        Value::Map(_) => "a map".into(),
    }
}

fn check_name(path: &str, name: &str, at: crate::compose::place::Place) -> Result<(), Fault> {
    let is_of_resource = ["services", "networks", "volumes", "secrets", "configs"].contains(&path);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if !is_of_resource || is_name {
        return Ok(());
    }
    Err(Fault::new(at, format!("invalid name {name:?} in {path}")).hint("letters, digits, . _ and -"))
}

fn pairs(node: Node, path: &str) -> Result<Node, Fault> {
    let place = node.place;
    let mut canonical = Map::new();
    match node.value {
        Value::List(list) => {
            for one in list {
                let Some(text) = one.scalar() else {
                    let fault =
                        Fault::new(one.place, format!("{path}: an element must be NAME=VALUE, not {}", kind(&one)));
                    return Err(fault.hint("as a list: - NAME=VALUE; as a map: NAME: VALUE"));
                };
                let (name, value) = match text.split_once('=') {
                    Some((name, value)) => (name, Node::text_at(value, one.place)),
                    None => (text, Node::new(Value::Null, one.place)),
                };
                if name.is_empty() {
                    return Err(Fault::new(one.place, format!("{path}: {text:?} has no name")));
                }
                canonical.insert(name.to_owned(), Entry { key: one.place, node: value });
            }
        }
        Value::Map(map) => {
            for (name, Entry { key, node }) in map {
                if matches!(node.value, Value::List(_) | Value::Map(_)) {
                    let what = kind(&node);
                    return Err(Fault::new(node.place, format!("{path}.{name} must be a text, not {what}")));
                }
                let value = node.scalar().map_or(Value::Null, |text| Value::Text(text.to_owned()));
                canonical.insert(name, Entry { key, node: Node { value, ..node } });
            }
        }
        _ => return Err(Fault::new(place, format!("{path} must be a map or a list, not {}", kind(&node)))),
    }
    Ok(Node::new(Value::Map(canonical), place))
}

fn hosts(node: Node, path: &str) -> Result<Node, Fault> {
    let place = node.place;
    let mut all = Vec::new();
    match node.value {
        Value::List(list) => {
            for one in list {
                let parts = one.scalar().and_then(|text| text.split_once('=').or_else(|| text.split_once(':')));
                let Some((name, address)) = parts.filter(|(name, address)| !name.is_empty() && !address.is_empty())
                else {
                    return Err(Fault::new(
                        one.place,
                        format!("{path}: an element must be NAME=IP, not {}", kind(&one)),
                    ));
                };
                all.push(Node::text_at(format!("{name}={}", address.trim_matches(['[', ']'])), one.place));
            }
        }
        Value::Map(map) => {
            for (name, Entry { node, .. }) in map {
                let addresses = if let Value::List(list) = node.value { list } else { vec![node] };
                for address in addresses {
                    let text = address
                        .scalar()
                        .ok_or_else(|| Fault::new(address.place, format!("{path}.{name} must be an address")))?;
                    all.push(Node::text_at(format!("{name}={text}"), address.place));
                }
            }
        }
        _ => return Err(Fault::new(place, format!("{path} must be a list or a map, not {}", kind(&node)))),
    }
    Ok(Node::new(Value::List(all), place))
}

/// Writes nanoseconds as Go does: `1m30s`.
fn in_go_s_format(nanoseconds: i64) -> String {
    const SECOND: i64 = 1_000_000_000;
    let decimal = |number: i64, unit: i64| {
        let text = format!("{}.{:0width$}", number / unit, number % unit, width = unit.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanoseconds {
        0 => "0s".into(),
        ns if ns < 1000 => format!("{ns}ns"),
        ns if ns < 1_000_000 => format!("{}µs", decimal(ns, 1000)),
        ns if ns < SECOND => format!("{}ms", decimal(ns, 1_000_000)),
        ns => {
            let (hours, minutes) = (ns / (3600 * SECOND), ns / (60 * SECOND) % 60);
            let seconds = decimal(ns % (60 * SECOND), SECOND);
            match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}
