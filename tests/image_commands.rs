//! import, images, tag, rmi, history: Docker's ways of naming, listing and removing images.

use crate::common::hostile;
use crate::common::{self, Need, Sandbox, require};
use hostile::Tape;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

fn archive(text: &str) -> Vec<u8> {
    Tape::new().directory("etc").file("etc/issue", text).end()
}

/// Imports an archive that holds this text, and gives the image's id without `sha256:`.
#[track_caller]
fn import(sandbox: &Sandbox, text: &str, more: &[&str]) -> String {
    let arguments = [&["import", "-"], more].concat();
    let id = sandbox.run_with_input(&arguments, &archive(text)).ok();
    id.trim().strip_prefix("sha256:").unwrap().to_owned()
}

fn config(sandbox: &Sandbox, id: &str) -> Value {
    serde_json::from_slice(&fs::read(sandbox.root().join("images").join(id).join("config.json")).unwrap()).unwrap()
}

#[track_caller]
fn assert_empty(sandbox: &Sandbox) {
    for part in ["images", "layers", "names", "tmp", "pending"] {
        let left: Vec<_> = fs::read_dir(sandbox.root().join(part)).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{part} holds {left:?}");
    }
}

#[test]
fn import_takes_every_compression_and_source() {
    require!(Need::Tool("gzip"), Need::Tool("zstd"), Need::Tool("xz"), Need::Tool("bzip2"));
    let sandbox = Sandbox::new();
    let plain = sandbox.file("plain.tar");
    fs::write(&plain, archive("hello")).unwrap();
    let mut layers = Vec::new();
    for program in ["cat", "gzip", "zstd", "xz", "bzip2"] {
        let compress = format!("{program} < {} > {program}.tar", plain.display());
        sandbox.run_other("sh", &["-c", &compress]).ok();
        let id = sandbox.ok(&["import", &format!("{program}.tar"), program]);
        layers.push(config(&sandbox, id.trim().strip_prefix("sha256:").unwrap())["rootfs"]["diff_ids"].clone());
    }
    assert!(layers.iter().all(|layer| *layer == layers[0]), "{layers:?}");
    // Stored once, however it came.
    assert_eq!(fs::read_dir(sandbox.root().join("layers")).unwrap().count(), 1);
    let lzma = sandbox.run_with_input(&["import", "-"], b"\x5d\0\0\x80\0").fails(1);
    assert!(lzma.contains("lzma") && lzma.contains("use gzip, bzip2, xz or zstd"), "{lzma}");
    let missing = sandbox.fails(1, &["import", "nowhere.tar"]);
    assert!(missing.contains("open nowhere.tar: no such file or directory"), "{missing}");
    for name in ["cat", "gzip", "zstd", "xz", "bzip2"] {
        sandbox.ok(&["rmi", name]);
    }
    assert_empty(&sandbox);
}

/// A web server that answers each request with this.
fn serve(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(&answer);
        }
    });
    port
}

#[test]
fn import_from_the_web() {
    let sandbox = Sandbox::new();
    let archive = archive("from the web");
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", archive.len()).into_bytes();
    answer.extend_from_slice(&archive);
    let port = serve(answer.clone());
    sandbox.ok(&["import", &format!("http://localhost:{port}/rootfs.tar"), "web"]);
    assert!(sandbox.ok(&["history", "web"]).contains(&format!("Imported from http://localhost:{port}/rootfs.tar")));
    sandbox.ok(&["rmi", "web"]);
    let port = serve(answer[..answer.len() - 600].to_vec());
    let said = sandbox.fails(1, &["import", &format!("http://127.0.0.1:{port}/"), "web"]);
    assert!(said.contains("cannot unpack http://127.0.0.1"), "{said}");
    let port = serve(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec());
    let said = sandbox.fails(1, &["import", &format!("http://[::ffff:127.0.0.1]:{port}/"), "web"]);
    assert!(said.contains("cannot fetch") && said.contains("404"), "{said}");
    assert_empty(&sandbox);
}

