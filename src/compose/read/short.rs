//! The short forms: a text that stands for a map.

use super::node::{Node, Value};
use crate::network::ports;

/// Why a short form cannot be read, and the forms there are.
pub(crate) struct Wrong {
    pub why: String,
    pub forms: &'static str,
}

fn wrong(why: impl Into<String>, forms: &'static str) -> Wrong {
    Wrong { why: why.into(), forms }
}

type Long = Result<Vec<Node>, Wrong>;

fn text(node: &Node) -> &str {
    node.scalar().unwrap_or_default()
}

fn like(node: &Node, text: &str) -> Node {
    Node::text_at(text, node.place)
}

fn yes(node: &Node) -> Node {
    Node::new(Value::Bool(true), node.place)
}

pub(super) fn include(node: &Node) -> Long {
    let path = Node::new(Value::List(vec![node.clone()]), node.place);
    Ok(vec![Node::map_at(node.place, [("path", path)])])
}

pub(super) fn build(node: &Node) -> Long {
    Ok(vec![Node::map_at(node.place, [("context", node.clone())])])
}

pub(super) fn env_file(node: &Node) -> Long {
    Ok(vec![Node::map_at(node.place, [("path", node.clone()), ("required", yes(node))])])
}

pub(super) fn extends(node: &Node) -> Long {
    Ok(vec![Node::map_at(node.place, [("service", node.clone())])])
}

pub(super) fn grant(node: &Node) -> Long {
    Ok(vec![Node::map_at(node.place, [("source", node.clone())])])
}

pub(super) fn device(node: &Node) -> Long {
    const FORMS: &str = "forms: /dev/DEVICE, /dev/DEVICE:/dev/NAME, /dev/DEVICE:/dev/NAME:rwm";
    let parts: Vec<&str> = text(node).split(':').collect();
    let (source, target, permissions) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, target] => (source, target, "rwm"),
        [source, target, permissions] => (source, target, permissions),
        _ => return Err(wrong("it has more than three parts", FORMS)),
    };
    let long = [("source", source), ("target", target), ("permissions", permissions)];
    Ok(vec![Node::map_at(node.place, long.map(|(key, part)| (key, like(node, part))))])
}

pub(super) fn port(node: &Node) -> Long {
    const FORMS: &str = "forms: \"8080:80\", \"127.0.0.1:8080:80\", \"53:53/udp\", \"8000-8010:80-90\", \"80\"";
    let long = |host_ip: Option<&str>, published: Option<&str>, target: &str, protocol: &str| {
        let mut long = Node::map_at(node.place, [("mode", like(node, "ingress"))]);
        for (key, part) in [("host_ip", host_ip), ("published", published)] {
            part.into_iter().for_each(|part| long.put(key, like(node, part)));
        }
        long.put("target", Node::new(Value::Number(target.to_owned()), node.place));
        long.put("protocol", like(node, protocol));
        long
    };
    let whole = text(node);
    // One port of the container on any free one of a range.
    let (rest, protocol) = whole.split_once('/').unwrap_or((whole, "tcp"));
    if let Some((host, container)) = rest.rsplit_once(':')
        && !container.contains('-')
        && let (ip, range) = host.rsplit_once(':').map_or((None, host), |(ip, range)| (Some(ip), range))
        && let Some((first, last)) = range.split_once('-')
        && let (Ok(first), Ok(last), Ok(_)) = (first.parse::<u16>(), last.parse::<u16>(), container.parse::<u16>())
    {
        if first > last {
            return Err(wrong("its range ends before it begins", FORMS));
        }
        return Ok(vec![long(ip, Some(range), container, protocol)]);
    }
    let all = ports::parse(whole).map_err(|error| match error {
        ports::PortError::Syntax { why, .. } => wrong(why, FORMS),
        other => wrong(other.to_string(), FORMS),
    })?;
    let one = |port: &ports::PortSpec| {
        let published = (port.host_port > 0).then(|| port.host_port.to_string());
        let ip = port.host_ip.map(|ip| ip.to_string());
        long(ip.as_deref(), published.as_deref(), &port.container_port.to_string(), &port.protocol.to_string())
    };
    Ok(all.iter().map(one).collect())
}

pub(super) fn mount(node: &Node) -> Long {
    const FORMS: &str = "forms: NAME:/IN/CONTAINER, ./HOST/DIR:/IN/CONTAINER:ro, /IN/CONTAINER";
    let parts: Vec<&str> = text(node).split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(wrong("it has more than three parts", FORMS)),
    };
    if target.is_empty() || source == Some("") {
        return Err(wrong("a part of it is empty", FORMS));
    }
    let is_bind = source.is_some_and(|source| source.starts_with(['.', '/', '~']));
    let mut long = Node::map_at(node.place, [("type", like(node, if is_bind { "bind" } else { "volume" }))]);
    if let Some(source) = source {
        long.put("source", like(node, source));
    }
    long.put("target", like(node, target));
    let mut of_bind = Node::map_at(node.place, [("create_host_path", yes(node))]);
    let mut of_volume = Node::map_at(node.place, []);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => long.put("read_only", yes(node)),
            "rw" => {}
            "z" | "Z" => of_bind.put("selinux", like(node, option)),
            "nocopy" => of_volume.put("nocopy", yes(node)),
            "cached" | "delegated" | "consistent" => long.put("consistency", like(node, option)),
            "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" => {
                of_bind.put("propagation", like(node, option));
            }
            _ => return Err(wrong(format!("it has the unknown option {option:?}"), "options: ro, rw, z, Z, nocopy")),
        }
    }
    if is_bind {
        long.put("bind", of_bind)
    } else {
        long.put("volume", of_volume)
    }
    Ok(vec![long])
}
