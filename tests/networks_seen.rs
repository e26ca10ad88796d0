//! `explain` of a network, and what `explain` and `compare` say of a container's networks.

use crate::common::{Sandbox, finish, free_port};
use serde_json::Value;

fn json(sandbox: &Sandbox, words: &[&str]) -> Value {
    let said = sandbox.ok(words);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
}

/// A server that listens before this returns.
fn server(sandbox: &Sandbox, name: &str, flags: &[&str], port: &str) {
    let serve = ["alpine", "nc", "-lk", "-p", port, "-e", "true"];
    sandbox.ok(&[&["run", "-d", "--init", "--name", name], flags, &serve].concat());
    let wait = "until grep -q ' 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done";
    sandbox.ok(&["exec", name, "timeout", "20", "sh", "-c", wait]);
}

#[test]
fn a_network_is_drawn_with_all_who_are_on_it() {
    let sandbox = Sandbox::with_alpine();
    let host = free_port().to_string();
    sandbox.ok(&["network", "create", "--subnet", "10.60.0.0/24", "--ipv6", "shop"]);
    let text = sandbox.ok(&["explain", "shop"]);
    assert!(text.contains("10.60.0.1") && text.contains("No running container is on it."), "{text}");
    server(&sandbox, "db", &["--network", "shop:alias=database,alias=storage"], "5432");
    let publish = format!("{host}:80");
    server(&sandbox, "web", &["-p", &publish, "--network", "shop", "--network", "bridge"], "80");
    sandbox.ok(&["create", "--name", "later", "--network", "shop", "alpine", "true"]);
    let told = json(&sandbox, &["explain", "--json", "shop"]);
    let inspected = |name: &str, field: &str| {
        sandbox.look(name, &format!("{{{{(index .NetworkSettings.Networks \"shop\").{field}}}}}"))
    };
    for (index, name) in ["db", "web"].into_iter().enumerate() {
        let member = &told["members"][index];
        assert_eq!(member["container"], name);
        assert_eq!(member["address"], inspected(name, "IPAddress"), "{member}");
        assert_eq!(member["address_v6"], inspected(name, "GlobalIPv6Address"), "{member}");
    }
    assert_eq!(told["members"][0]["aliases"], serde_json::json!(["database", "storage"]));
    assert_eq!(told["members"][0]["listening"], serde_json::json!(["*:5432/tcp"]));
    assert_eq!(told["members"][1]["published"], serde_json::json!([format!("{host} → 80/tcp")]));
    assert_eq!(told["not_running"], serde_json::json!(["later"]));
    // A published port leads to the first network.
    let bridge = json(&sandbox, &["explain", "--json", "bridge"]);
    assert_eq!(bridge["members"][0]["container"], "web", "{bridge}");
    assert_eq!(bridge["members"][0]["published"], serde_json::json!([]), "{bridge}");
    for (language, columns, words) in [
        ("en", "80", ["routed", "with a way out", "CONTAINER", "not running: later."]),
        ("ru", "80", ["с маршрутизацией", "с выходом", "КОНТЕЙНЕР", "не работают: later."]),
    ] {
        let drawing = finish(sandbox.command(&["explain", "--lang", language, "shop"]).env("COLUMNS", columns)).ok();
        for line in drawing.lines() {
            assert!(line.chars().count() <= 80, "{line}\n{drawing}");
        }
        let line = |start: &str| drawing.lines().find(|line| line.starts_with(start)).unwrap_or_default();
        assert!(line("├").contains("10.60.0.2") && line("├").contains("db"), "{drawing}");
        assert!(line("└").contains("10.60.0.3") && line("└").contains("web"), "{drawing}");
        let joined = drawing.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(joined.contains(word), "{word}\n{drawing}");
        }
    }
    // Who is gone is not drawn.
    sandbox.ok(&["kill", "db"]);
    sandbox.ok(&["wait", "db"]);
    let told = json(&sandbox, &["explain", "--json", "shop"]);
    assert_eq!(told["members"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["not_running"], serde_json::json!(["db", "later"]));
}

#[test]
fn a_container_goes_before_a_network_of_its_name() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "--internal", "--opt", "broadcast=true", "both"]);
    sandbox.ok(&["create", "--name", "both", "--network", "none", "alpine", "true"]);
    assert!(sandbox.ok(&["explain", "both"]).starts_with("container both of image"));
    let id = sandbox.ok(&["network", "inspect", "-f", "{{.Id}}", "both"]);
    let text = sandbox.ok(&["explain", id.trim()]);
    assert!(text.starts_with("network both (") && text.contains("a bridge") && text.contains("internal"), "{text}");
    let told = json(&sandbox, &["explain", "--json", id.trim()]);
    assert_eq!((&told["is_internal"], &told["has_broadcast"]), (&true.into(), &true.into()));
    let said = sandbox.fails(1, &["explain", "nothing-like-that"]);
    assert!(said.contains("no such container or image: nothing-like-that"), "{said}");
    // A network has no layers to list.
    sandbox.fails(1, &["explain", "--files", "bridge"]);
}

#[test]
fn a_container_shows_its_networks() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "--subnet", "10.61.0.0/24", "shop"]);
    sandbox.ok(&["run", "-d", "--init", "--name", "app", "--network", "shop:alias=front", "alpine", "sleep", "1000"]);
    let text = sandbox.ok(&["explain", "app"]);
    assert!(text.contains("\non network shop at 10.61.0.2, as app, front\n"), "{text}");
    let told = json(&sandbox, &["explain", "--json", "app"]);
    assert_eq!(told["container"]["networks"][0]["address"], "10.61.0.2", "{told}");
    let networks = |told: &Value| told["while_it_runs"]["networks"].clone();
    let told = json(&sandbox, &["compare", "--json", "alpine", "app"]);
    assert_eq!(networks(&told), serde_json::json!(["shop: 10.61.0.2 (app, front)"]), "{told}");
    sandbox.ok(&["network", "disconnect", "shop", "app"]);
    let told = json(&sandbox, &["compare", "--json", "alpine", "app"]);
    assert_eq!(networks(&told), Value::Null, "{told}");
    assert!(!sandbox.ok(&["explain", "app"]).contains("on network"));
}
