//! The root file systems that the recipes in `rootfs-fixtures/` make.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

/// A tar of Alpine's minirootfs, or of what stands in for it.
pub fn alpine_tar() -> PathBuf {
    fixture("alpine")
}

/// The recipe `rootfs-fixtures/NAME`.
pub fn recipe(name: &str) -> PathBuf {
    let recipes = std::env::var_os("MINIRUN_FIXTURES");
    recipes.map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/rootfs-fixtures").into(), PathBuf::from).join(name)
}

/// The tar that a recipe makes, made now unless it is there.
#[track_caller]
pub fn fixture(name: &str) -> PathBuf {
    let build = recipe("build");
    let tar = build.join(format!("{name}.tar"));
    if !tar.exists() {
        std::fs::create_dir_all(&build).expect("mkdir rootfs-fixtures/build");
        let lock = File::create(build.join(".lock")).expect("rootfs-fixtures/build/.lock");
        lock.lock().expect("flock");
        if !tar.exists() {
            let made = Command::new("sh").arg(recipe(name)).arg(&tar).output().expect("sh");
            assert!(made.status.success(), "rootfs-fixtures/{name}: {}", String::from_utf8_lossy(&made.stderr));
        }
    }
    tar
}
