//! All of minirun at once: `system df`, `system reset`, `info`.

mod common;

use common::{Sandbox, wait_until};
use serde_json::Value;
use std::fs;

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
