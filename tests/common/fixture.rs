//! The root file systems that the recipes in `rootfs-fixtures/` make.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

/// A tar of Alpine's minirootfs, or of what stands in for it.
pub fn alpine_tar() -> PathBuf {
    fixture("alpine")
}

/// The tar that `rootfs-fixtures/NAME` makes, made now unless it is there.
#[track_caller]
pub fn fixture(name: &str) -> PathBuf {
    let recipes = std::env::var_os("MINIRUN_FIXTURES")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/rootfs-fixtures")), PathBuf::from);
    let tar = recipes.join("build").join(format!("{name}.tar"));
    if !tar.exists() {
        std::fs::create_dir_all(recipes.join("build")).expect("mkdir rootfs-fixtures/build");
        let lock = File::create(recipes.join("build/.lock")).expect("rootfs-fixtures/build/.lock");
        lock.lock().expect("flock");
        if !tar.exists() {
            let made = Command::new("sh").arg(recipes.join(name)).arg(&tar).output().expect("sh");
            assert!(made.status.success(), "rootfs-fixtures/{name}: {}", String::from_utf8_lossy(&made.stderr));
        }
    }
    tar
}
