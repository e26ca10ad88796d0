//! `image prune`: what goes, what stays, and what it says.

use crate::common::Sandbox;

fn build(sandbox: &Sandbox, tag: &str, label: &str) -> String {
    let context = sandbox.file("context");
    std::fs::create_dir_all(&context).unwrap();
    let steps = format!("FROM alpine\nLABEL is={label}\nCOPY data /data\n");
    std::fs::write(context.join("Dockerfile"), steps).unwrap();
    std::fs::write(context.join("data"), label.repeat(1000)).unwrap();
    sandbox.ok(&["build", "--no-cache", "-q", "-t", tag, "context"]).trim_end().to_owned()
}

#[test]
fn dangling_images_go_and_others_stay() {
    let sandbox = Sandbox::with_alpine();
    let old = build(&sandbox, "built", "old");
    let held = build(&sandbox, "built", "held");
    sandbox.ok(&["create", "--name", "holder", "built"]);
    build(&sandbox, "built", "new");
    let said = sandbox.fails(125, &["image", "prune"]);
    assert!(said.contains("standard input is not a terminal"), "{said}");
    let nothing = "Total reclaimed space: 0B\n";
    assert_eq!(sandbox.ok(&["image", "prune", "-f", "--filter", "label=is=new"]), nothing);
    assert_eq!(sandbox.ok(&["image", "prune", "-f", "--filter", "until=24h"]), nothing);
    assert_eq!(sandbox.ok(&["image", "prune", "-f", "--filter", "label!=is"]), nothing);
    let said = sandbox.ok(&["image", "prune", "--force"]);
    assert!(said.starts_with(&format!("Deleted Images:\ndeleted: {old}\ndeleted: sha256:")), "{said}");
    assert!(said.ends_with("\n\nTotal reclaimed space: 3kB\n"), "{said}");
    assert_eq!(sandbox.ok(&["image", "prune", "-f"]), nothing);
    assert_eq!(sandbox.ok(&["images", "-q", "--no-trunc", "-f", "dangling=true"]), format!("{held}\n"));
    // With -a the named ones that no container uses go, too.
    let said = sandbox.ok(&["image", "prune", "-af"]);
    assert!(said.contains("untagged: built:latest\n") && said.contains("untagged: alpine:latest\n"), "{said}");
    assert_eq!(sandbox.ok(&["images", "-q", "--no-trunc"]), format!("{held}\n"));
    sandbox.ok(&["rm", "holder"]);
    assert!(sandbox.ok(&["image", "prune", "-f"]).contains(&held));
    assert_eq!(sandbox.ok(&["images", "-q"]), "");
    assert_eq!(sandbox.ok(&["system", "check"]), "Nothing is damaged.\n");
}

#[test]
fn wrong_filters_are_refused_before_anything_goes() {
    let sandbox = Sandbox::with_alpine();
    for wrong in ["dangling", "colour=red", "until=soon"] {
        let said = sandbox.fails(1, &["image", "prune", "-af", "--filter", wrong]);
        assert!(said.contains("invalid"), "{said}");
    }
    assert_eq!(sandbox.ok(&["images", "-q"]).lines().count(), 1);
}

#[test]
fn names_go_and_the_image_stays() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.ok(&["images", "-q", "--no-trunc"]).trim_end().to_owned();
    for name in ["one", "two:x"] {
        sandbox.ok(&["tag", "alpine", name]);
    }
    assert_eq!(sandbox.ok(&["image", "exists", "two:x"]), "");
    for missing in ["two", "Not A Name", ""] {
        assert_eq!(sandbox.fails(1, &["image", "exists", missing]), "", "{missing:?}");
    }
    assert_eq!(sandbox.ok(&["untag", "alpine", "one"]), "Untagged: one:latest\n");
    let said = sandbox.fails(1, &["untag", "alpine", "one"]);
    assert!(said.contains("has no name one:latest"), "{said}");
    assert_eq!(sandbox.ok(&["image", "untag", "alpine"]), "Untagged: alpine:latest\nUntagged: two:x\n");
    assert_eq!(sandbox.ok(&["images", "-q", "--no-trunc", "-f", "dangling=true"]), format!("{id}\n"));
    // An image in use loses its names by ID, too, and is not removed.
    sandbox.ok(&["tag", &id, "again"]);
    sandbox.ok(&["create", "--name", "holder", "again"]);
    sandbox.fails(1, &["rmi", &id]);
    assert_eq!(sandbox.ok(&["rmi", "-f", &id]), "Untagged: again:latest\n");
    assert!(sandbox.fails(1, &["rmi", "-f", &id]).contains("is used by container"));
    sandbox.ok(&["rm", "holder"]);
    sandbox.ok(&["import", crate::common::alpine_tar().to_str().unwrap(), "more"]);
    sandbox.ok(&["rmi", "--all", "--no-prune"]);
    assert_eq!(sandbox.ok(&["images", "-aq"]), "");
    sandbox.fails(125, &["rmi"]);
}
