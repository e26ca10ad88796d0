//! The unpacker against archives that mean harm, or that mean well and are odd: whatever they say, nothing outside of the
//! layer is touched, nothing half-done stays, and what was taken comes out of `save` byte for byte.

use crate::common::hostile;
use crate::common::{self, Need, Sandbox, User, require, user};
use hostile::{Header, Tape, gnu_sparse, pax_sparse};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A sandbox with a file that no archive may touch.
struct Target {
    sandbox: Sandbox,
}

impl Target {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        fs::write(sandbox.file("canary"), "untouched").unwrap();
        fs::create_dir(sandbox.file("outside")).unwrap();
        Self { sandbox }
    }

    /// Where the canary lies, as an archive would name it from the root.
    fn outside(&self, name: &str) -> Vec<u8> {
        self.sandbox.file(name).into_os_string().into_encoded_bytes()
    }

    /// Imports the archive, asserts that it was taken whole, and gives the layer's tree.
    #[track_caller]
    fn takes(&self, archive: &[u8]) -> PathBuf {
        self.sandbox.run_with_input(&["import", "-", "taken"], archive).ok();
        self.check_outside();
        self.check_saved(archive);
        let layers: Vec<_> = fs::read_dir(self.sandbox.root().join("layers")).unwrap().flatten().collect();
        assert_eq!(layers.len(), 1);
        layers[0].path().join("fs")
    }

    /// Asserts that the archive is refused for this reason, and that nothing of it stays.
    #[track_caller]
    fn refuses(&self, archive: &[u8], reason: &str) -> String {
        self.refuses_with(&[], archive, reason)
    }

    #[track_caller]
    fn refuses_with(&self, environment: &[(&str, &str)], archive: &[u8], reason: &str) -> String {
        let file = self.sandbox.file("archive");
        fs::write(&file, archive).unwrap();
        let mut command = self.sandbox.command(&["import", file.to_str().unwrap(), "refused"]);
        let said = common::finish(command.envs(environment.iter().copied())).fails(1);
        assert!(said.contains(reason), "`{reason}` expected in:\n{said}");
        self.check_outside();
        self.check_empty();
        said
    }

    #[track_caller]
    fn check_outside(&self) {
        assert_eq!(fs::read_to_string(self.sandbox.file("canary")).unwrap(), "untouched");
        assert_eq!(fs::metadata(self.sandbox.file("canary")).unwrap().nlink(), 1);
        assert_eq!(fs::read_dir(self.sandbox.file("outside")).unwrap().count(), 0);
    }

    #[track_caller]
    fn check_empty(&self) {
        for part in ["images", "layers", "names", "tmp", "pending"] {
            let left: Vec<_> = fs::read_dir(self.sandbox.root().join(part)).into_iter().flatten().flatten().collect();
            assert!(left.is_empty(), "{part} holds {left:?}");
        }
    }

    /// The layer in the saved image is the archive that came.
    #[track_caller]
    fn check_saved(&self, archive: &[u8]) {
        let directory = self.sandbox.file("saved");
        let _ = fs::remove_dir_all(&directory);
        self.sandbox.ok(&["save", "--format", "oci-dir", "-o", directory.to_str().unwrap(), "taken"]);
        let blobs = fs::read_dir(directory.join("blobs/sha256")).unwrap().flatten();
        assert!(blobs.map(|b| fs::read(b.path()).unwrap()).any(|blob| blob == archive), "save changed the archive");
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    let n = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(n);
    Some(value)
}

#[test]
fn absolute_names_are_taken_beneath_the_root() {
    let target = Target::new();
    let fs = target.takes(&Tape::new().file(target.outside("canary"), "mine").file("/etc/x", "y").end());
    assert_eq!(text(&fs.join("etc/x")), "y");
    assert_eq!(text(&fs.join(target.sandbox.file("canary").strip_prefix("/").unwrap())), "mine");
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../canary", "a/../../canary", "/../canary", "./../canary", ".."] {
        Target::new().refuses(&Tape::new().file(name, "mine").end(), "leads out of the layer");
    }
    Target::new().refuses(&Tape::new().directory("a").hard_link("../x", "a").end(), "leads out of the layer");
    let fs = Target::new();
    let fs = fs.takes(&Tape::new().directory("a").file("a/../b", "inside").end());
    assert_eq!(text(&fs.join("b")), "inside");
}

