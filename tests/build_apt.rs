//! `RUN apt-get …`: apt becomes another user to fetch anything, and looks whether it has. With one id it cannot.

use crate::common::{Need, Sandbox, require};
use std::fs;
use std::path::Path;

/// The host's apt with what it needs, for an image that has none.
fn take_apt(sandbox: &Sandbox) {
    let methods = ["file", "copy", "store"].map(|name| format!("/usr/lib/apt/methods/{name}"));
    let programs: Vec<&str> =
        ["/usr/bin/apt-get", "/usr/bin/dpkg"].into_iter().chain(methods.iter().map(String::as_str)).collect();
    let needed = sandbox.run_other("ldd", &programs).ok();
    let tables = ["cputable", "ostable", "tupletable"].map(|name| format!("/usr/share/dpkg/{name}"));
    let libraries = needed.lines().flat_map(str::split_whitespace).filter(|word| word.starts_with('/'));
    let libraries = libraries.map(|word| word.trim_end_matches(':')).collect::<std::collections::BTreeSet<_>>();
    for file in libraries.into_iter().chain(tables.iter().map(String::as_str)) {
        let copy = sandbox.file(format!("context/apt{file}"));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(file, copy).unwrap();
    }
    for directory in ["var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "etc/apt/apt.conf.d", "repository"]
    {
        fs::create_dir_all(sandbox.file(format!("context/apt/{directory}"))).unwrap();
    }
    sandbox.put("apt/etc/apt/sources.list", "deb [trusted=yes] file:/repository ./\n");
    sandbox.put("apt/var/lib/dpkg/status", "");
    sandbox.put(
        "apt/repository/Packages",
        "Package: something\nVersion: 1.0\nArchitecture: all\nFilename: s.deb\nSize: 1\n",
    );
}

#[test]
fn apt_fetches_whatever_the_ids() {
    if !Path::new("/usr/lib/apt/methods/file").exists() {
        require!(Need::Tool("apt-get"));
    }
    let sandbox = Sandbox::with_alpine();
    take_apt(&sandbox);
    let text = "FROM alpine\nCOPY apt /\nRUN adduser -S -D -H _apt\nRUN apt-get update\n";
    let said = sandbox.build(text, &["--progress", "plain"]);
    assert!(!said.contains("Could not switch"), "{said}");
    // Nothing of the setting is in the image.
    let mut tree = sandbox.ok(&["run", "--rm", "--network", "none", "--entrypoint", "", "built", "find", "/etc/apt"]);
    tree.retain(|c| c != '\r');
    assert_eq!(tree.lines().count(), 3, "{tree}");
}
