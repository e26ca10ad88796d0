//! The recipes in `rootfs-fixtures/`: the same inputs give the same bytes, whoever makes them.

use crate::common::{Sandbox, finish, recipe};
use std::fs;

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let sandbox = Sandbox::new();
    for name in ["alpine", "nginx"] {
        let recipe = recipe(name);
        let (first, second) = (sandbox.file(format!("{name}.tar")), sandbox.file("again.tar"));
        let said = sandbox.run_other("sh", &[&recipe, &first]).ok();
        let other_habits = "umask 077; export TZ=Asia/Tokyo LANG=C; exec sh \"$0\" \"$1\"";
        let arguments = ["-c", other_habits, recipe.to_str().unwrap(), second.to_str().unwrap()];
        assert_eq!(said, sandbox.run_other("sh", &arguments).ok(), "{name}: another source");
        assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "{name}: other bytes");
    }
}

#[test]
fn a_base_that_is_not_the_pinned_one_is_refused() {
    let sandbox = Sandbox::new();
    let (wrong, out) = (sandbox.file("wrong.tar.gz"), sandbox.file("out.tar"));
    fs::write(&wrong, "no Alpine").unwrap();
    let said = finish(sandbox.other("sh").arg(recipe("alpine")).arg(&out).env("MINIRUN_ALPINE", &wrong)).fails(1);
    assert!(said.contains("its SHA-512 differs"), "{said}");
    assert!(!out.exists());
}