#[test]
fn a_link_out_of_the_layer_is_no_way_out() {
    let target = Target::new();
    let out = target.outside("outside");
    target.refuses(&Tape::new().symlink("a", &out).file("a/x", "mine").end(), "a symbolic link that leads nowhere");
    target.refuses(&Tape::new().symlink("a", &out).directory("a/b/c").end(), "a symbolic link that leads nowhere");
    // Upwards is the root, as it would be for a process in the container.
    let up = "../".repeat(40);
    let fs = target.takes(&Tape::new().symlink("a", &up).file("a/x", "inside").end());
    assert_eq!(text(&fs.join("x")), "inside");
}

#[test]
fn a_link_within_the_layer_is_followed() {
    let target = Target::new();
    let archive = Tape::new()
        .directory("usr/lib")
        .symlink("lib", "/usr/lib")
        .file("lib/a", "a".repeat(200))
        .file("usr/lib/a", "b".repeat(300))
        .file("lib/a", "c".repeat(400));
    let fs = target.takes(&archive.end());
    assert_eq!(text(&fs.join("usr/lib/a")), "c".repeat(400));
    assert!(fs.join("lib").is_symlink());
}

#[test]
fn a_file_does_not_go_through_the_link_that_has_its_name() {
    let target = Target::new();
    let canary = target.outside("canary");
    let fs = target.takes(&Tape::new().symlink("a", &canary).file("a", "mine").end());
    assert_eq!(text(&fs.join("a")), "mine");
    assert!(!fs.join("a").is_symlink());
}

#[test]
fn a_directory_takes_the_place_of_a_link() {
    let target = Target::new();
    let out = target.outside("outside");
    let fs = target.takes(&Tape::new().symlink("a", &out).directory("a").file("a/x", "mine").end());
    assert_eq!(text(&fs.join("a/x")), "mine");
    assert!(!fs.join("a").is_symlink());
}

#[test]
fn hard_links_stay_in_the_layer() {
    let target = Target::new();
    let canary = target.outside("canary");
    target.refuses(&Tape::new().hard_link("a", &canary).end(), "which is not in the layer");
    target.refuses(&Tape::new().hard_link("a", "../../files/canary").end(), "leads out of the layer");
    let out = target.outside("");
    target.refuses(&Tape::new().symlink("d", &out).hard_link("a", "d/canary").end(), "which is not in the layer");
    target.refuses(&Tape::new().directory("d").hard_link("a", "d").end(), "which is not in the layer");
    target
        .refuses(&Tape::new().directory("d").file("d/x", "").hard_link("d", "d/x").end(), "which is not in the layer");
    // Of a link to the outside, the link itself: what is written to it later goes nowhere else.
    let archive = Tape::new().symlink("s", &canary).hard_link("h", "s").file("h", "mine").hard_link("h", "h");
    let fs = target.takes(&archive.end());
    assert_eq!(text(&fs.join("h")), "mine");
    assert!(fs.join("s").is_symlink());
}

#[test]
fn names_of_one_file_stay_one_file() {
    let fs = Target::new();
    let archive = Tape::new().file("a", "x".repeat(1000)).hard_link("/b", "/a").file("a", "y".repeat(500));
    let fs = fs.takes(&archive.end());
    assert_eq!((text(&fs.join("a")), text(&fs.join("b"))), ("y".repeat(500), "x".repeat(1000)));
    let target = Target::new();
    let fs = target.takes(&Tape::new().file("a", "x").hard_link("b", "a").end());
    assert_eq!(fs::metadata(fs.join("a")).unwrap().ino(), fs::metadata(fs.join("b")).unwrap().ino());
}

#[test]
fn nothing_lies_below_a_file() {
    let target = Target::new();
    target.refuses(&Tape::new().file("a", "").file("a/b", "").end(), "which is not a directory");
    target.refuses(&Tape::new().file("a", "").symlink("l", "a").file("l/b", "").end(), "which is not a directory");
    target.refuses(&Tape::new().symlink("a", "a").file("a/b", "").end(), "leads nowhere");
}

