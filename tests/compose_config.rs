//! Compose files: what is read, merged, filled in and refused, as `compose config` tells it.

use crate::common::Sandbox;
use serde_json::{Value, json};
use std::fs;

fn put(sandbox: &Sandbox, name: &str, text: &str) {
    let path = sandbox.file(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The project of a file, as JSON.
#[track_caller]
fn config(sandbox: &Sandbox, text: &str) -> Value {
    put(sandbox, "compose.yaml", text);
    config_of(sandbox, &[])
}

#[track_caller]
fn config_of(sandbox: &Sandbox, flags: &[&str]) -> Value {
    let words = [&["compose", "-p", "app"], flags, &["config", "--format", "json"]].concat();
    let said = sandbox.ok(&words);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// A file with one service, from the lines of that service.
fn service(lines: &str) -> String {
    let lines: Vec<String> = lines.lines().map(|line| format!("    {line}")).collect();
    format!("services:\n  web:\n    image: alpine\n{}\n", lines.join("\n"))
}

/// `~` in an expected value is the directory of the files.
fn with_home(sandbox: &Sandbox, value: &Value) -> Value {
    let text = value.to_string().replace('~', sandbox.file("").to_str().unwrap().trim_end_matches('/'));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn each_form_of_a_key_has_one_canonical_form() {
    let sandbox = Sandbox::new();
    for (lines, key, expected) in [
        ("command: sh -c 'echo \"a b\"' x", "command", json!(["sh", "-c", "echo \"a b\"", "x"])),
        ("command: [a, b c]", "command", json!(["a", "b c"])),
        ("entrypoint: /bin/sh -e", "entrypoint", json!(["/bin/sh", "-e"])),
        ("environment: [A=1, B=, C=x=y]", "environment", json!({"A": "1", "B": "", "C": "x=y"})),
        (
            "environment: {A: 1, B: true, C: null, D: 1.50}",
            "environment",
            json!({"A": "1", "B": "true", "C": null, "D": "1.50"}),
        ),
        ("labels: [a.b=1, c]", "labels", json!({"a.b": "1", "c": null})),
        (
            "ports: ['8080:80']",
            "ports/0",
            json!({"mode": "ingress", "published": "8080", "target": 80, "protocol": "tcp"}),
        ),
        (
            "ports: ['127.0.0.1:53:5353/udp']",
            "ports/0",
            json!({"mode": "ingress", "host_ip": "127.0.0.1", "published": "53", "target": 5353, "protocol": "udp"}),
        ),
        ("ports: [80]", "ports/0", json!({"mode": "ingress", "target": 80, "protocol": "tcp"})),
        (
            "ports: ['8000-8001:90-91']",
            "ports/1",
            json!({"mode": "ingress", "published": "8001", "target": 91, "protocol": "tcp"}),
        ),
        ("ports: ['8000-8010:80']", "ports/0/published", json!("8000-8010")),
        ("ports: [{target: 80, published: 8080}]", "ports/0", json!({"published": "8080", "target": 80})),
        (
            "volumes: ['./a:/b:ro']",
            "volumes/0",
            json!({"type": "bind", "source": "~/a", "target": "/b", "read_only": true, "bind": {"create_host_path": true}}),
        ),
        ("volumes: [/b]", "volumes/0", json!({"type": "volume", "target": "/b", "volume": {}})),
        ("volumes: ['../a:/b:rslave']", "volumes/0/bind/propagation", json!("rslave")),
        (
            "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}]",
            "volumes/0/tmpfs",
            json!({"size": "1048576", "mode": "0700"}),
        ),
        ("tmpfs: /run", "tmpfs", json!(["/run"])),
        ("dns: [9.9.9.9, 1.1.1.1]", "dns", json!(["9.9.9.9", "1.1.1.1"])),
        (
            "extra_hosts: ['a:10.0.0.1', 'b=::1', 'c:host-gateway']",
            "extra_hosts",
            json!(["a=10.0.0.1", "b=::1", "c=host-gateway"]),
        ),
        ("extra_hosts: {a: 10.0.0.1}", "extra_hosts", json!(["a=10.0.0.1"])),
        (
            "ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5}",
            "ulimits",
            json!({"nofile": {"soft": 10, "hard": 20}, "nproc": 5}),
        ),
        ("mem_limit: 1.5g", "mem_limit", json!("1610612736")),
        ("stop_grace_period: 90s", "stop_grace_period", json!("1m30s")),
        (
            "healthcheck: {test: curl localhost, interval: 1500ms}",
            "healthcheck",
            json!({"test": ["CMD-SHELL", "curl localhost"], "interval": "1.5s"}),
        ),
        (
            "healthcheck: {test: [CMD, true], retries: '4'}",
            "healthcheck",
            json!({"test": ["CMD", "true"], "retries": 4}),
        ),
        ("build: ./src", "build", json!({"context": "~/src", "dockerfile": "Dockerfile"})),
        (
            "build: {context: 'https://example.org/x.git', args: [A=1], target: t}",
            "build",
            json!({"context": "https://example.org/x.git", "dockerfile": "Dockerfile", "args": {"A": "1"}, "target": "t"}),
        ),
        (
            "build: {dockerfile_inline: 'FROM alpine'}",
            "build",
            json!({"context": "~", "dockerfile_inline": "FROM alpine"}),
        ),
        (
            "devices: ['/dev/null:/dev/x:r']",
            "devices/0",
            json!({"source": "/dev/null", "target": "/dev/x", "permissions": "r"}),
        ),
        (
            "deploy: {replicas: 3, resources: {limits: {cpus: '0.5', memory: 64m}}}",
            "deploy",
            json!({"replicas": 3, "resources": {"limits": {"cpus": 0.5, "memory": "67108864"}}}),
        ),
        ("sysctls: [net.core.somaxconn=1024]", "sysctls", json!({"net.core.somaxconn": "1024"})),
        ("logging: {driver: json-file, options: {max-size: 1m}}", "logging/options", json!({"max-size": "1m"})),
        ("develop: {watch: [{action: sync, path: ./src, target: /src}]}", "develop/watch/0/path", json!("~/src")),
        ("init: true\nread_only: yes\ntty: 'true'", "read_only", json!(true)),
        ("x-mine: {any: [thing]}", "x-mine", json!({"any": ["thing"]})),
        ("networks: []", "networks", json!({})),
        ("user: 1000", "user", json!("1000")),
        ("profiles:", "networks", json!({"default": null})),
        ("network_mode: host", "network_mode", json!("host")),
        ("cap_add: [NET_ADMIN, NET_ADMIN]", "cap_add", json!(["NET_ADMIN"])),
    ] {
        let found = config(&sandbox, &service(lines));
        let found = found.pointer(&format!("/services/web/{key}"));
        assert_eq!(found, Some(&with_home(&sandbox, &expected)), "{lines}");
    }
    // Dependencies, networks and what is given go by name.
    let found = config(
        &sandbox,
        "services:\n  web: {image: a, depends_on: [db], networks: [back], secrets: [s], configs: [{source: c, target: /c}], volumes: ['data:/data']}\n  \
         db: {image: a, network_mode: none}\nnetworks: {back: {driver: bridge}}\nvolumes: {data: , unused: }\n\
         secrets: {s: {file: ./s}}\nconfigs: {c: {content: x}}\n",
    );
    assert_eq!(
        found["services"]["web"]["depends_on"],
        json!({"db": {"condition": "service_started", "required": true}})
    );
    assert_eq!(found["services"]["web"]["secrets"], json!([{"source": "s"}]));
    assert_eq!(found["networks"], json!({"back": {"name": "app_back", "driver": "bridge"}}));
    assert_eq!(found["volumes"], json!({"data": {"name": "app_data"}}));
    assert_eq!(found["secrets"], with_home(&sandbox, &json!({"s": {"name": "app_s", "file": "~/s"}})));
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let sandbox = Sandbox::new();
    let web = "services:\n  web:\n    image: alpine\n";
    let mut wrong = Vec::new();
    for (text, place, what, hint) in [
        ("services:\n  web:\n    imge: nginx\n", "3:5", "unknown key \"imge\" in services.web", "did you mean image?"),
        ("servces:\n  web: {}\n", "1:1", "unknown key \"servces\"", "did you mean services?"),
        (&format!("{web}    port: ['80']\n"), "4:5", "unknown key \"port\"", "did you mean ports?"),
        (&format!("{web}    wibble: 1\n"), "4:5", "unknown key \"wibble\"", "begin with x-"),
        (&format!("{web}    ports: '80'\n"), "4:12", "services.web.ports must be a list, not the text \"80\"", ""),
        (&format!("{web}    ports: ['80:80:80:80']\n"), "4:13", "invalid \"80:80:80:80\"", "8080:80"),
        (&format!("{web}    ports: ['99999:80']\n"), "4:13", "invalid \"99999:80\"", "8080:80"),
        (&format!("{web}    ports: ['9-8:80']\n"), "4:13", "ends before it begins", "8080:80"),
        (
            &format!("{web}    ports: [{{published: 80}}, {{tarjet: 1}}]\n"),
            "4:31",
            "unknown key \"tarjet\"",
            "did you mean target?",
        ),
        (&format!("{web}    volumes: ['a:b:c:d']\n"), "4:15", "more than three parts", "./HOST/DIR"),
        (&format!("{web}    volumes: ['./a:/b:rp']\n"), "4:15", "unknown option \"rp\"", "ro, rw"),
        (&format!("{web}    volumes: ['data:/b']\n"), "4:15", "refers to the volume \"data\"", "define it"),
        (&format!("{web}    volumes: [{{type: bind, target: /b}}]\n"), "4:15", "the bind has no source", "source:"),
        (&format!("{web}    volumes: [{{type: vol, target: /b}}]\n"), "4:22", "unknown word \"vol\"", "volume"),
        (&format!("{web}    environment: [A=1, {{B: 2}}]\n"), "4:24", "must be NAME=VALUE", "- NAME=VALUE"),
        (&format!("{web}    environment: {{A: [1]}}\n"), "4:22", "services.web.environment.A must be a text", ""),
        (&format!("{web}    environment: x\n"), "4:18", "must be a map or a list", ""),
        (&format!("{web}    depends_on: [db]\n"), "4:18", "refers to the service \"db\"", ""),
        (
            &format!("{web}    depends_on: [wbe]\n  wbee: {{image: a}}\n"),
            "4:18",
            "refers to the service \"wbe\"",
            "did you mean wbee?",
        ),
        (
            &format!("{web}    depends_on: {{db: {{condition: service_helthy}}}}\n"),
            "4:34",
            "unknown word \"service_helthy\"",
            "did you mean service_healthy?",
        ),
        (&format!("{web}    networks: [back]\n"), "4:16", "refers to the network \"back\"", "networks: {back: }"),
        (
            &format!("{web}    networks: [x]\n    network_mode: host\nnetworks: {{x: }}\n"),
            "5:19",
            "exclude each other",
            "leave one out",
        ),
        (&format!("{web}    secrets: [s]\n"), "4:15", "refers to the secret \"s\"", "secrets: {s: }"),
        (&format!("{web}    restart: [a]\n"), "4:14", "must be a text, not a list", ""),
        (&format!("{web}    init: maybe\n"), "4:11", "must be true or false, not the text \"maybe\"", ""),
        (&format!("{web}    scale: many\n"), "4:12", "must be a whole number", ""),
        (&format!("{web}    cpus: fast\n"), "4:11", "must be a number", ""),
        (&format!("{web}    mem_limit: lots\n"), "4:16", "must be a size, such as 64m", ""),
        (&format!("{web}    stop_grace_period: 10\n"), "4:24", "a time with its unit", ""),
        (&format!("{web}    command: \"sh 'x\"\n"), "4:14", "a quotation mark is not closed", ""),
        (&format!("{web}    healthcheck: {{tests: x}}\n"), "4:19", "unknown key \"tests\"", "did you mean test?"),
        (&format!("{web}    deploy: {{replica: 2}}\n"), "4:14", "unknown key \"replica\"", "did you mean replicas?"),
        (&format!("{web}    env_file: missing.env\n"), "4:15", "missing.env", "required: false"),
        (&format!("{web}    image: nginx\n"), "4:5", "stands twice", "line 3"),
        (
            &format!("{web}    container_name: x\n    scale: 2\n"),
            "4:21",
            "cannot share one name",
            "leave out container_name",
        ),
        (&format!("{web}    scale: 2\n    deploy: {{replicas: 3}}\n"), "4:12", "scale and deploy.replicas differ", ""),
        (
            &format!("{web}    extends: {{service: bse}}\n  base: {{image: a}}\n"),
            "4:24",
            "no service \"bse\"",
            "did you mean base?",
        ),
        (&format!("{web}    extends: web\n"), "4:14", "extends itself in a circle", ""),
        (&format!("{web}    extends: {{file: none.yaml, service: a}}\n"), "4:14", "none.yaml", ""),
        (&format!("{web}    build: {{dockerfile: a, dockerfile_inline: b}}\n"), "4:25", "exclude each other", ""),
        (&format!("{web}    hostname: ${{A\n"), "4:15", "closing brace is missing", "$$"),
        (&format!("{web}    hostname: ${{NOT_SET:?say it}}\n"), "4:15", "NOT_SET is not set: say it", "NOT_SET=VALUE"),
        (&format!("{web}    hostname: a$\n"), "4:15", "names no variable", "$$"),
        (&format!("{web}   x: 1\n"), "4:4", "invalid YAML", ""),
        (&format!("{web}\t- x\n"), "3:12", "found a tab", "no tabs"),
        (&format!("{web}    labels: *none\n"), "4:13", "invalid YAML", ""),
        ("services:\n  web: {}\n", "2:3", "neither an image nor a build", "image: nginx"),
        ("services:\n  web: 5\n", "2:8", "must be a map, not the number 5", ""),
        ("services: []\n", "1:11", "services must be a map, not a list", ""),
        ("services:\n  'a b': {image: a}\n", "2:3", "invalid name \"a b\"", ""),
        ("name: My App\nservices: {a: {image: a}}\n", "1:7", "invalid project name \"My App\"", "small letters"),
        ("volumes: {}\n", "1:1", "there are no services", ""),
        ("", "1:1", "the file is empty", ""),
        ("services: {a: {image: a}}\nvolumes: {v: {external: true, driver: x}}\n", "2:11", "external", ""),
        ("services: {a: {image: a}}\nsecrets: {s: {}}\n", "2:11", "needs one of file and environment", "file: ./s.txt"),
        ("services: {a: {image: a}}\ninclude: [none.yaml]\n", "2:11", "none.yaml", ""),
    ] {
        put(&sandbox, "bad.yaml", text);
        let words: &[&str] = if text.contains("name:") {
            &["compose", "-f", "bad.yaml", "config"]
        } else {
            &["compose", "-p", "app", "-f", "bad.yaml", "config"]
        };
        let said = sandbox.run(words);
        let first = said.stderr.lines().next().unwrap_or_default();
        let shown = said.stderr.lines().find_map(|line| line.strip_prefix("hint:")).unwrap_or_default();
        let is_placed = first.starts_with(&format!("error: bad.yaml:{place}")) && first.contains(what);
        if said.code != 1 || !is_placed || !shown.contains(hint) {
            wrong.push(format!("{text}\n{}\nexpected {place} {what} {hint}", said.streams()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    put(&sandbox, "bad.yaml", "services:\n  web:\n    imge: nginx\n");
    let said = sandbox.fails(1, &["compose", "-f", "bad.yaml", "config"]);
    assert!(said.contains("\n  3 |     imge: nginx\n    |     ^\n"), "{said}");
}

#[test]
fn services_that_wait_for_each_other_are_refused() {
    let sandbox = Sandbox::new();
    put(
        &sandbox,
        "compose.yaml",
        "services: {a: {image: a, depends_on: [b]}, b: {image: a, links: [c]}, c: {image: a, network_mode: 'service:a'}}",
    );
    let said = sandbox.fails(1, &["compose", "config"]);
    assert!(said.contains("in a circle: a → b → c → a"), "{said}");
}

#[test]
fn files_are_merged_by_the_rules_of_their_keys() {
    let sandbox = Sandbox::new();
    put(
        &sandbox,
        "compose.yaml",
        "services:\n  web:\n    image: one\n    command: [a, b]\n    environment: {A: 1, B: 2}\n    ports: ['80:80', '81:81']\n    \
         volumes: ['./x:/data', '/keep']\n    dns: 1.1.1.1\n    labels: {l: 1}\n    logging: {driver: json-file, options: {max-size: 1m}}\n    \
         cap_add: [CHOWN]\n    ulimits: {nofile: 5}\n    depends_on: [db]\n    tmpfs: [/t]\n    expose: [1]\n  db: {image: db}\n",
    );
    put(
        &sandbox,
        "compose.override.yaml",
        "services:\n  web:\n    image: two\n    command: c\n    environment: [B=3, C=4]\n    ports: ['80:80', '82:82']\n    \
         volumes: ['./y:/data']\n    dns: [2.2.2.2]\n    labels: [m=2]\n    logging: {driver: local}\n    cap_add: !override [KILL]\n    \
         ulimits: {nofile: {soft: 1, hard: 2}}\n    depends_on: {db: {condition: service_healthy}}\n    tmpfs: !reset []\n    expose: !reset null\n",
    );
    let web = &config_of(&sandbox, &[])["services"]["web"];
    assert_eq!((&web["image"], &web["command"]), (&json!("two"), &json!(["c"])));
    assert_eq!(web["environment"], json!({"A": "1", "B": "3", "C": "4"}));
    let published: Vec<&Value> = web["ports"].as_array().unwrap().iter().map(|port| &port["published"]).collect();
    assert_eq!(published, ["80", "81", "82"]);
    let sources: Vec<&Value> = web["volumes"].as_array().unwrap().iter().map(|mount| &mount["source"]).collect();
    assert_eq!(json!(sources), with_home(&sandbox, &json!(["~/y", null])));
    assert_eq!(web["dns"], json!(["1.1.1.1", "2.2.2.2"]));
    assert_eq!(web["labels"], json!({"l": "1", "m": "2"}));
    assert_eq!(web["logging"], json!({"driver": "local"}));
    assert_eq!((&web["cap_add"], &web["ulimits"]), (&json!(["KILL"]), &json!({"nofile": {"soft": 1, "hard": 2}})));
    assert_eq!(web["depends_on"], json!({"db": {"condition": "service_healthy", "required": true}}));
    assert!(web.get("tmpfs").is_none() && web.get("expose").is_none(), "{web}");
    // Files that are named are the only ones, and documents of one file follow each other.
    let only = config_of(&sandbox, &["-f", "compose.yaml"]);
    assert_eq!(only["services"]["web"]["image"], "one");
    put(
        &sandbox,
        "two.yaml",
        "services: {web: {image: a}}\n---\nservices: {web: {hostname: h, depends_on: !reset null}, db: !reset null}\n",
    );
    let both = config_of(&sandbox, &["-f", "compose.yaml", "-f", "two.yaml", "-f", "two.yaml"]);
    assert_eq!(both["services"]["web"]["hostname"], "h");
    assert!(both["services"].get("db").is_none());
}

#[test]
fn variables_come_from_the_caller_from_files_and_from_defaults() {
    let sandbox = Sandbox::new();
    put(&sandbox, ".env", "TAG=1.0 # the version\nNAME='$x'\nBOTH=file\nCOMPOSE_PROJECT_NAME=named\n");
    put(
        &sandbox,
        "compose.yaml",
        "services:\n  web:\n    image: a:${TAG}\n    hostname: ${NONE:-d-${BOTH}}\n    environment:\n      - BOTH\n      - NAME=${NAME}\n      \
         - MONEY=$$5\n      - PROJECT=${COMPOSE_PROJECT_NAME}\n      - UNSET\n    labels: {empty: \"${NONE}\"}\n",
    );
    let mut command = sandbox.command(&["compose", "config", "--format", "json"]);
    let said = crate::common::finish(command.env("BOTH", "caller"));
    assert!(said.stderr.contains("the variable NONE is not set"), "{}", said.stderr);
    let found: Value = serde_json::from_str(&said.ok()).unwrap();
    let web = &found["services"]["web"];
    assert_eq!(
        (&found["name"], &web["image"], &web["hostname"]),
        (&json!("named"), &json!("a:1.0"), &json!("d-caller"))
    );
    let environment = json!({"BOTH": "caller", "NAME": "$$x", "MONEY": "$$5", "PROJECT": "named", "UNSET": null});
    assert_eq!(web["environment"], environment);
    put(&sandbox, "other.env", "TAG=2.0\n");
    let found = config_of(&sandbox, &["--env-file", "other.env"]);
    assert_eq!(found["services"]["web"]["image"], "a:2.0");
    let kept = sandbox.ok(&["compose", "config", "--no-interpolate"]);
    assert!(kept.contains("image: a:${TAG}") && kept.contains("hostname: ${NONE:-d-${BOTH}}"), "{kept}");
    // What is printed is read again as the same.
    let printed = sandbox.ok(&["compose", "config"]);
    put(&sandbox, "again/compose.yaml", &printed);
    assert_eq!(sandbox.ok(&["compose", "--project-directory", "again", "-f", "again/compose.yaml", "config"]), printed);
}

#[test]
fn texts_that_look_like_something_else_are_printed_in_quotes() {
    let sandbox = Sandbox::new();
    let odd = [
        "yes",
        "1.0",
        "0x1f",
        "",
        "- a",
        "a: b",
        "a #b",
        "'q'",
        "two\nlines\n",
        "\ttab",
        "12:30",
        "null",
        "~",
        "*a",
        "&a",
        "@x",
        "1e3",
        "{}",
        "a:",
        "./p",
        "-x",
        "é",
        " b",
        "b ",
    ];
    let quoted: Vec<String> = odd.iter().map(|text| serde_json::to_string(text).unwrap()).collect();
    let file = format!("services: {{web: {{image: a, command: [{}]}}}}", quoted.join(", "));
    let first = config(&sandbox, &file);
    assert_eq!(first["services"]["web"]["command"], json!(odd));
    let printed = sandbox.ok(&["compose", "-p", "app", "config"]);
    assert_eq!(config(&sandbox, &printed), first, "{printed}");
}

#[test]
fn env_files_are_read_into_the_environment() {
    let sandbox = Sandbox::new();
    put(&sandbox, "a.env", "A=1\nB=${A}2\nC='x y'\nexport D=4\n");
    put(&sandbox, "b.env", "B=b\n");
    put(&sandbox, "raw.env", "R='$A'\n");
    let found = config(
        &sandbox,
        &service(
            "env_file:\n  - a.env\n  - path: b.env\n  - {path: gone.env, required: false}\n  - {path: raw.env, format: raw}\nenvironment: {D: own}",
        ),
    );
    let expected = json!({"A": "1", "B": "b", "C": "x y", "D": "own", "R": "'$$A'"});
    assert_eq!(found["services"]["web"]["environment"], expected);
    assert!(found["services"]["web"].get("env_file").is_none());
    put(&sandbox, "wrong.env", "A=1\n=2\n");
    put(&sandbox, "compose.yaml", &service("env_file: wrong.env"));
    let said = sandbox.fails(1, &["compose", "config"]);
    assert!(said.contains("compose.yaml:4:15") && said.contains("line 2"), "{said}");
}

#[test]
fn services_extend_others_and_files_include_files() {
    let sandbox = Sandbox::new();
    put(
        &sandbox,
        "base/common.yaml",
        "services:\n  base:\n    image: base\n    build: ./ctx\n    environment: {A: 1, B: 1}\n  more:\n    extends: base\n    labels: {m: 1}\n",
    );
    put(
        &sandbox,
        "part/compose.yaml",
        "services:\n  db:\n    image: db:${V}\n    volumes: ['./data:/d']\nvolumes: {inner: }\n",
    );
    put(&sandbox, "part/.env", "V=9\n");
    put(
        &sandbox,
        "compose.yaml",
        "include:\n  - part/compose.yaml\nservices:\n  web:\n    extends: {file: base/common.yaml, service: more}\n    environment: {B: 2}\n    depends_on: [db]\n  \
         own:\n    extends: web\n    image: own\n",
    );
    let found = config_of(&sandbox, &[]);
    let web = &found["services"]["web"];
    assert_eq!(web["build"]["context"], with_home(&sandbox, &json!("~/base/ctx")));
    assert_eq!((&web["environment"], &web["labels"]), (&json!({"A": "1", "B": "2"}), &json!({"m": "1"})));
    assert_eq!(
        (&found["services"]["own"]["image"], &found["services"]["own"]["labels"]),
        (&json!("own"), &json!({"m": "1"}))
    );
    assert_eq!(found["services"]["db"]["image"], "db:9");
    assert_eq!(found["services"]["db"]["volumes"][0]["source"], with_home(&sandbox, &json!("~/part/data")));
    put(&sandbox, "clash.yaml", "include: [part/compose.yaml]\nservices: {db: {image: other}}\n");
    let said = sandbox.fails(1, &["compose", "-f", "clash.yaml", "config"]);
    assert!(said.contains("clash.yaml:2:12") && said.contains("included"), "{said}");
    put(&sandbox, "loop.yaml", "include: [loop.yaml]\nservices: {a: {image: a}}\n");
    assert!(sandbox.fails(1, &["compose", "-f", "loop.yaml", "config"]).contains("in a circle"));
}

#[test]
fn anchors_and_merge_keys() {
    let sandbox = Sandbox::new();
    let found = config(
        &sandbox,
        "x-a: &a {image: one, labels: {x: 1}}\nx-b: &b {image: two, hostname: h}\nservices:\n  web:\n    <<: [*a, *b]\n    init: true\n  db: {<<: *b, image: own}\n",
    );
    let (web, db) = (&found["services"]["web"], &found["services"]["db"]);
    assert_eq!((&web["image"], &web["hostname"], &web["labels"]), (&json!("one"), &json!("h"), &json!({"x": "1"})));
    assert_eq!((&db["image"], &db["hostname"]), (&json!("own"), &json!("h")));
    // Aliases of aliases end before the memory does.
    let mut bomb = "x-0: &a0 [a, a, a, a, a, a, a, a, a, a]\n".to_owned();
    for level in 1..12 {
        let all = vec![format!("*a{}", level - 1); 10];
        bomb += &format!("x-{level}: &a{level} [{}]\n", all.join(", "));
    }
    put(&sandbox, "compose.yaml", &bomb);
    assert!(sandbox.fails(1, &["compose", "config"]).contains("stand for too much"));
    put(&sandbox, "compose.yaml", &"[".repeat(5000));
    assert!(sandbox.fails(1, &["compose", "config"]).contains("compose.yaml:1:"));
}

#[test]
fn profiles_select_services() {
    let sandbox = Sandbox::new();
    put(
        &sandbox,
        "compose.yaml",
        "services: {web: {image: a}, debug: {image: b, profiles: [dev, test], depends_on: [web]}, tool: {image: c, profiles: [tools]}, needs: {image: d, profiles: [n], depends_on: [tool]}}",
    );
    let services = |flags: &[&str]| sandbox.ok(&[&["compose"], flags, &["config", "--services"]].concat());
    assert_eq!(services(&[]), "web\n");
    assert_eq!(services(&["--profile", "test"]), "debug\nweb\n");
    assert_eq!(services(&["--profile", "*"]), "debug\nneeds\ntool\nweb\n");
    assert_eq!(sandbox.ok(&["compose", "config", "--services", "debug"]), "debug\nweb\n");
    assert_eq!(sandbox.ok(&["compose", "config", "--profiles"]), "dev\nn\ntest\ntools\n");
    let mut command = sandbox.command(&["compose", "config", "--services"]);
    assert_eq!(crate::common::finish(command.env("COMPOSE_PROFILES", "tools,n")).ok(), "needs\ntool\nweb\n");
    let said = sandbox.fails(1, &["compose", "--profile", "n", "config"]);
    assert!(said.contains("whose profiles are not enabled") && said.contains("--profile tools"), "{said}");
    let said = sandbox.fails(1, &["compose", "config", "wbe"]);
    assert!(said.contains("no such service: wbe") && said.contains("did you mean web?"), "{said}");
}

#[test]
fn lists_and_hashes_of_what_is_in_a_file() {
    let sandbox = Sandbox::new();
    let file = |image: &str| {
        format!(
            "services: {{web: {{build: ., volumes: ['v:/v']}}, db: {{image: '{image}', pull_policy: always}}}}\nvolumes: {{v: }}\nnetworks: {{n: }}\n"
        )
    };
    put(&sandbox, "compose.yaml", &file("db"));
    let of = |flag: &[&str]| sandbox.ok(&[&["compose", "-p", "app", "config"], flag].concat());
    assert_eq!((of(&["--images"]), of(&["--volumes"])), ("app-web\ndb\n".into(), "v\n".into()));
    assert_eq!(of(&["--networks"]), "default\nn\n");
    assert_eq!((of(&["--quiet"]), of(&["--services"])), (String::new(), "db\nweb\n".into()));
    let before = of(&["--hash", "*"]);
    put(&sandbox, "compose.yaml", &file("db").replace("always", "never"));
    assert_eq!(of(&["--hash", "*"]), before);
    put(&sandbox, "compose.yaml", &file("other"));
    let after = of(&["--hash", "*"]);
    let changed = before.lines().zip(after.lines()).filter(|(before, after)| before != after).count();
    assert_eq!((changed, after.lines().count()), (1, 2));
    let first = of(&["--hash", "db"]);
    assert!(first.starts_with("db ") && first.trim_end().len() == 3 + 64, "{first}");
    of(&["-o", "out.yaml"]);
    assert!(fs::read_to_string(sandbox.file("out.yaml")).unwrap().starts_with("name: app\nservices:\n"));
}

#[test]
fn the_file_is_found_above_and_the_project_named_by_its_directory() {
    let sandbox = Sandbox::new();
    put(&sandbox, "My.App_1/docker-compose.yml", "services: {web: {image: a, build: .}}");
    put(&sandbox, "My.App_1/sub/dir/file", "");
    let mut command = sandbox.command(&["compose", "config", "--format", "json"]);
    let said = crate::common::finish(command.current_dir(sandbox.file("My.App_1/sub/dir")));
    let found: Value = serde_json::from_str(&said.ok()).unwrap();
    assert_eq!(found["name"], "myapp_1");
    assert_eq!(found["services"]["web"]["build"]["context"], with_home(&sandbox, &json!("~/My.App_1")));
    // There is none, a name is wrong, a file is missing; and one comes through a pipe.
    assert!(sandbox.fails(1, &["compose", "--project-directory", "/", "config"]).contains("no compose file"));
    assert!(sandbox.fails(1, &["compose", "-p", "Big", "config"]).contains("hint:"));
    assert!(sandbox.fails(1, &["compose", "-f", "none.yaml", "config"]).contains("cannot read"));
    let piped = sandbox.run_with_input(&["compose", "-p", "x", "-f", "-", "config"], b"services: {a: {image: b}}").ok();
    assert!(piped.contains("image: b"), "{piped}");
}

#[test]
fn a_long_file_is_read_at_once() {
    let sandbox = Sandbox::new();
    let mut file = "services:\n".to_owned();
    for number in 0..200 {
        file += &format!(
            "  s{number}:\n    image: a:${{TAG:-1}}\n    environment:\n      A: 1\n      B: $$2\n    ports:\n      - '{}:80'\n    labels:\n      l: x\n    restart: always\n",
            2000 + number
        );
    }
    put(&sandbox, "compose.yaml", &file);
    let begun = std::time::Instant::now();
    assert_eq!(sandbox.ok(&["compose", "config", "--services"]).lines().count(), 200);
    // Of 2,000 lines; a debug build on a busy machine is many times slower than what people run.
    assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
}
