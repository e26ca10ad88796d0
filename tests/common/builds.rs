//! A build context of a sandbox, and builds of it.

use super::{Output, Sandbox, finish};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

impl Sandbox {
    /// A file of the directory `context`.
    pub fn put(&self, name: &str, text: &str) {
        let path = self.file("context").join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir in the context");
        fs::write(&path, text).expect("a file of the context");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("chmod in the context");
    }

    /// Builds this Dockerfile as the image `built`; gives what was said.
    #[track_caller]
    pub fn build(&self, text: &str, flags: &[&str]) -> String {
        let output = self.try_build(text, flags);
        assert!(output.code == 0, "the build failed\n{}", output.streams());
        output.stderr
    }

    pub fn try_build(&self, text: &str, flags: &[&str]) -> Output {
        self.put("Dockerfile", text);
        self.run(&[&["build", "-t", "built"], flags, &["context"]].concat())
    }

    /// Makes a git repository of a directory; gives its commit.
    #[track_caller]
    pub fn repository(&self, directory: &str) -> String {
        let git = |arguments: &[&str]| {
            let who = ["-c", "user.name=a", "-c", "user.email=a@b", "-C", directory];
            finish(self.other("git").args([&who[..], arguments].concat())).ok()
        };
        git(&["init", "-q", "-b", "main"]);
        git(&["add", "."]);
        git(&["commit", "-q", "-m", "x"]);
        git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// The address under which [`Sandbox::run_with_git`] finds a repository of this sandbox.
    pub fn git_address(&self, directory: &str) -> String {
        format!("git://localhost{}", self.file(directory).display())
    }

    pub fn run_with_git(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command
            .env("GIT_CONFIG_COUNT", "2")
            .env("GIT_CONFIG_KEY_0", "url./.insteadOf")
            .env("GIT_CONFIG_VALUE_0", "git://localhost/")
            .env("GIT_CONFIG_KEY_1", "safe.directory")
            .env("GIT_CONFIG_VALUE_1", "*");
        finish(&mut command)
    }

    /// What a script prints in a container of the image `built`.
    #[track_caller]
    pub fn inside(&self, script: &str) -> String {
        self.ok(&["run", "--rm", "--network", "none", "--entrypoint", "sh", "built", "-c", script])
    }

    /// What `inspect` says of the image `built`.
    #[track_caller]
    pub fn built(&self) -> Value {
        let text = self.ok(&["inspect", "built"]);
        serde_json::from_str::<Value>(&text).expect("JSON")[0].clone()
    }
}