#[test]
fn the_later_of_two_entries_wins() {
    let target = Target::new();
    let archive = Tape::new()
        .file("f", "1".repeat(1000))
        .file("f", "2".repeat(1000))
        .file("f", "3".repeat(1000))
        .directory("d")
        .file("d/x", "4".repeat(1000))
        .file("d/x", "5".repeat(1000))
        .file("d", "6".repeat(1000))
        .directory("d")
        .file("d/y", "7".repeat(1000))
        .file("g", "8".repeat(1000))
        .directory("g");
    let fs = target.takes(&archive.end());
    assert_eq!(text(&fs.join("f")), "3".repeat(1000));
    assert_eq!(text(&fs.join("d/y")), "7".repeat(1000));
    assert!(!fs.join("d/x").exists());
    assert!(fs.join("g").is_dir());
}

#[test]
fn a_directory_named_again_keeps_what_is_in_it() {
    let target = Target::new();
    let again = Header { mode: 0o700, ..Header::new("d/", b'5') };
    let fs = target.takes(&Tape::new().directory("d").file("d/x", "x").entry(&again, b"").end());
    assert_eq!(text(&fs.join("d/x")), "x");
    assert_eq!(fs::metadata(fs.join("d")).unwrap().permissions().mode() & 0o7777, 0o700);
}

fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

#[test]
fn whiteouts_are_what_overlayfs_takes_for_them() {
    let target = Target::new();
    let archive = Tape::new()
        .file("a/.wh.gone", "")
        .file("b/.wh..wh..opq", "")
        .file("b/kept", "kept")
        // Aufs's own notes.
        .file(".wh..wh.plnk", "")
        // A whiteout does not hide what its own layer has, before or after it.
        .file("c", "c")
        .file(".wh.c", "")
        .directory("d")
        .file("d/x", "x")
        .file(".wh.d", "")
        .file(".wh.e", "")
        .directory("e")
        .file(".wh.f", "")
        .file("f/x", "x");
    let fs = target.takes(&archive.end());
    assert!(is_whiteout(&fs.join("a/gone")));
    assert!(!fs.join("a/.wh.gone").exists() && !fs.join(".wh..wh.plnk").exists());
    assert_eq!(xattr(&fs.join("b"), "user.overlay.opaque").unwrap(), b"y");
    assert_eq!(text(&fs.join("c")), "c");
    for directory in ["d", "e", "f"] {
        assert_eq!(xattr(&fs.join(directory), "user.overlay.opaque").unwrap(), b"y", "{directory}");
    }
    assert!(xattr(&fs.join("a"), "user.overlay.opaque").is_none());
}

#[test]
fn a_whiteout_hides_a_name_and_nothing_else() {
    for name in [".wh.", ".wh..", ".wh...", "a/.wh.."] {
        Target::new().refuses(&Tape::new().file(name, "").end(), "names nothing that it could hide");
    }
}

#[test]
fn devices_are_left_out_and_yet_saved() {
    let target = Target::new();
    let archive = Tape::new()
        .entry(&Header::new("dev/null", b'3'), b"")
        .entry(&Header::new("dev/sda", b'4'), b"")
        .entry(&Header::new("run/fifo", b'6'), b"");
    let fs = target.takes(&archive.end());
    assert!(!fs.join("dev/null").exists() && !fs.join("dev/sda").exists());
    assert!(fs::symlink_metadata(fs.join("run/fifo")).unwrap().file_type().is_fifo());
}

#[test]
fn what_is_no_known_kind_of_file_is_refused() {
    Target::new().refuses(&Tape::new().entry(&Header::new("socket", b's'), b"").end(), "unknown type `s`");
    Target::new().refuses(&Tape::new().file(".", "").end(), "the root of the archive is not a directory");
}

