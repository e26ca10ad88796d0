//! Containers of a sandbox without a network: what most tests of them begin with.

use super::{Output, Sandbox, wait_until};
use serde_json::Value;
use std::time::Duration;

/// Returns the output of `why` for a container.
#[track_caller]
pub fn why(sandbox: &Sandbox, container: &str) -> Value {
    let said = sandbox.ok(&["why", "--json", container]);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The codes of its verdicts.
#[track_caller]
pub fn verdict_codes(sandbox: &Sandbox, container: &str) -> Vec<String> {
    let verdicts = why(sandbox, container)["verdicts"].as_array().unwrap().clone();
    verdicts.iter().map(|verdict| verdict["code"].as_str().unwrap().to_owned()).collect()
}

impl Sandbox {
    /// `run --rm` of a shell script in the image `alpine`.
    pub fn sh(&self, flags: &[&str], script: &str) -> Output {
        self.run(&[&["run", "--rm", "--network", "none"], flags, &["alpine", "sh", "-c", script]].concat())
    }

    /// `run -d` of a shell script in the image `alpine`; gives the id.
    #[track_caller]
    pub fn detached(&self, flags: &[&str], script: &str) -> String {
        let words = [&["run", "-d", "--network", "none"], flags, &["alpine", "sh", "-c", script]].concat();
        self.ok(&words).trim_end().to_owned()
    }

    /// The process id of a running container's monitor.
    pub fn monitor_of(&self, container: &str) -> String {
        let pid = self.look(container, "{{.State.Pid}}");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().to_owned()
    }

    /// A container that does nothing until it is killed, under this name; gives its id.
    #[track_caller]
    pub fn sleeper(&self, name: &str) -> String {
        self.detached(&["--name", name], "exec sleep 600")
    }

    /// One value of `inspect`.
    #[track_caller]
    pub fn look(&self, container: &str, template: &str) -> String {
        self.ok(&["inspect", "--format", template, container]).trim_end().to_owned()
    }

    #[track_caller]
    pub fn wait_for_status(&self, container: &str, status: &str) {
        let words = ["inspect", "--format", "{{.State.Status}}", container];
        wait_until(&format!("{container} is {status}"), || self.run(&words).stdout.trim() == status);
    }

    /// Waits until the log holds this text.
    #[track_caller]
    pub fn wait_for_log(&self, container: &str, text: &str) {
        wait_until(&format!("{container} says {text:?}"), || {
            let logs = self.run(&["logs", container]);
            logs.stdout.contains(text) || logs.stderr.contains(text)
        });
    }

    /// What lies in a directory of the store: temporary files and locks of the store itself aside. What a monitor removes
    /// after its last word gets a moment to go.
    pub fn stored(&self, directory: &str) -> Vec<String> {
        if directory == "tmp" {
            super::sandbox::wait(Duration::from_secs(1), || self.names_in(directory).is_empty());
        }
        self.names_in(directory)
    }

    fn names_in(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root().join(directory)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }
}
