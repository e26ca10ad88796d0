//! YAML becomes nodes: anchors, `<<`, and the types of plain scalars.

use super::node::{Entry, Map, Node, Tag, Value};
use crate::compose::fault::Fault;
use crate::compose::place::Place;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag as YamlTag};
use std::borrow::Cow;
use std::collections::HashMap;

/// More nodes than any file needs: aliases of aliases would fill the memory.
const MOST_NODES: usize = 500_000;

/// Lists and maps that stand within each other.
const DEEPEST: usize = 100;

/// Reads the documents of a file, which follow each other as override files do.
pub(crate) fn parse(text: &str, file: usize) -> Result<Vec<Node>, Fault> {
    let mut reader = Reader { parser: Parser::new_from_str(text), file, anchors: HashMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (event, span) => documents.push(reader.node(event, span, 0)?),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    file: usize,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            None => Ok((Event::StreamEnd, Span::default())),
            Some(Err(error)) => {
                let at = error.marker();
                let place = Place { file: self.file, line: at.line().max(1), column: at.col() + 1 };
                let fault = Fault::new(place, format!("invalid YAML: {}", error.info()));
                Err(match error.info() {
                    info if info.contains("tab") => fault.hint("indent with blanks; YAML takes no tabs"),
                    _ => fault,
                })
            }
        }
    }

    fn place(&self, span: Span) -> Place {
        Place { file: self.file, line: span.start.line(), column: span.start.col() + 1 }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fault> {
        let place = self.place(span);
        self.count(1, place)?;
        if depth > DEEPEST {
            return Err(Fault::new(place, "too many lists and maps within each other"));
        }
        let (mut node, anchor, tag) = match event {
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let node = known.ok_or_else(|| Fault::new(place, "the alias stands within its own anchor"))?;
                self.count(size(&node), place)?;
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.as_ref().is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let value =
                    if style == ScalarStyle::Plain && !is_text { plain(text) } else { Value::Text(text.into_owned()) };
                (Node::new(value, place), anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => list.push(self.node(event, span, depth + 1)?),
                    }
                }
                (Node::new(Value::List(list), place), anchor, tag)
            }
            Event::MappingStart(anchor, tag) => (self.mapping(place, depth)?, anchor, tag),
            _ => return Err(Fault::new(place, "invalid YAML")),
        };
        node.tag = merge_tag(tag.as_deref());
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn mapping(&mut self, place: Place, depth: usize) -> Result<Node, Fault> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let text = match &key.value {
                Value::Null => "",
                _ => key.scalar().ok_or_else(|| Fault::new(key.place, "a key is a word, not a list or a map"))?,
            };
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            if text == "<<" {
                merged.push(node);
                continue;
            }
            if let Some(first) = map.get(text) {
                let fault = Fault::new(key.place, format!("the key {text:?} stands twice in one map"));
                return Err(fault.hint(format!("it is in line {} already", first.key.line)));
            }
            map.insert(text.to_owned(), Entry { key: key.place, node });
        }
        for node in merged {
            let all = if let Value::List(list) = node.value { list } else { vec![node] };
            for one in all {
                let Value::Map(below) = one.value else {
                    return Err(Fault::new(one.place, "<< takes a map, or a list of maps"));
                };
                for (key, entry) in below {
                    map.entry(key).or_insert(entry);
                }
            }
        }
        Ok(Node::new(Value::Map(map), place))
    }

    fn count(&mut self, more: usize, place: Place) -> Result<(), Fault> {
        self.nodes += more;
        if self.nodes > MOST_NODES { Err(Fault::new(place, "the aliases stand for too much")) } else { Ok(()) }
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(list) => 1 + list.iter().map(size).sum::<usize>(),
        Value::Map(map) => 1 + map.values().map(|entry| size(&entry.node)).sum::<usize>(),
        _ => 1,
    }
}

fn merge_tag(tag: Option<&YamlTag>) -> Tag {
    match tag {
        Some(tag) if tag.handle == "!" && tag.suffix == "reset" => Tag::Reset,
        Some(tag) if tag.handle == "!" && tag.suffix == "override" => Tag::Override,
        _ => Tag::None,
    }
}

/// The type of a plain scalar in YAML's core schema.
fn plain(text: Cow<str>) -> Value {
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        number if is_number(number) => Value::Number(text.into_owned()),
        _ => Value::Text(text.into_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c))
        && text.parse::<f64>().is_ok()
}
