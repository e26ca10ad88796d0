//! `where`, `explain` and `compare` against what the container itself, `du` and the kernel say.

mod common;

use common::{Sandbox, wait_until};
use serde_json::Value;
use std::collections::HashSet;
use std::process::Command;

/// `layered`: alpine, a second layer that changes, deletes and adds, and a container `top` that does so again.
fn layered() -> Sandbox {
    let sandbox = Sandbox::with_alpine();
    let second = "echo second >/etc/motd; echo both >/both; rm /etc/issue; mkdir -p /d/deep; echo 2 >/d/deep/f; \
                  echo gone >/gone; ln -s /d /link";
    sandbox.ok(&["run", "--network", "none", "--name", "second", "alpine", "sh", "-c", second]);
    sandbox.ok(&["commit", "second", "layered"]);
    let top = "echo more >>/both; echo upper >/upper; rm /gone; rm -r /d; mkdir /d; echo 3 >/d/new; echo x >/mnt/host; \
               exec sleep 1000";
    let mount = format!("{}:/mnt", sandbox.file("mounted").display());
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "top", "-v", &mount, "layered", "sh", "-c", top]);
    wait_until("it has done it", || sandbox.file("mounted/host").exists());
    sandbox
}

fn json(sandbox: &Sandbox, words: &[&str]) -> Value {
    let said = sandbox.run(words);
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}", said.streams()))
}

/// What `where` says of a path in short: each place with what is there, `*` before the one that is seen.
fn places(sandbox: &Sandbox, path: &str) -> Vec<String> {
    let found = json(sandbox, &["where", "--json", "top", path]);
    let short = |sighting: &Value| {
        let place = match &sighting["place"] {
            Value::String(name) => name.clone(),
            place if place["layer"].is_object() => format!("layer{}", place["layer"]["number"]),
            _ => "mount".into(),
        };
        let what = match &sighting["what"] {
            Value::String(name) => name.clone(),
            what => what.to_string(),
        };
        format!("{}{place} {what}", if sighting["is_seen"] == true { "*" } else { "" })
    };
    found["sightings"].as_array().unwrap().iter().map(short).collect()
}

