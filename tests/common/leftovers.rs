//! What a sandbox left on the host: processes, mounts, cgroups, sockets.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// One line for each thing that still knows of `directory`, or of the containers with these ids.
pub fn of(directory: &Path, ids: &[String]) -> Vec<String> {
    let mut found = processes(directory);
    found.extend(mounts(directory));
    found.extend(cgroups(ids));
    found.extend(sockets(&directory.join("run")));
    found.extend(sockets(&directory.join("store/run")));
    found
}

/// By command line (readable for everybody), environment, or the mounts they live on (a container's own processes
/// show the sandbox nowhere else).
fn processes(directory: &Path) -> Vec<String> {
    // Its own name: where it lies on a file system of its own, a mount's source does not begin with the whole path.
    let needle = directory.file_name().unwrap_or(directory.as_os_str()).as_encoded_bytes();
    let own = std::process::id();
    let own_mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mut found = Vec::new();
    for process in entries(Path::new("/proc")) {
        let Some(pid) = process.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let read = |name: &str| fs::read(process.join(name)).unwrap_or_default();
        let command_line = read("cmdline");
        let mounts = read("mountinfo");
        let knows = contains(&command_line, needle)
            || contains(&read("environ"), needle)
            || (mounts != own_mounts && contains(&mounts, needle));
        // A zombie holds nothing, and whoever must reap it may be a slow container's init or ours.
        if pid != own && knows && !contains(&read("status"), b"State:\tZ") {
            let shown = String::from_utf8_lossy(&command_line).replace('\0', " ");
            found.push(format!("process {pid}: {}", shown.trim()));
        }
    }
    found
}

fn mounts(directory: &Path) -> Vec<String> {
    let needle = directory.to_string_lossy().into_owned();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter(|line| line.contains(&needle)).map(|line| format!("mount: {line}")).collect()
}

fn cgroups(ids: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = directories.pop() {
        for path in entries(&directory) {
            if !fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir()) {
                continue;
            }
            let name = path.to_string_lossy();
            if ids.iter().any(|id| name.contains(&id[..12])) {
                found.push(format!("cgroup: {name}"));
            }
            directories.push(path);
        }
    }
    found
}

fn sockets(runtime: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![runtime.to_owned()];
    while let Some(directory) = directories.pop() {
        for path in entries(&directory) {
            match fs::symlink_metadata(&path) {
                Ok(m) if m.is_dir() => directories.push(path),
                Ok(m) if m.file_type().is_socket() => found.push(format!("socket: {}", path.display())),
                _ => {}
            }
        }
    }
    found
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// As text, since the standard library's search is optimised in every build.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains(&*String::from_utf8_lossy(needle))
}
