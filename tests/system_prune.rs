//! `system prune` and `system df`, and what `info` and `version` tell programs.

use crate::common::Sandbox;
use serde_json::Value;

/// A sandbox with a stopped and a running container, a dangling image and a build cache.
fn used() -> (Sandbox, String, String) {
    let sandbox = Sandbox::with_alpine();
    let context = sandbox.file("context");
    std::fs::create_dir(&context).unwrap();
    let build = |text: &str| {
        std::fs::write(context.join("Dockerfile"), format!("FROM alpine\nCOPY data /data\nLABEL is={text}\n")).unwrap();
        std::fs::write(context.join("data"), text.repeat(1000)).unwrap();
        sandbox.ok(&["build", "-q", "-t", "built", "context"]).trim_end().to_owned()
    };
    let old = build("old");
    build("new");
    let stopped = sandbox.ok(&["create", "--name", "stopped", "-l", "keep", "alpine", "true"]).trim_end().to_owned();
    sandbox.sleeper("running");
    (sandbox, old, stopped)
}

#[test]
fn system_prune_removes_what_nothing_uses() {
    let (sandbox, old, stopped) = used();
    assert!(sandbox.fails(125, &["system", "prune"]).contains("minirun system prune --force"));
    let kept = sandbox.ok(&["system", "prune", "-f", "--filter", "until=24h"]);
    assert_eq!(kept, "Total reclaimed space: 0B\n");
    assert!(
        !sandbox.ok(&["system", "prune", "-f", "--filter", "label!=keep", "--filter", "label=keep"]).contains(&stopped)
    );
    let said = sandbox.ok(&["system", "prune", "--force"]);
    assert!(said.starts_with(&format!("Deleted Containers:\n{stopped}\n\nDeleted Images:\n")), "{said}");
    assert!(said.contains(&format!("deleted: {old}\n")) && !said.contains("untagged"), "{said}");
    assert!(said.lines().last().unwrap().starts_with("Total reclaimed space: "), "{said}");
    assert!(!said.ends_with(" 0B\n"), "{said}");
    assert_eq!(sandbox.ok(&["ps", "-a", "--format", "{{.Names}}"]), "running\n");
    assert_eq!(sandbox.ok(&["images", "--format", "{{.Repository}}"]).lines().count(), 2);
    assert_eq!(sandbox.ok(&["system", "prune", "-f"]), "Total reclaimed space: 0B\n");
    let said = sandbox.ok(&["system", "prune", "-af"]);
    assert!(said.contains("untagged: built:latest") && !said.contains("alpine"), "{said}");
    assert_eq!(sandbox.ok(&["images", "--format", "{{.Repository}}"]), "alpine\n");
    assert_eq!(sandbox.ok(&["system", "check"]), "Nothing is damaged.\n");
}

#[test]
fn system_prune_takes_anonymous_volumes_if_asked() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["volume", "create", "named"]);
    let anonymous = sandbox.ok(&["volume", "create"]).trim_end().to_owned();
    sandbox.ok(&["create", "--name", "one", "-v", "/own", "alpine", "true"]);
    let names = || sandbox.ok(&["volume", "ls", "-q"]);
    assert_eq!(names().lines().count(), 3);
    sandbox.ok(&["system", "prune", "-f"]);
    // The container has gone, and left its volume.
    assert_eq!(names().lines().count(), 3);
    assert!(sandbox.fails(125, &["system", "prune", "--volumes"]).contains("--force"));
    let kept = sandbox.ok(&["system", "prune", "-f", "--volumes", "--filter", "label=none"]);
    assert_eq!(kept, "Total reclaimed space: 0B\n");
    let said = sandbox.ok(&["system", "prune", "-f", "--volumes"]);
    assert!(said.contains("Deleted Volumes:\n") && said.contains(&anonymous), "{said}");
    assert_eq!(names(), "named\n");
    assert!(!sandbox.ok(&["system", "prune", "-f", "--volumes"]).contains("Deleted"));
}

