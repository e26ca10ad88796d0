//! A compose file as a tree whose nodes know where they stand.

use crate::compose::place::Place;
use indexmap::IndexMap;
use serde_json::Value as Json;

/// What a tag says about merging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tag {
    #[default]
    None,
    /// `!reset`: what the files before say is dropped.
    Reset,
    /// `!override`: it takes the place of what the files before say.
    Override,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number as it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub value: Value,
    pub place: Place,
    pub tag: Tag,
}

/// A value of a map, and where its key stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub key: Place,
    pub node: Node,
}

pub(crate) type Map = IndexMap<String, Entry>;

impl Node {
    pub(crate) fn new(value: Value, place: Place) -> Self {
        Self { value, place, tag: Tag::None }
    }

    pub(crate) fn text_at(text: impl Into<String>, place: Place) -> Self {
        Self::new(Value::Text(text.into()), place)
    }

    pub(crate) fn map_at(place: Place, entries: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        let entry = |(key, node): (&str, Self)| (key.to_owned(), Entry { key: node.place, node });
        Self::new(Value::Map(entries.into_iter().map(entry).collect()), place)
    }

    pub(crate) fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Returns the text of any scalar.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn map(&self) -> Option<&Map> {
        if let Value::Map(map) = &self.value { Some(map) } else { None }
    }

    pub(crate) fn map_mut(&mut self) -> Option<&mut Map> {
        if let Value::Map(map) = &mut self.value { Some(map) } else { None }
    }

    /// Returns the elements of a list; none where it is no list.
    pub(crate) fn list(&self) -> &[Self] {
        if let Value::List(list) = &self.value { list } else { &[] }
    }

    /// Returns the value of a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.get(key).map(|entry| &entry.node)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.map_mut()?.get_mut(key).map(|entry| &mut entry.node)
    }

    /// Returns the text of a key of a map.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.scalar()
    }

    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.get(key).is_some_and(|node| node.value == Value::Bool(true))
    }

    /// Returns the texts of a list of scalars.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        let list = self.get(key).map_or(&[][..], Self::list);
        list.iter().filter_map(|node| node.scalar().map(str::to_owned)).collect()
    }

    /// Returns the entries of a map under a key.
    pub(crate) fn entries(&self, key: &str) -> impl Iterator<Item = (&String, &Self)> {
        self.get(key).and_then(Self::map).into_iter().flatten().map(|(name, entry)| (name, &entry.node))
    }

    pub(crate) fn put(&mut self, key: &str, node: Self) {
        if let Some(map) = self.map_mut() {
            map.insert(key.to_owned(), Entry { key: node.place, node });
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Self> {
        self.map_mut()?.shift_remove(key).map(|entry| entry.node)
    }

    /// Doubles each dollar sign, so that the text is read again as it is.
    pub(crate) fn escape_dollars(&mut self) {
        match &mut self.value {
            Value::Text(text) if text.contains('$') => *text = text.replace('$', "$$"),
            Value::List(list) => list.iter_mut().for_each(Self::escape_dollars),
            Value::Map(map) => map.values_mut().for_each(|entry| entry.node.escape_dollars()),
            _ => {}
        }
    }

    /// Returns it as JSON, with keys in order.
    pub(crate) fn json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(set) => Json::Bool(*set),
            Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone())),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(list) => Json::Array(list.iter().map(Self::json).collect()),
            Value::Map(map) => {
                let mut entries: Vec<_> = map.iter().map(|(key, entry)| (key.clone(), entry.node.json())).collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                Json::Object(entries.into_iter().collect())
            }
        }
    }
}
