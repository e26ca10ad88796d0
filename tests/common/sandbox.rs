//! A user's whole minirun in one temporary directory: store, runtime directory, home.

use super::leftovers;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longer than any single command may take, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Output {
    /// The exit code; 128 + the signal's number where a signal ended it, as shells say it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Standard output, if the command succeeded; the test fails otherwise.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.code == 0, "expected success, got exit code {}\n{}", self.code, self.streams());
        self.stdout
    }

    /// Standard error, if the command ended with this code; the test fails otherwise.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert!(self.code == code, "expected exit code {code}, got {}\n{}", self.code, self.streams());
        self.stderr
    }

    pub fn streams(&self) -> String {
        format!("--- stdout ---\n{}--- stderr ---\n{}", self.stdout, self.stderr)
    }
}

/// Everything that minirun keeps lies under one directory of its own, whose name is found in whatever was left behind.
pub struct Sandbox {
    directory: tempfile::TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        // A short name: the path of a socket may have 107 bytes.
        let directory = tempfile::Builder::new().prefix("mr-").tempdir().expect("a temporary directory");
        for part in ["run", "home", "files"] {
            let path = directory.path().join(part);
            std::fs::create_dir(&path).expect("mkdir in the sandbox");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).expect("chmod in the sandbox");
        }
        Self { directory }
    }

    /// A sandbox that holds the image `alpine`.
    pub fn with_alpine() -> Self {
        let sandbox = Self::new();
        sandbox.ok(&["import", "-c", "CMD [\"/bin/sh\"]", super::alpine_tar().to_str().unwrap(), "alpine"]);
        sandbox
    }

    /// minirun's store.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// What is `XDG_RUNTIME_DIR` in it.
    pub fn runtime(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    /// A path for a test's own files.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join("files").join(name)
    }

    /// Puts a file into the home directory.
    pub fn put_home(&self, name: &str, text: &str) {
        let path = self.directory.path().join("home").join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("mkdir in the sandbox");
        std::fs::write(path, text).expect("a file in the sandbox");
    }

    /// minirun with these arguments, ready to be run: for terminals, pipes and signals.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = self.other(Self::binary());
        command.args(arguments);
        command
    }

    /// Another program in the same surroundings.
    pub fn other(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.directory.path().join("home"))
            .env("LANG", "C.UTF-8")
            .env("MINIRUN_ROOT", self.root())
            .env("XDG_RUNTIME_DIR", self.runtime())
            .current_dir(self.directory.path().join("files"))
            .stdin(Stdio::null());
        command
    }

    /// The path of minirun.
    pub fn binary() -> String {
        std::env::var("MINIRUN_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_minirun").to_owned())
    }

    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        finish(&mut self.command(arguments))
    }

    /// Runs it with these bytes on its standard input.
    pub fn run_with_input<S: AsRef<OsStr>>(&self, arguments: &[S], input: &[u8]) -> Output {
        let mut command = self.command(arguments);
        let mut child = spawn(command.stdin(Stdio::piped()));
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = collect(child, &format!("{command:?}"));
        writer.join().expect("the writing thread");
        output
    }

    /// Runs it, asserts success, gives its standard output.
    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        self.run(arguments).ok()
    }

    /// Runs it, asserts its exit code, gives its standard error.
    #[track_caller]
    pub fn fails<S: AsRef<OsStr>>(&self, code: i32, arguments: &[S]) -> String {
        self.run(arguments).fails(code)
    }

    /// Runs another program (a peer as skopeo, or a shell) in the same surroundings.
    #[track_caller]
    pub fn run_other<S: AsRef<OsStr>>(&self, program: &str, arguments: &[S]) -> Output {
        finish(self.other(program).args(arguments))
    }

    /// What of this sandbox is on the host beside its files: processes, mounts, sockets.
    pub fn left_behind(&self) -> Vec<String> {
        leftovers::of(self.directory.path(), &[])
    }

    fn containers(&self) -> Vec<String> {
        let listed = self.run(&["ps", "--all", "--quiet", "--no-trunc"]);
        listed.stdout.lines().map(str::to_owned).collect()
    }

    fn remove_containers(&self) -> Output {
        let mut arguments = vec!["rm".to_owned(), "--force".to_owned(), "--volumes".to_owned()];
        arguments.extend(self.containers());
        if arguments.len() == 3 {
            Output { code: 0, stdout: String::new(), stderr: String::new() }
        } else {
            self.run(&arguments)
        }
    }

    fn describe(&self) {
        eprintln!("--- minirun ps --all ---\n{}", self.run(&["ps", "--all"]).stdout);
        for id in self.containers() {
            let logs = self.run(&["logs", "--tail", "40", &id]);
            eprintln!("--- minirun logs {id} ---\n{}{}", logs.stdout, logs.stderr);
        }
        for line in self.left_behind() {
            eprintln!("still there: {line}");
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let failing = std::thread::panicking();
        if failing {
            self.describe();
        }
        let ids = self.containers();
        let removal = self.remove_containers();
        let gone = wait(Duration::from_secs(5), || leftovers::of(self.directory.path(), &ids).is_empty());
        let left = if gone { Vec::new() } else { leftovers::of(self.directory.path(), &ids) };
        let reset = self.run(&["system", "reset", "--force"]);
        if failing {
            return;
        }
        assert!(removal.code == 0, "the containers could not be removed\n{}", removal.streams());
        assert!(left.is_empty(), "left behind:\n  {}", left.join("\n  "));
        assert!(reset.code == 0, "the store could not be removed\n{}", reset.streams());
    }
}

/// Runs a command to its end and gives what it printed; kills it and fails the test if it takes too long.
#[track_caller]
pub fn finish(command: &mut Command) -> Output {
    let name = format!("{command:?}");
    collect(spawn(command), &name)
}

#[track_caller]
fn spawn(command: &mut Command) -> Child {
    match command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => panic!("{command:?}: {error}"),
    }
}

#[track_caller]
fn collect(mut child: Child, name: &str) -> Output {
    let stdout = read_in_background(child.stdout.take().expect("a pipe"));
    let stderr = read_in_background(child.stderr.take().expect("a pipe"));
    let deadline = Instant::now() + PATIENCE;
    // A stream stays open as long as anybody holds it: also what a detached container wrongly inherited shows here.
    let mut take = |stream: mpsc::Receiver<Vec<u8>>| match stream
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => {
            let ended = child.try_wait().ok().flatten().is_some();
            let _ = child.kill();
            panic!("{name}: {}", if ended { "ended, but something still holds its output" } else { "does not end" });
        }
    };
    let (stdout, stderr) = (take(stdout), take(stderr));
    let status = child.wait().expect("wait");
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Output { code, stdout, stderr }
}

fn read_in_background(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        sender.send(bytes)
    });
    receiver
}

/// Waits until it is so; the test fails, naming `what`, if that takes longer than a minute.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(wait(Duration::from_secs(60), condition), "waited in vain until {what}");
}

pub fn wait(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