#[test]
fn modes_and_owners_are_kept() {
    let target = Target::new();
    let archive = Tape::new()
        .entry(&Header { mode: 0o4755, ..Header::new("setuid", b'0') }, b"")
        .entry(&Header { mode: 0o2755, uid: 101, gid: 102, ..Header::new("setgid", b'0') }, b"")
        .entry(&Header { mode: 0o1777, ..Header::new("sticky/", b'5') }, b"")
        .entry(&Header { mode: 0o000, uid: 101, gid: 102, ..Header::new("closed/", b'5') }, b"")
        .entry(&Header { mode: 0o000, ..Header::new("closed/none", b'0') }, b"");
    let fs = target.takes(&archive.end());
    let mode = |name: &str| fs::metadata(fs.join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("setuid"), mode("sticky")), (0o4755, 0o1777));
    match user() {
        User::Single => {
            // Usable by the one who is, and noted for when it matters.
            assert_eq!(mode("closed"), 0o700);
            assert_eq!(xattr(&fs.join("closed"), "user.minirun.stat").unwrap(), b"101:102:0");
            assert_eq!(xattr(&fs.join("setgid"), "user.minirun.stat").unwrap(), b"101:102:2755");
            assert!(xattr(&fs.join("setuid"), "user.minirun.stat").is_none());
        }
        User::Root => {
            let found = fs::metadata(fs.join("setgid")).unwrap();
            assert_eq!((found.uid(), found.gid(), mode("setgid"), mode("closed")), (101, 102, 0o2755, 0));
        }
        User::Range => {
            let found = fs::metadata(fs.join("setgid")).unwrap();
            assert_ne!(found.uid(), fs::metadata(fs.join("setuid")).unwrap().uid());
            assert_eq!(mode("setgid"), 0o2755);
        }
    }
}

#[test]
fn an_owner_who_does_not_exist_here_is_named() {
    let owner = |uid, gid| Tape::new().entry(&Header { uid, gid, ..Header::new("theirs", b'0') }, b"").end();
    match user() {
        User::Single => drop(Target::new().takes(&owner(4_000_000_000, 5))),
        User::Range => {
            let said = Target::new().refuses(&owner(4_000_000_000, 0), "belongs to user 4000000000");
            assert!(said.contains("0, 1 to ") && said.contains("usermod --add-subuids"), "{said}");
            Target::new().refuses(&owner(0, 4_000_000_000), "belongs to group 4000000000");
        }
        User::Root => drop(Target::new().refuses(&owner(0xffff_ffff, 0), "belongs to user 4294967295")),
    }
}

#[test]
fn extended_attributes_are_applied_but_for_the_engines_own() {
    let target = Target::new();
    // cap_net_raw+ep, in the kernel's second format; it holds a newline byte in no other place than a value may.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let archive = Tape::new()
        .pax(&[
            ("SCHILY.xattr.user.note", b"a\nb=c\0d"),
            ("SCHILY.xattr.security.capability", &capability),
            ("SCHILY.xattr.user.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.user.minirun.stat", b"0:0:4755"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.security.selinux", b"x"),
        ])
        .file("f", "x")
        .pax(&[("SCHILY.xattr.user.overlay.opaque", b"y"), ("SCHILY.xattr.user.overlay.whiteouts", b"y")])
        .directory("d");
    let fs = target.takes(&archive.end());
    assert_eq!(xattr(&fs.join("f"), "user.note").unwrap(), b"a\nb=c\0d");
    assert!(xattr(&fs.join("f"), "security.capability").is_some());
    for (file, name) in [
        ("f", "user.overlay.redirect"),
        ("f", "user.minirun.stat"),
        ("f", "trusted.overlay.opaque"),
        ("d", "user.overlay.opaque"),
        ("d", "user.overlay.whiteouts"),
    ] {
        assert!(xattr(&fs.join(file), name).is_none(), "{name}");
    }
}

#[test]
fn holes_are_where_they_were() {
    let runs: Vec<(u64, Vec<u8>)> = (0..30).map(|n| (n * 8192, vec![b'a' + (n % 26) as u8; 700])).collect();
    let runs: Vec<(u64, &[u8])> = runs.iter().map(|(offset, bytes)| (*offset, bytes.as_slice())).collect();
    let size = 1 << 20;
    let mut expected = vec![0; size as usize];
    for (offset, bytes) in &runs {
        expected[*offset as usize..][..bytes.len()].copy_from_slice(bytes);
    }
    for archive in [
        gnu_sparse("sparse", size, &runs),
        pax_sparse("0.0", "sparse", size, &runs),
        pax_sparse("0.1", "sparse", size, &runs),
        pax_sparse("1.0", "sparse", size, &runs),
    ] {
        let target = Target::new();
        let fs = target.takes(&archive.file("after", "x").end());
        assert!(fs::read(fs.join("sparse")).unwrap() == expected);
        assert_eq!(text(&fs.join("after")), "x");
        assert!(fs::metadata(fs.join("sparse")).unwrap().blocks() * 512 < size / 2, "the holes were filled");
    }
}

#[test]
fn a_map_of_holes_that_lies_is_refused() {
    let bytes: &[u8] = &[b'x'; 600];
    let target = Target::new();
    for archive in [
        gnu_sparse("f", 100, &[(0, bytes)]),
        gnu_sparse("f", 10_000, &[(5000, bytes), (0, bytes)]),
        gnu_sparse("f", 10_000, &[(0, bytes), (100, bytes)]),
        pax_sparse("0.1", "f", 100, &[(0, bytes)]),
        pax_sparse("1.0", "f", 10_000, &[(u64::MAX, bytes)]),
        Tape::new().pax(&[("GNU.sparse.map", b"0,5"), ("GNU.sparse.size", b"10")]).file("f", "more than five bytes"),
        Tape::new().pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"10")]).file("f", [b'9'; 512]),
    ] {
        target.refuses(&archive.end(), "malformed map of its holes");
    }
}