#[test]
fn import_sets_the_config_and_says_how_the_image_came_to_be() {
    let sandbox = Sandbox::new();
    let id =
        import(&sandbox, "a", &["-c", "CMD [\"/bin/sh\"]", "--change", "ENV A=\"b c\"", "-m", "by hand", "me/x:1"]);
    let config = config(&sandbox, &id);
    assert_eq!(config["config"]["Cmd"][0], "/bin/sh");
    assert_eq!(config["config"]["Env"][0], "A=b c");
    assert_eq!(config["os"], "linux");
    let history = sandbox.ok(&["history", "me/x:1"]);
    let lines: Vec<&str> = history.lines().collect();
    assert!(lines[0].starts_with("IMAGE") && lines[0].contains("CREATED BY") && lines[0].ends_with("COMMENT"));
    assert!(lines[1].starts_with(&id[..12]) && lines[1].ends_with("by hand") && lines[1].contains("1B"), "{history}");
    assert_eq!(sandbox.ok(&["history", "-q", "--no-trunc", "me/x:1"]), format!("sha256:{id}\n"));
    let bytes = sandbox.ok(&["history", "-H=false", "me/x:1"]);
    assert!(bytes.contains("   1   "), "{bytes}");
    let said = sandbox.run_with_input(&["import", "-c", "RUN true", "-"], &archive("a")).fails(1);
    assert!(
        said.contains("`RUN` is not an instruction that can be given here") && said.contains("CMD, ENTRYPOINT"),
        "{said}"
    );
    let said = sandbox.run_with_input(&["import", "-", "Upper:1"], &archive("a")).fails(125);
    assert!(said.contains("lower case"), "{said}");
}

#[test]
fn the_same_archive_at_the_same_time_is_the_same_image() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.file("a.tar"), archive("a")).unwrap();
    let make = || {
        let mut command = sandbox.command(&["import", "a.tar"]);
        common::finish(command.env("SOURCE_DATE_EPOCH", "1000000000")).ok()
    };
    assert_eq!(make(), make());
}

#[test]
fn images_are_found_by_name_and_by_what_their_ids_begin_with() {
    let sandbox = Sandbox::new();
    let id = import(&sandbox, "a", &["alpine"]);
    for name in
        ["alpine", "alpine:latest", "library/alpine", "docker.io/library/alpine:latest", &id, &id[..12], &id[..3]]
    {
        assert!(sandbox.ok(&["history", "-q", name]).starts_with(&id[..12]), "{name}");
    }
    assert!(sandbox.ok(&["history", "-q", &format!("sha256:{}", &id[..20])]).starts_with(&id[..12]));
    // Enough images for two whose ids begin alike.
    let mut ids = vec![id];
    while ids.iter().all(|a| ids.iter().filter(|b| a[..1] == b[..1]).count() == 1) {
        ids.push(import(&sandbox, &format!("{}", ids.len()), &[]));
    }
    let twin = ids.iter().find(|a| ids.iter().filter(|b| a[..1] == b[..1]).count() > 1).unwrap();
    let said = sandbox.fails(1, &["history", &twin[..1]]);
    assert!(said.contains("the beginning of several ids") && said.contains(&twin[..12]), "{said}");
}

#[test]
fn a_name_that_is_not_there_gets_a_helpful_word() {
    let sandbox = Sandbox::new();
    let id = import(&sandbox, "a", &["nginx:1.27"]);
    let said = sandbox.fails(1, &["history", "1e6229dd21rd"]);
    assert!(said.contains("`r` at position 11 is not a hexadecimal digit"), "{said}");
    let slip = format!("{}x{}", &id[..9], &id[10..12]);
    let said = sandbox.fails(1, &["history", &slip]);
    assert!(
        said.contains("`x` at position 10") && said.contains(&format!("the nearest image is {}", &id[..12])),
        "{said}"
    );
    let said = sandbox.fails(1, &["history", "ngimx"]);
    assert!(said.contains("no such image: ngimx") && said.contains("did you mean: nginx:1.27"), "{said}");
    let said = sandbox.fails(1, &["history", "redis"]);
    assert!(said.contains("minirun load -i FILE"), "{said}");
    let said = sandbox.fails(1, &["history", "Nginx"]);
    assert!(said.contains("lower case"), "{said}");
    let said = sandbox.fails(1, &["history", &"0".repeat(64)]);
    assert!(said.contains("no such image"), "{said}");
}

