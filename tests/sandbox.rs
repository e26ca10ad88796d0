//! The fixture itself: a sandbox that would not notice what is left behind would make every other test worthless.

use crate::common::Sandbox;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn a_sandbox_has_a_store_of_its_own_and_removes_it() {
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.root(), Sandbox::new().root());
    assert_ne!(one, other);
    sandbox.ok(&["images"]);
    assert!(one.is_dir());
    drop(sandbox);
    assert!(!one.exists());
}

#[test]
fn a_sandbox_notices_a_process_that_was_left() {
    let sandbox = Sandbox::new();
    let mut left = sandbox.other("sleep").arg("60").spawn().unwrap();
    let message = complaint(sandbox);
    left.kill().unwrap();
    left.wait().unwrap();
    assert!(message.contains(&format!("process {}: sleep 60", left.id())), "{message}");
}

#[test]
fn a_sandbox_notices_a_socket_that_was_left() {
    let sandbox = Sandbox::new();
    let socket = sandbox.runtime().join("left");
    let _listener = UnixListener::bind(&socket).unwrap();
    let message = complaint(sandbox);
    assert!(message.contains(&format!("socket: {}", socket.display())), "{message}");
}

/// What the sandbox says when it is thrown away.
fn complaint(sandbox: Sandbox) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(sandbox))).expect_err("no complaint");
    *panic.downcast::<String>().expect("a message")
}