#[test]
fn gnu_tars_sparse_files_and_long_names_are_understood() {
    require!(Need::Tool("tar"));
    let target = Target::new();
    let tree = target.sandbox.file("tree");
    let long = "long-name-".repeat(12);
    fs::create_dir_all(tree.join(&long).join(&long)).unwrap();
    fs::write(tree.join(&long).join(&long).join("file"), "deep").unwrap();
    let sparse = fs::File::create(tree.join("sparse")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 3 << 20).unwrap();
    std::os::unix::fs::symlink("x".repeat(150), tree.join("link")).unwrap();
    for format in
        ["--format=gnu", "--format=posix --sparse-version=0.0", "--format=posix --sparse-version=0.1", "--format=posix"]
    {
        let archive = target.sandbox.file("gnu.tar");
        let mut command = Command::new("tar");
        command.args(["--sparse", "--owner=0", "--group=0"]).args(format.split(' ')).arg("-C").arg(&tree).arg("-cf");
        assert_eq!(common::finish(command.arg(&archive).arg(".")).code, 0);
        let fresh = Target::new();
        let fs = fresh.takes(&fs::read(&archive).unwrap());
        assert_eq!(text(&fs.join(&long).join(&long).join("file")), "deep", "{format}");
        let found = fs::read(fs.join("sparse")).unwrap();
        assert!(found.len() == 5 << 20 && &found[3 << 20..(3 << 20) + 6] == b"middle", "{format}");
        assert_eq!(fs::read_link(fs.join("link")).unwrap().as_os_str().len(), 150);
    }
}

#[test]
fn long_names_in_both_ways_of_writing_them() {
    let target = Target::new();
    let long = ["directory-of-some-length"; 20].join("/") + "/file";
    let archive = Tape::new()
        .gnu_long(b'L', long.as_bytes())
        .file("short", "gnu")
        .gnu_long(b'K', format!("/{long}").as_bytes())
        .hard_link("link", "short")
        .pax(&[("path", format!("pax/{long}").as_bytes()), ("comment", b"none")])
        .file("short", "pax")
        .sized(Header::new("pax_global_header", b'g'), &hostile::pax_records(&[("path", b"ignored")]))
        .file("plain", "plain");
    let fs = target.takes(&archive.end());
    assert_eq!(text(&fs.join(&long)), "gnu");
    assert_eq!(text(&fs.join("link")), "gnu");
    assert_eq!(text(&fs.join("pax").join(&long)), "pax");
    assert_eq!(text(&fs.join("plain")), "plain");
}