#[test]
fn images_lists_names_ids_and_sizes() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.ok(&["images"]), "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n");
    let first = import(&sandbox, &"a".repeat(8_830_000), &["alpine:3.20"]);
    let second = import(&sandbox, "b", &["localhost:5000/team/app:v1"]);
    let third = import(&sandbox, "c", &[]);
    sandbox.ok(&["tag", "alpine:3.20", "catalist4/dimon_repo:ng_v1"]);
    let all = sandbox.ok(&["images"]);
    let line = |beginning: &str| all.lines().find(|l| l.starts_with(beginning)).unwrap_or_else(|| panic!("{all}"));
    assert!(
        line("alpine").contains("3.20") && line("alpine").ends_with("8.83MB") && line("alpine").contains(&first[..12])
    );
    assert!(line("catalist4/dimon_repo").contains(&first[..12]));
    assert!(line("localhost:5000/team/app").contains(&second[..12]));
    assert!(line("<none>").contains(&third[..12]) && line("<none>").contains("second"));
    assert_eq!(sandbox.ok(&["images", "-q"]).lines().count(), 3);
    assert_eq!(sandbox.ok(&["images", "-q", "--no-trunc", "alpine"]), format!("sha256:{first}\n"));
    assert_eq!(sandbox.ok(&["images", "-q", "*/dimon*"]).trim(), &first[..12]);
    assert_eq!(sandbox.ok(&["images", "-q", "alpine:3.19"]), "");
    assert_eq!(sandbox.ok(&["images", "-q", "[a-b]lp?ne:3*"]).trim(), &first[..12]);
    // As in Docker, `*` ends at a slash.
    assert_eq!(sandbox.ok(&["images", "-q", "catalist4*"]), "");
    assert_eq!(sandbox.ok(&["images", "-q", &format!("{}b", "*a".repeat(60))]), "");
    assert!(sandbox.fails(125, &["images", "[a"]).contains("unclosed ["));
    let digests = sandbox.ok(&["images", "--digests", "alpine"]);
    assert!(digests.contains("DIGEST") && digests.contains("sha256:"), "{digests}");
}

#[test]
fn a_name_moves_and_leaves_a_nameless_image() {
    let sandbox = Sandbox::new();
    let old = import(&sandbox, "old", &["app"]);
    let new = import(&sandbox, "new", &["app"]);
    assert!(sandbox.ok(&["history", "-q", "app"]).starts_with(&new[..12]));
    let all = sandbox.ok(&["images"]);
    assert!(all.lines().any(|l| l.starts_with("<none>") && l.contains(&old[..12])), "{all}");
    // The name does not go with the image that had it before.
    let removed = sandbox.ok(&["rmi", &old[..12]]);
    assert!(removed.starts_with("Deleted: sha256:") && !removed.contains("Untagged"), "{removed}");
    assert!(sandbox.ok(&["history", "-q", "app"]).starts_with(&new[..12]));
}

#[test]
fn rmi_takes_names_and_with_the_last_the_image() {
    let sandbox = Sandbox::new();
    let id = import(&sandbox, "a", &["one"]);
    sandbox.ok(&["tag", "one", "two:2"]);
    sandbox.ok(&["tag", &id[..6], "two:3"]);
    assert_eq!(sandbox.ok(&["rmi", "two:3"]), "Untagged: two:3\n");
    let said = sandbox.run(&["rmi", &id[..12]]);
    assert!(said.code != 0 && said.stderr.contains("has several names: one:latest, two:2"), "{}", said.streams());
    assert_eq!(sandbox.ok(&["rmi", "one"]), "Untagged: one:latest\n");
    let removed = sandbox.ok(&["rmi", "two:2"]);
    assert!(removed.starts_with(&format!("Untagged: two:2\nDeleted: sha256:{id}\nDeleted: sha256:")), "{removed}");
    assert_empty(&sandbox);
    let id = import(&sandbox, "a", &["one"]);
    sandbox.ok(&["tag", "one", "two"]);
    assert_eq!(sandbox.ok(&["rmi", "-f", &id]).lines().count(), 4);
    assert_empty(&sandbox);
    // One that is not there does not keep the others.
    import(&sandbox, "a", &["one"]);
    let said = sandbox.run(&["rmi", "none", "one"]);
    assert!(
        said.code == 1 && said.stderr.contains("no such image: none") && said.stdout.contains("Deleted"),
        "{}",
        said.streams()
    );
    assert_eq!(sandbox.run(&["rmi", "-f", "none"]).code, 0);
    assert_empty(&sandbox);
}

#[test]
fn layers_go_with_the_last_image_that_uses_them() {
    let sandbox = Sandbox::new();
    import(&sandbox, "shared", &["-m", "one", "one"]);
    import(&sandbox, "shared", &["-m", "two", "two"]);
    assert_eq!(sandbox.ok(&["rmi", "one"]).lines().count(), 2);
    assert_eq!(fs::read_dir(sandbox.root().join("layers")).unwrap().count(), 1);
    assert_eq!(sandbox.ok(&["rmi", "two"]).lines().count(), 3);
    assert_empty(&sandbox);
}

#[test]
fn a_damaged_image_says_so_and_can_be_removed() {
    let sandbox = Sandbox::new();
    for damage in ["", "{}", "not JSON"] {
        let id = import(&sandbox, damage, &["damaged"]);
        fs::write(sandbox.root().join("images").join(&id).join("config.json"), damage).unwrap();
        let said = sandbox.fails(1, &["history", "damaged"]);
        assert!(said.contains("is damaged") && said.contains("minirun rmi -f"), "{said}");
        sandbox.ok(&["rmi", "damaged"]);
        assert_empty(&sandbox);
    }
}