#[test]
fn df_prints_through_templates_and_in_detail() {
    let (sandbox, ..) = used();
    let df = |format: &str| sandbox.ok(&["system", "df", "--format", format]);
    assert_eq!(
        df("{{.Type}}|{{.TotalCount}}|{{.Active}}").lines().take(2).collect::<Vec<_>>(),
        ["Images|3|1", "Containers|2|1"]
    );
    assert!(
        df("table {{.Type}}\t{{.Size}}").starts_with("TYPE          SIZE\nImages        "),
        "{}",
        df("table {{.Type}}\t{{.Size}}")
    );
    let first: Value = serde_json::from_str(df("json").lines().next().unwrap()).unwrap();
    assert!(first["Type"] == "Images" && first["Reclaimable"].as_str().unwrap().contains('%'), "{first}");
    assert!(sandbox.fails(1, &["system", "df", "--format", "{{.Name}}"]).contains("Reclaimable"));
    let said = sandbox.ok(&["system", "df", "-v"]);
    for text in [
        "Images space usage:\n\nIMAGE",
        "Containers space usage:\n\nCONTAINER ID",
        "Local Volumes",
        "Build cache usage: ",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(said.contains("stopped") && said.contains("built:latest"), "{said}");
}

#[test]
fn info_and_version_answer_docker_s_templates() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("one");
    let version = env!("CARGO_PKG_VERSION");
    for (words, expected) in [
        (["version", "-f", "{{.Server.Version}}"], version),
        (["version", "--format", "{{.Client.Version}} {{.Client.Os}}"], &format!("{version} linux")),
        (["info", "-f", "{{.ServerVersion}} {{.OSType}}"], &format!("{version} linux")),
        (["info", "-f", "{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}} {{.Images}}"], "1 1 0 1"),
        (["context", "inspect", "-f={{.Name}}"], "default"),
    ] {
        assert_eq!(sandbox.ok(&words).trim_end(), expected, "{words:?}");
    }
    for words in [["info", "-f", "{{json .}}"], ["version", "-f", "json"]] {
        serde_json::from_str::<Value>(&sandbox.ok(&words)).unwrap();
    }
    sandbox.ok(&["system", "info", "--format", "{{.DockerRootDir}}"]);
    assert!(sandbox.fails(1, &["info", "-f", "{{.Nothing}}"]).contains("no field"));
}

#[test]
fn there_is_one_context_and_one_builder() {
    let sandbox = Sandbox::with_alpine();
    assert_eq!(sandbox.ok(&["context", "show"]), "default\n");
    assert_eq!(sandbox.ok(&["context", "ls", "-q"]), "default\n");
    assert_eq!(sandbox.ok(&["context", "ls", "--format", "{{.Name}} {{.Current}}"]), "default true\n");
    assert_eq!(sandbox.ok(&["context", "use", "default"]), "default\n");
    assert!(sandbox.fails(1, &["context", "use", "other"]).contains("no such context: other"));
    assert_eq!(sandbox.ok(&["buildx", "ls", "--format", "{{.Name}} {{.Status}}"]), "default* running\n");
    assert!(sandbox.ok(&["builder", "du"]).contains("Total:"));
    assert!(sandbox.ok(&["buildx", "inspect"]).starts_with("Name:       default\n"));
    sandbox.fails(1, &["buildx", "inspect", "other"]);
    assert!(sandbox.ok(&["buildx", "version"]).starts_with("minirun "));
    assert!(sandbox.fails(1, &["buildx", "bake", "-f", "bake.hcl"]).contains("bake files"));
    let context = sandbox.file("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM alpine\nLABEL x=y\n").unwrap();
    sandbox.ok(&["buildx", "build", "-q", "-t", "one", "context"]);
    sandbox.ok(&["builder", "build", "-q", "-t", "two", "context"]);
    assert_eq!(sandbox.ok(&["images", "-q", "one"]), sandbox.ok(&["images", "-q", "two"]));
}

#[test]
fn unshare_runs_where_the_ids_of_containers_are_real() {
    let sandbox = Sandbox::with_alpine();
    assert_eq!(sandbox.ok(&["unshare", "id", "-u"]), "0\n");
    assert_eq!(sandbox.ok(&["unshare", "--", "sh", "-c", "echo $0 $1", "a", "-x"]), "a -x\n");
    assert_eq!(sandbox.run(&["unshare", "sh", "-c", "exit 7"]).code, 7);
    assert!(sandbox.fails(127, &["unshare", "no-such-command"]).contains("no-such-command"));
    let shell = sandbox.run_with_input(&["unshare"], b"echo from a shell\n");
    assert_eq!(shell.stdout, "from a shell\n");
}
