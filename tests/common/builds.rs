//! A build context of a sandbox, and builds of it.

use super::{Output, Sandbox};
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