#[test]
fn names_beyond_what_a_file_system_takes_are_refused() {
    let target = Target::new();
    let named = |name: &[u8]| Tape::new().pax(&[("path", name)]).file("x", "").end();
    target.refuses(&named(&[b'a'; 256]), "is not a name a file can have");
    target.refuses(&named(b"a\0b"), "is not a name a file can have");
    target.refuses(&named("a/".repeat(300).as_bytes()), "lies deeper than 256 directories");
    target.refuses(&named(["x".repeat(200).as_str(); 30].join("/").as_bytes()), "is longer than 4000 bytes");
    // Links upon links do not add up to more.
    let down = vec!["d"; 200].join("/");
    let archive = Tape::new()
        .pax(&[("path", down.as_bytes())])
        .directory("x")
        .pax(&[("linkpath", down.as_bytes())])
        .symlink("l", "x");
    let archive = archive.pax(&[("path", format!("l/{down}").as_bytes())]).directory("x");
    target.refuses(&archive.end(), "lies deeper than 256 directories");
    let claim = Header { size: 1 << 33, ..Header::new("x", b'x') };
    target.refuses(&Tape::new().entry(&claim, b"").end(), "claims 8589934592 bytes");
}

#[test]
fn names_need_not_be_text() {
    let target = Target::new();
    let fs = target.takes(&Tape::new().file(b"caf\xe9", "latin").file(b"new\nline", "x").file(b"-rf *", "x").end());
    assert_eq!(text(&fs.join(OsStr::from_bytes(b"caf\xe9"))), "latin");
    assert!(fs.join("new\nline").exists() && fs.join("-rf *").exists());
}

#[test]
fn times_may_be_long_ago_or_far_ahead() {
    let target = Target::new();
    let at = |name: &str, time| Tape::new().entry(&Header { time, ..Header::new(name, b'0') }, b"").open_ended();
    let mut archive = at("before", -1_000_000_000);
    archive.extend(at("after", 5_000_000_000));
    archive.extend(at("never", i64::MAX));
    archive.extend(Tape::new().pax(&[("mtime", b"-1.5")]).file("pax", "").open_ended());
    archive.extend(Tape::new().pax(&[("mtime", b"99999999999999999999")]).file("beyond", "").end());
    let fs = target.takes(&archive);
    let time = |name: &str| fs::metadata(fs.join(name)).map(|m| (m.mtime(), m.mtime_nsec())).unwrap();
    assert_eq!(time("before"), (-1_000_000_000, 0));
    assert_eq!(time("pax"), (-2, 500_000_000));
    assert_eq!(time("after").0, 5_000_000_000);
    assert!(time("never").0 > 5_000_000_000 && time("beyond").0 > 5_000_000_000);
}

#[test]
fn a_directorys_time_is_not_that_of_its_last_file() {
    let target = Target::new();
    let fs = target.takes(&Tape::new().directory("./").directory("d").file("d/e/x", "").file("d/y", "").end());
    assert_eq!(fs::metadata(fs.join("d")).unwrap().mtime(), 1_000_000_000);
    assert_eq!(fs::metadata(&fs).unwrap().mtime(), 1_000_000_000);
}

#[test]
fn what_ends_early_is_refused_and_leaves_nothing() {
    let target = Target::new();
    let whole = Tape::new().file("a", "x".repeat(100_000)).file("b", "y".repeat(100_000)).end();
    for length in [1, 300, 513, 50_000, 100_352, 100_700, 150_000] {
        let said = target.refuses(&whole[..length], "the archive ends in the middle");
        assert!(said.contains("fetch it again"), "{said}");
    }
    let gzip = compressed("gzip", &whole);
    for length in [20, gzip.len() / 2, gzip.len() - 1] {
        target.refuses(&gzip[..length], "the archive ends in the middle");
    }
    let mut corrupt = gzip.clone();
    corrupt[gzip.len() / 2] ^= 0xff;
    target.refuses(&corrupt, "cannot unpack");
    let mut wrong_sum = gzip;
    let place = wrong_sum.len() - 8;
    wrong_sum[place] ^= 0xff;
    target.refuses(&wrong_sum, "cannot read the archive");
    // An archive may end without its two blocks of zeros, at the end of an entry.
    Target::new().takes(&Tape::new().file("a", "x").open_ended());
}

