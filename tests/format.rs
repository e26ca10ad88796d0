//! `--format` and `--filter` of lists, as Docker documents them.

use crate::common::Sandbox;
use serde_json::Value;

/// The lines of a list.
fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn ps_prints_through_templates() {
    let sandbox = Sandbox::with_alpine();
    let id =
        sandbox.detached(&["--name", "web", "-l", "tier=front", "-l", "empty", "-v", "data:/data"], "exec sleep 600");
    sandbox.ok(&["create", "--name", "other", "alpine", "true"]);
    let ps = |format: &str| sandbox.ok(&["ps", "-a", "--format", format]);
    assert_eq!(ps("{{.Names}}"), "other\nweb\n");
    assert_eq!(ps("table {{.Names}}\t{{.State}}"), "NAMES     STATE\nother     created\nweb       running\n");
    assert_eq!(ps(r"table {{.Names}}\t{{.Networks}}"), "NAMES     NETWORKS\nother     bridge\nweb       none\n");
    assert_eq!(ps("{{upper .Names}}:{{.LocalVolumes}}:{{.Mounts}}"), "OTHER:0:\nWEB:1:data\n");
    assert_eq!(ps(r#"{{.Names}} {{.Label "tier"}} {{.Labels}}"#), "other  \nweb front empty=,tier=front\n");
    assert_eq!(ps(r#"table {{.Names}}\t{{.Label "tier"}}"#), "NAMES     TIER\nother\nweb       front\n");
    assert_eq!(ps(r#"{{range split .Names "e"}}<{{.}}>{{end}}"#), "<oth><r>\n<w><b>\n");
    assert_eq!(ps("{{if eq .State \"running\"}}{{slice .ID 0 4}}{{end}}"), format!("\n{}\n", &id[..4]));
    let first: Value = serde_json::from_str(ps("json").lines().last().unwrap()).unwrap();
    for (field, value) in
        [("ID", &id[..12]), ("Image", "alpine"), ("Names", "web"), ("State", "running"), ("Networks", "none")]
    {
        assert_eq!(first[field], value, "{first}");
    }
    assert_eq!(first["Command"], "\"sh -c 'exec sleep 6…\"");
    assert!(first["Status"].as_str().unwrap().starts_with("Up "), "{first}");
    assert!(first["CreatedAt"].as_str().unwrap().ends_with(" +0000 UTC"), "{first}");
    assert_eq!(ps("{{json .}}"), ps("json"));
    let headings = |text: &str| text.lines().next().map(|line| line.split_whitespace().collect::<String>());
    assert_eq!(headings(&ps("table")), headings(&sandbox.ok(&["ps", "-a"])));
    assert_eq!(sandbox.ok(&["ps", "-aq", "--format", "{{.Names}}"]), "other\nweb\n");
}

#[test]
fn a_wrong_template_is_refused_even_for_an_empty_list() {
    let sandbox = Sandbox::new();
    for command in [&["ps"][..], &["images"], &["image", "ls"], &["container", "ls", "-a"]] {
        let said = sandbox.fails(1, &[command, &["--format", "{{.Nothing}}"]].concat());
        assert!(said.contains("no field \"Nothing\"") && said.contains("fields: "), "{said}");
        let said = sandbox.fails(1, &[command, &["--format", "{{.ID"]].concat());
        assert!(said.contains("invalid template \"{{.ID\""), "{said}");
        let said = sandbox.fails(1, &[command, &["--filter", "colour=red"]].concat());
        assert!(said.contains("invalid filter \"colour=red\"") && said.contains("label"), "{said}");
        assert!(sandbox.fails(1, &[command, &["-f", "label"]].concat()).contains("KEY=VALUE"));
        sandbox.ok(&[command, &["--format", "{{.ID}} {{json .}}"]].concat());
        sandbox.ok(&[command, &["--format", ""]].concat());
    }
}

#[test]
fn ps_filters_by_every_key() {
    let sandbox = Sandbox::with_alpine();
    let context = sandbox.file("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM alpine\nLABEL from=image\nEXPOSE 80\nCOPY Dockerfile /\n")
        .unwrap();
    sandbox.ok(&["build", "-q", "-t", "child", "context"]);
    let first = sandbox.detached(&["--name", "first", "-l", "a=1", "-l", "b=2"], "exit 3");
    sandbox.ok(&["wait", "first"]);
    sandbox.ok(&["create", "--name", "second", "--network", "host", "-v", "data:/data", "-l", "a=2", "child"]);
    let third = sandbox.sleeper("third");
    let ps = |filters: &[&str]| {
        let flags: Vec<&str> = filters.iter().flat_map(|filter| ["--filter", *filter]).collect();
        let all = sandbox.ok(&[&["ps", "-a", "--format", "{{.Names}}"], &flags[..]].concat());
        all.lines().rev().collect::<Vec<_>>().join(" ")
    };
    let prefix = format!("id={}", &first[..10]);
    let cases: &[(&[&str], &str)] = &[
        (&["name=ir"], "first third"),
        (&["name=^/third$"], "third"),
        (&["name=^second$", "name=^first$"], "first second"),
        (&[&prefix], "first"),
        (&["label=a"], "first second"),
        (&["label=a=1"], "first"),
        (&["label=a", "label=b"], "first"),
        (&["label=from=image"], "second"),
        (&["exited=3"], "first"),
        (&["exited=0"], ""),
        (&["status=created"], "second"),
        (&["status=running"], "third"),
        (&["status=running", "status=exited"], "first third"),
        (&["status=paused"], ""),
        (&["ancestor=alpine"], "first second third"),
        (&["ancestor=child"], "second"),
        (&["ancestor=nothing"], ""),
        (&["before=third"], "first second"),
        (&["since=first"], "second third"),
        (&["since=first", "before=third"], "second"),
        (&["volume=data"], "second"),
        (&["volume=/data"], "second"),
        (&["network=none"], "first third"),
        (&["network=host"], "second"),
        (&["expose=80"], "second"),
        (&["expose=70-90/tcp"], "second"),
        (&["expose=80/udp"], ""),
        (&["publish=80"], ""),
        (&["health=none"], "first second third"),
        (&["is-task=false"], "first second third"),
        (&["is-task=true"], ""),
        (&["name=ir", "status=exited"], "first"),
    ];
    for (filters, expected) in cases {
        assert_eq!(ps(filters), *expected, "{filters:?}");
    }
    // A status that is asked for is listed without -a, too.
    assert_eq!(sandbox.ok(&["ps", "-q", "-f", "status=exited"]), format!("{}\n", &first[..12]));
    assert_eq!(sandbox.ok(&["ps", "-q", "-f", "name=t"]), format!("{}\n", &third[..12]));
    for wrong in ["status=asleep", "exited=x", "is-task=perhaps", "publish=http", "health=well", "name=("] {
        assert!(sandbox.fails(1, &["ps", "-f", wrong]).contains("invalid filter"), "{wrong}");
    }
    sandbox.fails(1, &["ps", "-f", "before=nobody"]);
    // -n, -l and -s.
    assert_eq!(sandbox.ok(&["ps", "-n", "2", "--format", "{{.Names}}"]), "third\nsecond\n");
    assert_eq!(sandbox.ok(&["ps", "-n", "0", "-q"]), "");
    assert_eq!(sandbox.ok(&["ps", "-l", "--format", "{{.Names}}"]), "third\n");
    sandbox.ok(&["exec", "third", "sh", "-c", "printf 12345 >/five"]);
    let sized = sandbox.ok(&["ps", "-s"]);
    assert!(lines(&sized)[0].ends_with("NAMES     SIZE") && lines(&sized)[1].contains("5B (virtual "), "{sized}");
    assert!(sandbox.ok(&["ps", "--format", "{{.Size}}"]).starts_with("5B (virtual "));
}

#[test]
fn images_and_history_print_through_templates_and_filter() {
    let sandbox = Sandbox::with_alpine();
    let context = sandbox.file("context");
    std::fs::create_dir(&context).unwrap();
    let build = |tag: &str, label: &str| {
        std::fs::write(context.join("Dockerfile"), format!("FROM alpine\nLABEL is={label}\nRUN echo {label} >/file\n"))
            .unwrap();
        sandbox.ok(&["build", "-q", "-t", tag, "context"])
    };
    let old = build("built:1", "old").trim_end().to_owned();
    build("built:1", "new");
    let images = |flags: &[&str]| sandbox.ok(&[&["images", "--format", "{{.Repository}}:{{.Tag}}"], flags].concat());
    assert_eq!(images(&["-f", "reference=built"]), "built:1\n");
    assert_eq!(images(&["-f", "reference=*:lat*"]), "alpine:latest\n");
    assert_eq!(images(&["-f", "dangling=true"]), "<none>:<none>\n");
    assert_eq!(sandbox.ok(&["images", "-q", "--no-trunc", "-f", "dangling=true"]), format!("{old}\n"));
    assert_eq!(images(&["-f", "dangling=false", "-f", "label=is"]), "built:1\n");
    assert_eq!(images(&["-f", "label=is=old"]), "<none>:<none>\n");
    assert_eq!(images(&["-f", "label=is=old", "-f", "label=is=new"]), "");
    assert_eq!(images(&["-f", "before=built:1", "-f", "reference=alpine"]), "alpine:latest\n");
    assert_eq!(images(&["-f", "since=alpine", "-f", "dangling=false"]), "built:1\n");
    assert_eq!(images(&["-f", "until=1970-01-02"]), "");
    sandbox.fails(1, &["images", "-f", "before=nothing"]);
    sandbox.fails(1, &["images", "-f", "dangling=perhaps"]);
    let table = sandbox.ok(&["images", "--format", "table {{.Repository}}\t{{.Tag}}\t{{.Containers}}", "built"]);
    assert_eq!(table, "REPOSITORY   TAG       CONTAINERS\nbuilt        1         0\n");
    let one: Value = serde_json::from_str(&sandbox.ok(&["images", "--format", "json", "built"])).unwrap();
    for field in ["Repository", "Tag", "ID", "CreatedSince", "CreatedAt", "Size", "SharedSize", "UniqueSize", "Digest"]
    {
        assert!(one[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {one}");
    }
    assert_eq!(one["UniqueSize"], "4B");

    assert_eq!(sandbox.ok(&["history", "--format", "{{.Size}}", "built:1"]).lines().next(), Some("4B"));
    let first: Value =
        serde_json::from_str(sandbox.ok(&["history", "--format", "json", "built:1"]).lines().next().unwrap()).unwrap();
    assert!(first["CreatedBy"].as_str().unwrap().contains("RUN"), "{first}");
    assert!(sandbox.fails(1, &["history", "--format", "{{.Layer}}", "alpine"]).contains("CreatedBy"));
    sandbox.fails(1, &["history", "--platform", "linux/riscv64", "alpine"]);
    let table = sandbox.ok(&["history", "-H=false", "--format", "table {{.Size}}\t{{.Comment}}", "built:1"]);
    assert!(table.starts_with("SIZE      COMMENT\n4\n0\n"), "{table}");

    let tree = sandbox.ok(&["images", "--tree"]);
    assert!(tree.starts_with("IMAGE ") && tree.contains("built:1") && tree.contains("alpine:latest"), "{tree}");
}

#[test]
fn lists_fit_the_terminal() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["tag", "alpine", "registry.example.com/a/long/repository/name:with-a-long-tag-too"]);
    let name = "a-container-with-a-rather-long-name-for-a-terminal";
    sandbox.sleeper(name);
    let grumbles =
        "echo a complaint that is much longer than any terminal in this test is wide, and ends only here >&2; exit 3";
    sandbox.run(&["run", "--name", "failed", "alpine", "sh", "-c", grumbles]);
    let lists: [&[&str]; 4] = [&["ps", "-a"], &["images", "--digests"], &["history", "alpine"], &["volume", "ls"]];
    let explaining: [&[&str]; 7] = [
        &["probe", name],
        &["explain", name],
        &["explain", "alpine"],
        &["compare", "alpine", name],
        &["why", "failed"],
        &["system", "df", "-v"],
        &["doctor"],
    ];
    for command in lists.into_iter().chain(explaining) {
        for columns in ["80", "120"] {
            let mut output = crate::common::finish(sandbox.command(command).env("COLUMNS", columns)).stdout;
            assert!(!output.is_empty(), "{command:?}");
            if command == ["doctor"] {
                // What is to be typed stays in one line.
                let sentences = output.lines().filter(|line| !line.starts_with(' '));
                output = sentences.collect::<Vec<_>>().join("\n");
            }
            let widest = output.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns.parse().unwrap(), "{command:?} at {columns}: {widest}\n{output}");
        }
    }
    // IDs stay whole, and a list that fits is not wrapped.
    let narrow = crate::common::finish(sandbox.command(&["ps"]).env("COLUMNS", "80")).ok();
    let id = sandbox.ok(&["ps", "-q"]);
    assert!(narrow.contains(id.trim_end()), "{narrow}");
    let wide = crate::common::finish(sandbox.command(&["ps"]).env("COLUMNS", "200")).ok();
    assert_eq!(wide.lines().count(), 2);
    assert_eq!(wide, sandbox.ok(&["ps"]));
}

/// Docker's names of the fields of each list.
const FIELDS: [(&[&str], &str); 7] = [
    (
        &["ps", "-a"],
        "Command CreatedAt ID Image Labels LocalVolumes Mounts Names Networks Platform Ports RunningFor Size State Status",
    ),
    (&["images"], "Containers CreatedAt CreatedSince Digest ID Repository SharedSize Size Tag UniqueSize VirtualSize"),
    (&["history", "alpine"], "Comment CreatedAt CreatedBy CreatedSince ID Size"),
    (&["volume", "ls"], "Availability Driver Group Labels Links Mountpoint Name Scope Size Status"),
    (&["system", "df"], "Active Reclaimable Size TotalCount Type"),
    (&["stats", "--no-stream"], "BlockIO CPUPerc Container ID MemPerc MemUsage Name NetIO PIDs"),
    (&["context", "ls"], "Current Description DockerEndpoint Error Name"),
];

#[test]
fn json_of_lists_has_docker_s_fields() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "one", "-v", "data:/data"], "exec sleep 600");
    for (command, fields) in FIELDS {
        let form = |format: &str| sandbox.run(&[command, &["--format", format]].concat()).stdout;
        let (long, short) = (form("{{json .}}"), form("json"));
        assert_eq!(long.lines().count(), short.lines().count(), "{command:?}");
        for line in long.lines().chain(short.lines()) {
            let object: Value = serde_json::from_str(line).unwrap();
            let names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
            // Later versions of Docker have this one.
            let names: Vec<&str> = names.into_iter().filter(|name| *name != "HealthStatus").collect();
            assert_eq!(names.join(" "), fields, "{command:?}");
        }
    }
}

#[test]
fn tables_are_as_docker_draws_them() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.file("one"), "12345").unwrap();
    sandbox.run_other("tar", &["-cf", "one.tar", "one"]).ok();
    let mut import = sandbox.command(&["import", "-m", "made by hand", "one.tar", "tiny:1"]);
    let id = crate::common::finish(import.env("SOURCE_DATE_EPOCH", "1")).ok();
    let id = &id["sha256:".len()..][..12];
    sandbox.ok(&["volume", "create", "data"]);
    let container = sandbox.ok(&["create", "--name", "one", "-p", "80", "-v", "data:/data", "tiny:1", "/one", "two"]);
    let container = &container[..12];
    let table = |command: &[&str]| crate::common::finish(sandbox.command(command).env("COLUMNS", "80")).ok();
    assert_eq!(table(&["volume", "ls"]), "DRIVER    VOLUME NAME\nlocal     data\n");
    let images = table(&["images"]);
    let age = images.split_once(id).unwrap().1.trim().split_once(" ago").unwrap().0;
    assert!(age.ends_with(" years") && age.len() == "56 years".len(), "{age}");
    assert_eq!(
        images,
        format!(
            "REPOSITORY   TAG       IMAGE ID       CREATED        SIZE\ntiny         1         {id}   {age} ago   5B\n"
        )
    );
    assert_eq!(
        table(&["history", "tiny:1"]),
        format!(
            "IMAGE          CREATED        CREATED BY   SIZE      COMMENT\n{id}   {age} ago                5B        made by hand\n"
        )
    );
    let listed = table(&["ps", "-a", "--format", "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.Status}}\t{{.Names}}"]);
    let expected = "CONTAINER ID   IMAGE     COMMAND      STATUS    NAMES";
    assert_eq!(listed, format!("{expected}\n{container}   tiny:1    \"/one two\"   Created   one\n"));
    let used = table(&["system", "df"]);
    let rows: Vec<Vec<&str>> = used.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]);
    assert_eq!([rows[1][..3].join(" "), rows[2][..3].join(" ")], ["Images 1 1", "Containers 1 0"], "{used}");
}