#[test]
fn where_tells_every_layer_that_has_a_file() {
    let sandbox = layered();
    for (path, expected) in [
        ("/etc/motd", &["*layer2 file", "layer1 file"][..]),
        ("/both", &[r#"*writableLayer {"copiedUp":{"from":2}}"#, "layer2 file"]),
        ("/upper", &["*writableLayer file"]),
        ("/etc/issue", &[r#"layer2 {"deleted":"/etc/issue"}"#, "layer1 file"]),
        ("/gone", &[r#"writableLayer {"deleted":"/gone"}"#, "layer2 file"]),
        ("/d/new", &["*writableLayer file"]),
        ("/d/deep/f", &[r#"writableLayer {"hiddenBy":"/d"}"#, "layer2 file"]),
        ("/link", &[r#"*layer2 {"link":"/d"}"#]),
        ("/etc/alpine-release", &["*layer1 file"]),
        ("/mnt/host", &["*mount mounted"]),
        ("/etc/hosts", &["*mount mounted", "layer1 file"]),
    ] {
        // Where fuse-overlayfs lays the layers, or they are copied, no file says that it was copied up.
        let found = places(&sandbox, path);
        assert_eq!(found, expected, "{path}");
        let exists = sandbox.run(&["exec", "top", "sh", "-c", &format!("test -e {path} || test -L {path}")]).code == 0;
        assert_eq!(exists, found.iter().any(|line| line.starts_with('*')), "{path}: {found:?}");
    }
    let through = json(&sandbox, &["where", "--json", "top", "/link/new"]);
    assert_eq!((&through["resolved"], &through["through"][0][0]), (&"/d/new".into(), &"/link".into()));
    // The size is that of the contents.
    let both = json(&sandbox, &["where", "--json", "top", "/both"]);
    assert_eq!(both["sightings"][0]["size"], "both\nmore\n".len());
    // An image has no writable layer.
    let image = json(&sandbox, &["where", "--json", "layered", "/both"]);
    assert_eq!(image["sightings"].as_array().unwrap().len(), 1);
    let said = sandbox.fails(1, &["where", "top", "/no/such"]);
    assert!(said.contains("/no/such is not in top"), "{said}");
    assert!(sandbox.run(&["where", "--lang", "ru", "top", "/gone"]).stdout.contains("удалён"));
    // Alone, a path is looked for in the newest container.
    assert!(sandbox.ok(&["where", "/upper"]).contains("in top comes from: writable layer"));
}

#[test]
fn explain_counts_what_diff_and_du_count() {
    let sandbox = layered();
    let drawn = json(&sandbox, &["explain", "--json", "top"]);
    let writable = &drawn["container"]["writable"];
    let diff = sandbox.ok(&["diff", "top"]);
    for (kind, name) in [("A", "added"), ("C", "changed"), ("D", "deleted")] {
        let count = diff.lines().filter(|line| line.starts_with(kind)).count();
        assert_eq!(writable[name], count, "{name}: {diff}");
    }
    assert_eq!(writable["on_disk"], du(writable["directory"].as_str().unwrap()));
    let layers = drawn["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    assert!(layers[1]["instruction"].as_str().unwrap().contains("echo second >/etc/motd"), "{}", layers[1]);
    assert_eq!((&layers[0]["other_images"], &layers[1]["other_images"]), (&1.into(), &0.into()));
    assert_eq!(drawn["container"]["mounts"][0]["target"], "/mnt");

    let text = sandbox.ok(&["explain", "top"]);
    let order = ["/mnt", "writable layer", "layer 2", "layer 1"].map(|part| text.find(part).expect(part));
    assert!(order.is_sorted(), "{text}");
    assert!(text.contains("minirun rm top") && text.contains("minirun commit top NAME"), "{text}");
}

#[test]
fn compare_tells_an_image_and_a_container_apart() {
    let sandbox = layered();
    let told = &json(&sandbox, &["compare", "--json", "layered", "top"])["kinds"];
    let columns = ["frozen", "decided", "while_it_runs"].map(|column| told[column].as_object().unwrap());
    let mut names = HashSet::new();
    for name in columns.iter().flat_map(|column| column.keys()) {
        assert!(names.insert(name), "{name} stands in two columns");
    }
    assert_eq!(told["is_made_from"], true);
    let sum: u64 = json(&sandbox, &["explain", "--json", "layered"])["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["on_disk"].as_u64().unwrap())
        .sum();
    let layers = sandbox.stored("layers");
    let listed: u64 = layers.iter().map(|layer| du(&format!("{}/layers/{layer}", sandbox.root().display()))).sum();
    assert_eq!((&columns[0]["layers_on_disk"], sum), (&listed.into(), listed));

    for (kind, numbers) in columns[2]["namespaces"].as_object().unwrap() {
        let link = |text: String| text.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u64>().unwrap();
        let inside = link(sandbox.ok(&["exec", "top", "readlink", &format!("/proc/self/ns/{kind}")]));
        let outside = link(std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy().into_owned());
        assert_eq!((&numbers["container"], &numbers["host"]), (&inside.into(), &outside.into()), "{kind}");
        assert_eq!(numbers["isItsOwn"], true, "{kind}");
    }
    let runs = &columns[2];
    assert_eq!(runs["first_process"].to_string(), sandbox.look("top", "{{.State.Pid}}"));
    assert_eq!(runs["first_process_inside"], 1);
    let inside = sandbox.ok(&["exec", "top", "ip", "-o", "address"]);
    let inside = inside.lines().filter(|line| !line.contains("scope link"));
    let mut inside: Vec<&str> =
        inside.map(|line| line.split_whitespace().nth(3).unwrap().split('/').next().unwrap()).collect();
    inside.sort_unstable();
    let mut told_addresses: Vec<&str> =
        runs["addresses"].as_array().unwrap().iter().map(|address| address.as_str().unwrap()).collect();
    told_addresses.sort_unstable();
    assert_eq!(told_addresses, inside);
    // Said the other way round it is the same; in Russian it is all there too.
    assert_eq!(&json(&sandbox, &["compare", "--json", "top", "layered"])["kinds"]["frozen"], &told["frozen"]);
    let russian = sandbox.ok(&["compare", "--lang", "ru", "layered", "top"]);
    assert!(russian.contains("ЗАМОРОЖЕНО В ОБРАЗЕ") && !russian.contains("   ?"), "{russian}");
    let said = sandbox.fails(1, &["compare", "layred", "top"]);
    assert!(said.contains("did you mean: layered"), "{said}");
    // Of several names the one that was typed.
    sandbox.ok(&["tag", "layered", "another"]);
    for (typed, name) in [("top", "layered:latest"), ("layered", "layered:latest"), ("another", "another:latest")] {
        let drawn = sandbox.ok(&["explain", typed]);
        assert!(drawn.contains(&format!("image {name}")), "{typed}: {drawn}");
    }
    sandbox.ok(&["stop", "-t", "0", "top"]);
    assert!(sandbox.ok(&["compare", "layered", "top"]).contains("nothing: it does not run now"));
}

#[test]
fn two_containers_share_what_is_on_disk_once() {
    let sandbox = layered();
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "beside", "layered", "sleep", "1000"]);
    let told = &json(&sandbox, &["compare", "--json", "top", "beside"])["alike"];
    assert_eq!(told["shared"].as_array().unwrap().len(), 2);
    if let Some(cached) = told["shared_in_page_cache"].as_u64() {
        // Whoever ran has read busybox and its loader, and nothing is there twice.
        let disk = told["shared_on_disk"].as_u64().unwrap();
        assert!(cached > 500_000 && cached <= disk * 2, "{cached} of {disk}");
    }
    for side in told["sides"].as_array().unwrap() {
        assert!(side["layers"].as_array().unwrap().is_empty());
        assert_eq!(side["private_on_disk"], side["writable_on_disk"]);
        assert_eq!(side["private_on_disk"], du(side["decided"]["writable_directory"].as_str().unwrap()));
    }
    let images = &json(&sandbox, &["compare", "--json", "alpine", "layered"])["alike"];
    assert_eq!(images["shared"].as_array().unwrap().len(), 1);
    assert_eq!(images["sides"][1]["layers"].as_array().unwrap().len(), 1);
}

/// Bytes on disk as `du` counts them, by the user's own eyes: what belongs to the container's other ids is readable here.
fn du(path: &str) -> u64 {
    let output = Command::new("du").args(["-s", "--block-size=1", path]).output().expect("du");
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("du {path}: {output:?}"))
}
