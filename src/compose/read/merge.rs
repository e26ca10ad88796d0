//! One canonical tree over another, by the tables: maps are joined, lists appended, scalars and commands replaced.

use super::node::{Entry, Map, Node, Tag, Value};
use super::schema::{Key, Shape};

/// Puts `over` over `base`.
pub(crate) fn merge(shape: &Shape, base: Node, over: Node) -> Node {
    if over.tag != Tag::None || base.tag == Tag::Reset {
        return over;
    }
    if over.is_null() {
        return base;
    }
    let place = over.place;
    match (shape, base.value, over.value) {
        (Shape::Object(object), Value::Map(base), Value::Map(over)) => {
            let driver = |map: &Map| map.get("driver").and_then(|entry| entry.node.scalar().map(str::to_owned));
            // The options of one log driver say nothing to another.
            let is_other_driver =
                object.name == "logging" && driver(&base).zip(driver(&over)).is_some_and(|(base, over)| base != over);
            if is_other_driver {
                return Node::new(Value::Map(over), place);
            }
            let of_key =
                |key: &str| object.keys.iter().find(|(known, _)| *known == key).map_or(&Shape::Any, |(_, shape)| shape);
            Node::new(Value::Map(joined(base, over, |key, base, over| merge(of_key(key), base, over))), place)
        }
        (Shape::Map(element), Value::Map(base), Value::Map(over)) => {
            Node::new(Value::Map(joined(base, over, |_, base, over| merge(element, base, over))), place)
        }
        (Shape::Names(object), Value::Map(base), Value::Map(over)) => {
            let element = Shape::Object(object);
            Node::new(Value::Map(joined(base, over, |_, base, over| merge(&element, base, over))), place)
        }
        (Shape::Pairs, Value::Map(base), Value::Map(over)) => {
            Node::new(Value::Map(joined(base, over, |_, _, over| over)), place)
        }
        (Shape::Any, Value::Map(base), Value::Map(over)) => {
            Node::new(Value::Map(joined(base, over, |_, base, over| merge(&Shape::Any, base, over))), place)
        }
        (Shape::List(..) | Shape::Lines(_) | Shape::Hosts | Shape::Any, Value::List(mut base), Value::List(over)) => {
            base.extend(over);
            Node::new(Value::List(base), place)
        }
        (_, _, over) => Node::new(over, place),
    }
}

fn joined(mut base: Map, over: Map, both: impl Fn(&str, Node, Node) -> Node) -> Map {
    for (key, Entry { key: at, node }) in over {
        match base.get_mut(&key) {
            Some(entry) => {
                let before = std::mem::replace(&mut entry.node, Node::new(Value::Null, at));
                // A key that is replaced altogether stands in the later file.
                entry.node = both(&key, before, node);
            }
            None => drop(base.insert(key, Entry { key: at, node })),
        }
    }
    base
}

/// Removes what is reset, and makes elements with one key one: the last of them, in the place of the first.
pub(crate) fn settle(shape: &Shape, node: &mut Node) {
    node.tag = Tag::None;
    match (shape, &mut node.value) {
        (Shape::Object(object), Value::Map(map)) => {
            map.retain(|_, entry| entry.node.tag != Tag::Reset);
            for (key, entry) in map {
                let shape = object.keys.iter().find(|(known, _)| known == key).map_or(&Shape::Any, |(_, shape)| shape);
                settle(shape, &mut entry.node);
            }
        }
        (Shape::Map(element), Value::Map(map)) => {
            map.retain(|_, entry| entry.node.tag != Tag::Reset);
            map.values_mut().for_each(|entry| settle(element, &mut entry.node));
        }
        (Shape::Names(object), Value::Map(map)) => {
            map.retain(|_, entry| entry.node.tag != Tag::Reset);
            map.values_mut().for_each(|entry| settle(&Shape::Object(object), &mut entry.node));
        }
        (Shape::List(element, key), Value::List(list)) => {
            list.retain(|one| one.tag != Tag::Reset);
            list.iter_mut().for_each(|one| settle(element, one));
            unify(list, *key);
        }
        (Shape::Lines(element), Value::List(list)) => {
            list.iter_mut().for_each(|one| settle(element, one));
            unify(list, |one| one.scalar().map(str::to_owned));
        }
        (Shape::Hosts, Value::List(list)) => unify(list, |one| one.scalar().map(str::to_owned)),
        (_, Value::Map(map)) => map.retain(|_, entry| entry.node.tag != Tag::Reset),
        _ => {}
    }
}

fn unify(list: &mut Vec<Node>, key: Key) {
    let mut kept: Vec<(Option<String>, Node)> = Vec::with_capacity(list.len());
    for node in list.drain(..) {
        let own = key(&node);
        match kept.iter_mut().find(|(known, _)| own.is_some() && *known == own) {
            Some((_, earlier)) => *earlier = node,
            None => kept.push((own, node)),
        }
    }
    list.extend(kept.into_iter().map(|(_, node)| node));
}
