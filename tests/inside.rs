//! Going on inside the user namespace: only minirun itself can send a process there, and what was typed arrives whole.

use crate::common::{self, Sandbox, User};
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

#[test]
fn no_variable_puts_a_command_inside() {
    let sandbox = Sandbox::new();
    let archive = common::alpine_tar();
    let mut command = sandbox.command(&["import", archive.to_str().unwrap(), "alpine"]);
    command.env("MINIRUN_INSIDE", "user:[1]").env("MINIRUN_OUTSIDE", "socket:[1]");
    common::finish(&mut command).ok();
    // Outside of the namespace, a user could not have given the file to a group.
    let owner = if common::user() == User::Single { "0:0\n" } else { "0:42\n" };
    assert_eq!(sandbox.ok(&["run", "--rm", "alpine", "stat", "-c", "%u:%g", "/etc/shadow"]), owner);
}

#[test]
fn nobody_else_starts_the_inner_half() {
    let sandbox = Sandbox::new();
    for name in ["minirun-inside", "minirun-monitor"] {
        let mut command = sandbox.command(&["images"]);
        let said = common::finish(command.arg0(name)).fails(125);
        assert_eq!(said, format!("{name} is started by minirun itself\n"));
    }
    // A forged errand has no effect on a process that is still outside of the namespace.
    let (ours, theirs) = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let errand = serde_json::json!({
        "outside": { "root": sandbox.root(), "namespace": std::fs::read_link("/proc/self/ns/user").unwrap() },
        "work": { "CommandLine": ["minirun", "images"] },
    });
    let file = rustix::fs::memfd_create("errand", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&file, errand.to_string().as_bytes()).unwrap();
    minirun::exposed::socket::send(ours.as_fd(), b"errand", &[file.as_raw_fd()]).unwrap();
    let mut command = sandbox.other("bash");
    command.args(["-c", "exec -a minirun-inside \"$0\" 3<&0 </dev/null", &Sandbox::binary()]).stdin(theirs);
    assert_eq!(common::finish(&mut command).fails(125), "minirun-inside is started by minirun itself\n");
}

#[test]
fn words_of_any_bytes_arrive_inside() {
    let sandbox = Sandbox::with_alpine();
    let archive = OsString::from_vec(b"\xff archive.tar".to_vec());
    sandbox.ok(&["save".into(), "alpine".into(), "-o".into(), archive.clone()]);
    assert!(sandbox.file(&archive).exists());
    sandbox.ok(&["rmi", "alpine"]);
    sandbox.ok(&["load".into(), "-i".into(), archive]);
}

#[test]
fn a_long_command_line_arrives_inside() {
    let sandbox = Sandbox::new();
    // Longer than a message of a socket, by far.
    let names: Vec<String> = (0..5000).map(|number| format!("{number:0>64}")).collect();
    let mut words = vec!["rmi".to_owned()];
    words.extend(names.iter().cloned());
    let said = sandbox.run(&words).fails(1);
    assert_eq!(said.matches("no such image").count(), names.len());
}

#[test]
fn what_other_programs_are_given_stays_open_inside() {
    let sandbox = Sandbox::new();
    let script = format!("exec 7<{}; exec \"$0\" import /dev/fd/7 alpine", common::alpine_tar().display());
    sandbox.run_other("sh", &["-c", &script, &Sandbox::binary()]).ok();
    let mut import = sandbox.command(&["import", "-", "again"]);
    let mut child = import.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(common::alpine_tar()).unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
}
