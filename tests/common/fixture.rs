//! The root file systems that the recipes in `rootfs-fixtures/` make.

use super::Sandbox;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
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

/// Where a tiny program's code lies in memory.
pub const CODE: u32 = BASE + 120;

const BASE: u32 = 0x40_0000;

impl Sandbox {
    /// A static program of a few instructions, as a `-v` that puts it into a container (elf(5)).
    pub fn tiny_program(&self, path: &str, code: &[u8]) -> String {
        let machine: u8 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
        let base = u64::from(BASE);
        let end = 120 + code.len() as u64;
        let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
        elf.extend([machine, 0, 1, 0, 0, 0]);
        [base + 120, 64, 0].iter().for_each(|number| elf.extend(number.to_le_bytes()));
        elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
        [0, base, base, end, end, 0x1000].iter().for_each(|number| elf.extend(number.to_le_bytes()));
        elf.extend(code);
        let file = self.file(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, elf).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        format!("{}:{path}:ro", file.display())
    }
}
