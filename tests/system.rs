//! All of minirun at once: `system df`, `system reset`, `info`.

use crate::common::{Sandbox, wait_until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn shares(sandbox: &Sandbox) -> Vec<Value> {
    let said: Value = serde_json::from_str(&sandbox.ok(&["system", "df", "--json"])).expect("JSON");
    said["shares"].as_array().expect("a list").clone()
}

fn number(share: &Value, field: &str) -> u64 {
    share[field].as_u64().unwrap_or_else(|| panic!("no {field} in {share}"))
}

#[test]
fn df_says_what_du_says() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&[
        "run",
        "--network",
        "none",
        "--name",
        "writer",
        "alpine",
        "dd",
        "if=/dev/zero",
        "of=/file",
        "bs=1M",
        "count=3",
    ]);
    let shares = shares(&sandbox);
    let root = sandbox.root();
    // It complains of overlay's own work directory, which is empty and closed to everybody.
    let du = sandbox.run_other("du", &["--summarize", "--block-size=1", root.to_str().unwrap()]).stdout;
    let du: u64 = du.split_whitespace().next().unwrap().parse().unwrap();
    let total: u64 = shares.iter().map(|share| number(share, "size")).sum();
    assert!(total.abs_diff(du) <= 8192, "df says {total}, du says {du}");
    let containers = &shares[1];
    assert_eq!(containers["kind"], "containers");
    assert!(number(containers, "size") >= 3 << 20, "{containers}");
    assert_eq!(number(containers, "reclaimable"), number(containers, "size"), "{containers}");
}

#[test]
fn what_is_in_use_is_not_reclaimable() {
    let sandbox = Sandbox::with_alpine();
    let before = shares(&sandbox);
    assert_eq!((number(&before[0], "total"), number(&before[0], "active")), (1, 0));
    let kept = number(&before[0], "size") - number(&before[0], "reclaimable");
    assert!(kept <= 65536, "{kept} bytes are kept by directories alone");
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "sleeper", "alpine", "sleep", "1000"]);
    let after = shares(&sandbox);
    for share in &after[..2] {
        assert_eq!((number(share, "total"), number(share, "active")), (1, 1), "{share}");
        assert_eq!(number(share, "reclaimable"), 0, "{share}");
    }
    let info = sandbox.ok(&["info"]);
    assert!(info.contains("\n Running:         1\nImages:           1\n"), "{info}");
}

#[test]
fn reset_removes_everything_damaged_or_running() {
    let sandbox = Sandbox::with_alpine();
    for name in ["whole", "damaged"] {
        sandbox.ok(&["run", "-d", "--network", "none", "--name", name, "alpine", "sleep", "1000"]);
    }
    let id = fs::read_to_string(sandbox.root().join("container-names/damaged")).unwrap();
    for file in ["container.json", "state.json", "config.json"] {
        fs::write(sandbox.root().join("containers").join(&id).join(file), "{").unwrap();
    }
    let image = fs::read_dir(sandbox.root().join("images")).unwrap().next().unwrap().unwrap().path();
    fs::write(image.join("config.json"), "").unwrap();
    fs::write(sandbox.root().join("names/broken"), "").unwrap();
    fs::create_dir(sandbox.root().join("tmp/abandoned")).unwrap();
    sandbox.ok(&["system", "reset", "--force"]);
    assert!(!sandbox.root().exists());
    wait_until("both containers are gone", || sandbox.left_behind().is_empty());
}

#[test]
fn nobody_else_enters_a_store() {
    let sandbox = Sandbox::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let open_up = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(sandbox.root()).unwrap();
    open_up(&sandbox.root());
    sandbox.ok(&["images"]);
    assert_eq!(mode(&sandbox.root()), 0o700);
    // Whoever opens it afterwards is told by the next command that it stays closed.
    open_up(&sandbox.root());
    sandbox.ok(&["images"]);
    assert_eq!(mode(&sandbox.root()), 0o700);
    // Where other things lie beside it, they stay as they are, and every part is closed.
    let letter = sandbox.root().join("letter");
    fs::write(&letter, "dear").unwrap();
    open_up(&sandbox.root());
    open_up(&sandbox.root().join("layers"));
    sandbox.ok(&["images"]);
    assert_eq!(mode(&sandbox.root()), 0o755);
    for entry in fs::read_dir(sandbox.root()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        assert_eq!(mode(&entry.path()), 0o700, "{entry:?}");
    }
    fs::remove_file(letter).unwrap();
}

#[test]
fn without_variables_the_home_is_that_of_the_user_database() {
    let sandbox = Sandbox::new();
    let home = sandbox.file("home of passwd");
    fs::create_dir(&home).unwrap();
    fs::write(sandbox.file("passwd"), format!("root:x:0:0::{}:/bin/sh\n", home.display())).unwrap();
    let script =
        "mount --bind passwd /etc/passwd && env -i \"$0\" ps && env -i \"$0\" info && env -i \"$0\" system reset -f";
    let words = ["--user", "--map-root-user", "--mount", "sh", "-c", script, &Sandbox::binary()];
    let said = sandbox.run_other("unshare", &words).ok();
    assert!(said.contains(&format!("Root:             {}/.local/share/minirun\n", home.display())), "{said}");
}

#[test]
fn reset_leaves_what_is_not_its_own() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["images"]);
    let letter = sandbox.root().join("letter");
    fs::write(&letter, "dear").unwrap();
    sandbox.ok(&["system", "reset", "--force"]);
    assert_eq!(fs::read_dir(sandbox.root()).unwrap().count(), 1);
    fs::remove_file(letter).unwrap();
}

#[test]
fn reset_does_nothing_where_nobody_can_be_asked() {
    let sandbox = Sandbox::with_alpine();
    let said = sandbox.fails(125, &["system", "reset"]);
    assert!(said.contains("system reset --force"), "{said}");
    assert!(sandbox.ok(&["images"]).contains("alpine"));
}
