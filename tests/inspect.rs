//! `inspect`: Docker's documents of containers and images, and the templates that people type.

use crate::common::Sandbox;
use serde_json::{Value, json};

/// An image with every setting that a Dockerfile knows.
fn with_settings(sandbox: &Sandbox) {
    let context = sandbox.file("context");
    std::fs::create_dir(&context).unwrap();
    let steps = r#"FROM alpine
ENV FROM_IMAGE=yes
LABEL of=image shared=image
EXPOSE 80 53/udp
VOLUME /kept
USER nobody
WORKDIR /srv
HEALTHCHECK --interval=5s CMD true
STOPSIGNAL SIGINT
ENTRYPOINT ["sh", "-c"]
CMD ["sleep 600"]
"#;
    std::fs::write(context.join("Dockerfile"), steps).unwrap();
    sandbox.ok(&["build", "-q", "-t", "settings", "context"]);
}

fn one(sandbox: &Sandbox, words: &[&str]) -> Value {
    let all: Value = serde_json::from_str(&sandbox.ok(words)).unwrap();
    all[0].clone()
}

#[test]
fn a_container_s_settings_are_those_that_hold() {
    let sandbox = Sandbox::with_alpine();
    with_settings(&sandbox);
    let flags = ["-e", "OWN=1", "-l", "shared=own", "--hostname", "box", "--cap-add", "NET_ADMIN", "-m", "64m"];
    let more =
        ["--cpus", "1.5", "-p", "127.0.0.1:8099:80", "--ulimit", "nofile=100:200", "-v", "data:/data:ro", "--init"];
    let words =
        [&["create", "--name", "typed", "--tmpfs", "/scratch"], &flags[..], &more, &["settings", "sleep 5"]].concat();
    sandbox.ok(&words);
    let shown = one(&sandbox, &["inspect", "typed"]);
    let config = &shown["Config"];
    for (field, expected) in [
        ("Cmd", json!(["sleep 5"])),
        ("Entrypoint", json!(["sh", "-c"])),
        ("User", json!("nobody")),
        ("WorkingDir", json!("/srv")),
        ("Hostname", json!("box")),
        ("Domainname", json!("")),
        ("Labels", json!({"of": "image", "shared": "own"})),
        ("ExposedPorts", json!({"53/udp": {}, "80/tcp": {}})),
        ("Volumes", json!({"/kept": {}})),
        ("StopSignal", json!("SIGINT")),
        ("Image", json!("settings")),
        ("Tty", json!(false)),
        ("OpenStdin", json!(false)),
        ("OnBuild", Value::Null),
    ] {
        assert_eq!(config[field], expected, "{field}: {config}");
    }
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD-SHELL", "true"]));
    let env: Vec<&str> = config["Env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(env.first() == Some(&"OWN=1") && env.contains(&"FROM_IMAGE=yes"), "{env:?}");
    assert_eq!((&shown["Path"], &shown["Args"]), (&json!("sh"), &json!(["-c", "sleep 5"])));
    let host = &shown["HostConfig"];
    for (field, expected) in [
        ("Binds", json!(["data:/data:ro"])),
        ("CapAdd", json!(["CAP_NET_ADMIN"])),
        ("CapDrop", Value::Null),
        ("Memory", json!(64 << 20)),
        ("NanoCpus", json!(1_500_000_000)),
        ("PortBindings", json!({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8099"}]})),
        ("Privileged", json!(false)),
        ("Tmpfs", json!({"/scratch": ""})),
        ("Ulimits", json!([{"Name": "nofile", "Soft": 100, "Hard": 200}])),
        ("NetworkMode", json!("bridge")),
        ("Init", json!(true)),
        ("ShmSize", json!(64 << 20)),
        ("CpusetCpus", json!("")),
        ("Devices", json!([])),
        ("VolumesFrom", Value::Null),
    ] {
        assert_eq!(host[field], expected, "{field}: {host}");
    }
    for (field, expected) in [
        ("Status", json!("created")),
        ("Running", json!(false)),
        ("Paused", json!(false)),
        ("Restarting", json!(false)),
        ("OOMKilled", json!(false)),
        ("Dead", json!(false)),
        ("Pid", json!(0)),
        ("Error", json!("")),
    ] {
        assert_eq!(shown["State"][field], expected, "{field}");
    }
    assert_eq!(shown["Name"], "/typed");
    assert!(shown["Image"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(shown["Mounts"].as_array().unwrap().len(), 2);
    // Without a command of its own it has the image's; an entry point resets it.
    sandbox.ok(&["create", "--name", "plain", "settings"]);
    assert_eq!(sandbox.look("plain", "{{.Config.Entrypoint}} {{.Config.Cmd}}"), "[sh -c] [sleep 600]");
    sandbox.ok(&["create", "--name", "reset", "--entrypoint", "", "settings", "true"]);
    assert_eq!(sandbox.look("reset", "{{.Config.Entrypoint}} {{.Config.Cmd}} {{.Path}}"), "[] [true] true");
}

#[test]
fn the_templates_that_people_type() {
    let sandbox = Sandbox::with_alpine();
    with_settings(&sandbox);
    let id = sandbox.ok(&["create", "--name", "web", "-v", "data:/data", "settings"]).trim_end().to_owned();
    let image = sandbox.ok(&["images", "-q", "--no-trunc", "settings"]).trim_end().to_owned();
    let cases = [
        ("{{.ID}} {{.Id}}", format!("{id} {id}")),
        ("{{.Name}}", "/web".into()),
        ("{{.Image}}", image.clone()),
        ("{{.State.ExitCode}} {{.State.Status}}", "0 created".into()),
        ("{{.NetworkSettings.IPAddress}}|", "|".into()),
        ("{{range .NetworkSettings.Networks}}<{{.IPAddress}}>{{end}}", "<>".into()),
        ("{{range $name, $conf := .NetworkSettings.Networks}}{{$name}}{{end}}", "bridge".into()),
        (r#"{{index .Config.Labels "of"}}|{{index .Config.Labels "none"}}|"#, "image||".into()),
        ("{{.Config.Labels.of}}", "image".into()),
        (r#"{{range .Mounts}}{{if eq .Name "data"}}{{.Type}} {{.Destination}}{{end}}{{end}}"#, "volume /data".into()),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none".into()),
        ("{{json .Config.Cmd}}", r#"["sleep 600"]"#.into()),
        ("{{join .Config.Entrypoint \" \"}}", "sh -c".into()),
        ("{{.HostConfig.NanoCPUs}} {{.HostConfig.NanoCpus}}", "0 0".into()),
        ("{{.HostConfig.Binds}} {{.HostConfig.CapAdd}}", "[data:/data] []".into()),
        (r#"{{printf "%s-%d" .Name .State.Pid}}"#, "/web-0".into()),
        ("{{.GraphDriver.Data.Nothing}}", "<no value>".into()),
        ("{{.HostConfig.LogConfig.Type}}", "json-file".into()),
        (r#"{{range $p, $c := .Config.ExposedPorts}}{{$p}} {{end}}"#, "53/udp 80/tcp".into()),
    ];
    for (template, expected) in cases {
        assert_eq!(sandbox.look("web", template), expected, "{template}");
    }
    for (template, expected) in [
        ("{{.ID}}", image.as_str()),
        ("{{.RepoTags}}", "[settings:latest]"),
        ("{{len .RootFS.Layers}} {{.RootFS.Type}}", "2 layers"),
        ("{{.Os}} {{.Config.User}} {{.Config.WorkingDir}}", "linux nobody /srv"),
        ("{{.Config.OnBuild}} {{.Config.Shell}}", "[] <no value>"),
        ("{{.DockerVersion}}{{.Author}}{{.Parent}}|", "|"),
    ] {
        assert_eq!(sandbox.look("settings", template), expected, "{template}");
    }
    let json = sandbox.ok(&["inspect", "-f", "json", "web"]);
    assert_eq!(json, sandbox.ok(&["inspect", "-f", "{{json .}}", "web"]));
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), one(&sandbox, &["inspect", "web"]));
    for wrong in ["{{.Nothing}}", "{{.State.Nothing}}", "{{.Config.Label}}"] {
        let said = sandbox.fails(1, &["inspect", "-f", wrong, "web"]);
        assert!(said.contains("no field"), "{said}");
    }
}

#[test]
fn several_objects_types_and_sizes() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("alpha");
    sandbox.ok(&["exec", "alpha", "sh", "-c", "printf 1234567 >/seven"]);
    let output = sandbox.run(&["inspect", "-f", "{{.Id}}", "alpha", "nobody", "alpine"]);
    assert_eq!((output.code, output.stdout.lines().count()), (1, 2), "{}", output.streams());
    assert!(output.stderr.contains("no such container or image: nobody"), "{}", output.stderr);
    let output = sandbox.run(&["inspect", "nobody"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, "[]\n"), "{}", output.streams());
    sandbox.fails(1, &["inspect", "--type", "image", "alpha"]);
    sandbox.fails(1, &["inspect", "--type", "container", "alpine"]);
    sandbox.fails(1, &["image", "inspect", "alpha"]);
    let sized = one(&sandbox, &["inspect", "-s", "alpha"]);
    assert_eq!(sized["SizeRw"], 7);
    assert!(sized["SizeRootFs"].as_u64().unwrap() > 1_000_000, "{sized}");
    assert!(one(&sandbox, &["inspect", "alpha"]).get("SizeRw").is_none());
    assert_eq!(one(&sandbox, &["container", "inspect", "--size", "alpha"])["SizeRw"], 7);
}