fn compressed(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || drop(input.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn what_is_no_archive_is_refused() {
    let target = Target::new();
    let mut archive = Tape::new().file("a", "").end();
    archive[0] = b'b';
    target.refuses(&archive, "the checksum is wrong");
    target.refuses(&[b'x'; 4096], "invalid tar header at byte 0");
    target.refuses(b"\x5d\0\0\x80\0", "compressed by lzma");
    // The beginning of a bzip2 stream, and no more.
    target.refuses(b"BZh91AY&SY", "in the middle");
    let mut negative = Header::new("a", b'0').bytes();
    negative[124..136].fill(0xff);
    hostile::seal(&mut negative);
    target.refuses(&negative, "no size");
    let pax = Tape::new().sized(Header::new("x", b'x'), b"999 path=a\n").file("a", "");
    target.refuses(&pax.end(), "is malformed");
    // Nothing at all is an empty image, as with Docker.
    Target::new().takes(&[0; 1024]);
}

#[test]
fn bombs_are_stopped_by_limits_that_can_be_raised() {
    let target = Target::new();
    let many = (0..50).fold(Tape::new(), |tape, n| tape.file(n.to_string(), "x")).end();
    let said = target.refuses_with(&[("MINIRUN_MAX_LAYER_ENTRIES", "49")], &many, "more than 49 entries");
    assert!(said.contains("MINIRUN_MAX_LAYER_ENTRIES=490"), "{said}");
    let zeros = compressed("gzip", &Tape::new().file("zeros", vec![0; 4 << 20]).end());
    assert!(zeros.len() < 10_000);
    let said = target.refuses_with(&[("MINIRUN_MAX_LAYER_BYTES", "1000000")], &zeros, "more than 1000000 bytes");
    assert!(said.contains("MINIRUN_MAX_LAYER_BYTES=10000000"), "{said}");
    target.refuses_with(&[("MINIRUN_MAX_LAYER_DEPTH", "3")], &Tape::new().file("a/b/c/d", "").end(), "deeper than 3");
    // A file that claims more than any limit is refused before a byte of it is written, holes or not.
    let claim = Tape::new().pax(&[("size", b"1125899906842624")]).entry(&Header::new("f", b'0'), b"");
    target.refuses(&claim.end(), "more than 137438953472 bytes");
    target.refuses(&gnu_sparse("f", 1 << 50, &[(0, b"x")]).end(), "more than 137438953472 bytes");
    Target::new().takes(&many);
}

/// The same numbers each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

#[test]
fn whatever_the_bytes_nothing_breaks_and_nothing_escapes() {
    let target = Target::new();
    let canary = target.outside("canary");
    let parts = [
        Tape::new().directory("d").file("d/f", "x".repeat(700)).symlink("l", &canary).hard_link("h", "d/f"),
        Tape::new().pax(&[("path", b"a/b/c"), ("mtime", b"1.5"), ("size", b"3")]).file("x", "abc").file("a/.wh.b", ""),
        pax_sparse("1.0", "s", 4096, &[(0, b"abc"), (2048, b"def")]).gnu_long(b'L', b"long/../name").file("y", "y"),
        gnu_sparse("g", 9000, &[(0, b"abc"), (1024, b"def"), (2048, b"x"), (3000, b"y"), (4000, b"z")]),
    ];
    let mut numbers = Numbers(1);
    let interesting = [0, 1, b'/', b'.', b'-', b'9', 0x7f, 0x80, 0xff, b'x', b'L', b'S', b'1', b'2', b' ', b'\n'];
    for round in 0..100 {
        let mut archive = parts[round % parts.len()].clone().end();
        for _ in 0..1 + numbers.next(4) {
            // Mostly in the fields of a header, whose checksum is then made right again.
            let block = numbers.next(archive.len() / 512) * 512;
            let place = block + [numbers.next(512), numbers.next(20), 100 + numbers.next(60)][numbers.next(3)];
            archive[place] = interesting[numbers.next(interesting.len())];
            let header: &mut [u8; 512] = (&mut archive[block..block + 512]).try_into().unwrap();
            if &header[257..262] == b"ustar" {
                hostile::seal(header);
            }
        }
        let result = target.sandbox.run_with_input(&["import", "-", "mutant"], &archive);
        assert!(matches!(result.code, 0 | 1), "round {round}\n{}", result.streams());
        target.check_outside();
        if result.code == 0 {
            target.sandbox.ok(&["save", "-o", "mutant.tar", "mutant"]);
            target.sandbox.ok(&["rmi", "mutant"]);
        }
        target.check_empty();
    }
}