#[test]
fn an_image_stays_as_long_as_a_container_uses_it() {
    let sandbox = Sandbox::with_alpine();
    let container = sandbox.ok(&["create", "alpine", "true"]).trim().to_owned();
    let said = sandbox.run(&["rmi", "alpine"]);
    assert!(
        said.code == 1 && said.stderr.contains(&container[..12]) && said.stderr.contains("minirun rm"),
        "{}",
        said.streams()
    );
    // Its name can be taken by force; the container still starts.
    assert_eq!(sandbox.ok(&["rmi", "-f", "alpine"]), "Untagged: alpine:latest\n");
    assert!(sandbox.ok(&["images"]).contains("<none>"));
    sandbox.ok(&["start", &container]);
    sandbox.ok(&["rm", "-f", &container]);
    let id = sandbox.ok(&["images", "-q"]);
    sandbox.ok(&["rmi", id.trim()]);
    assert_empty(&sandbox);
}

#[test]
fn dockers_longer_spelling_says_the_same() {
    let sandbox = Sandbox::with_alpine();
    // A name of both kinds: each group looks for its own.
    let id = sandbox.ok(&["container", "create", "--name", "alpine", "alpine", "true"]).trim_end().to_owned();
    assert_eq!(sandbox.ok(&["image", "ls", "-q"]), sandbox.ok(&["images", "-q"]));
    assert_eq!(sandbox.ok(&["container", "ls", "-aq", "--no-trunc"]).trim_end(), id);
    assert_eq!(sandbox.ok(&["container", "inspect", "-f", "{{.Id}}", "alpine"]).trim_end(), id);
    let image = sandbox.ok(&["images", "-q", "--no-trunc"]);
    assert_eq!(sandbox.ok(&["image", "inspect", "-f", "{{.Id}}", "alpine"]), image);
    // In words for people, the time since would differ from one to the next.
    let exact = |command: &[&str]| sandbox.ok(&[command, &["--human=false", "alpine"]].concat());
    assert_eq!(exact(&["image", "history"]), exact(&["history"]));
    assert_eq!(sandbox.ok(&["container", "run", "--rm", "--network", "none", "alpine", "echo", "hi"]), "hi\n");
    sandbox.put("Dockerfile", "FROM alpine\nLABEL a=b\n");
    sandbox.ok(&["image", "build", "-t", "built", "context"]);
    sandbox.ok(&["image", "rm", "built"]);
    sandbox.ok(&["container", "rm", "alpine"]);
    assert_eq!(sandbox.ok(&["images"]).lines().count(), 2);
}

#[test]
fn names_may_be_pasted() {
    let sandbox = Sandbox::new();
    let archive = archive("hello");
    sandbox.run_with_input(&["import", "-", "docker.io/library/tiny"], &archive).ok();
    assert_eq!(sandbox.ok(&["images", "-q", "tiny"]), sandbox.ok(&["images", "-q"]));
    sandbox.ok(&["tag", "docker://tiny", "docker://ann/tiny:1"]);
    assert!(sandbox.ok(&["images", "ann/tiny"]).contains("ann/tiny"));
    for command in ["pull", "push", "run", "create"] {
        let said = sandbox.run(&[command, "https://hub.docker.com/r/ann/tiny"]);
        assert!(said.code != 0 && said.stderr.contains("did you mean: ann/tiny"), "{command}\n{}", said.streams());
    }
}

#[test]
fn an_image_for_another_machine_is_warned_of() {
    let sandbox = Sandbox::new();
    let other = if cfg!(target_arch = "aarch64") { "linux/amd64" } else { "linux/arm64" };
    sandbox.run_with_input(&["import", "--platform", other, "-c", "CMD [\"/x\"]", "-", "other"], &archive("x")).ok();
    sandbox.run_with_input(&["import", "-c", "CMD [\"/x\"]", "-", "own"], &archive("x")).ok();
    let warning =
        format!("WARNING: The requested image's platform ({other}) does not match the detected host platform");
    let warned = |arguments: &[&str]| sandbox.run(arguments).stderr.contains(&warning);
    assert!(warned(&["create", "--pull", "never", "other"]));
    assert!(warned(&["run", "--rm", "--network", "none", "other"]));
    assert!(!warned(&["create", "--platform", other, "other"]));
    assert!(!warned(&["create", "own"]));
}
