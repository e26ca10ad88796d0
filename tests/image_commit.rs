//! What a container has changed, and the layer made of it, from upper directories as overlayfs leaves them.

use crate::common::hostile;
use crate::common::{Sandbox, User, user};
use hostile::{Header, Tape};
use minirun::exposed::Image;
use minirun::exposed::Store;
use minirun::exposed::image;
use minirun::exposed::image as diff;
use minirun::exposed::image::Change;
use minirun::exposed::image::Options;
use minirun::exposed::image::commit;
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A base image, and an upper directory to be filled as a container would fill it.
struct Container {
    sandbox: Sandbox,
    store: Store,
    base: Image,
    upper: PathBuf,
}

impl Container {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let at = |name: &str| Header { time: 1_000_000_000, mode: 0o755, ..Header::new(name, b'5') };
        let archive = Tape::new()
            .entry(&at("etc/"), b"")
            .file("etc/passwd", "root:x:0:0")
            .file("etc/group", "root:x:0:")
            .entry(&at("opt/"), b"")
            .entry(&at("opt/app/"), b"")
            .file("opt/app/one", "1")
            .file("opt/app/two", "2")
            .symlink("link", "etc")
            .end();
        sandbox.run_with_input(&["import", "-c", "ENV A=1", "-c", "CMD [\"sh\"]", "-", "base"], &archive).ok();
        let store = Store { root: sandbox.root(), runtime: sandbox.runtime() };
        let base = image::find(&store, "base").unwrap();
        let upper = sandbox.file("upper");
        fs::create_dir(&upper).unwrap();
        Self { sandbox, store, base, upper }
    }

    /// A directory that overlayfs has copied up.
    fn copied_up(&self, path: &str) -> PathBuf {
        let path = self.upper.join(path);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Gives a directory its old time back, after what was done in it.
    fn keep_time(&self, path: &str) {
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::open(self.upper.join(path)).unwrap().set_modified(time).unwrap();
    }

    fn whiteout(&self, path: &str) {
        rustix::fs::mknodat(CWD, self.upper.join(path), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    }

    fn opaque(&self, path: &str) {
        let path = self.upper.join(path);
        rustix::fs::setxattr(&path, "user.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
    }

    fn lowers(&self) -> Vec<PathBuf> {
        self.base.layer_dirs().iter().map(|dir| self.store.path(dir)).collect()
    }

    fn changes(&self) -> Vec<String> {
        self.changes_without(&[])
    }

    fn changes_without(&self, leave_out: &[PathBuf]) -> Vec<String> {
        let changes = diff::changes(&self.upper, &self.lowers(), leave_out).unwrap();
        changes.iter().map(|change| format!("{} {}", change.kind, change.path.display())).collect()
    }

    fn commit(&self, options: Options) -> Image {
        let id = commit(&self.store, &self.base, &self.upper, options).unwrap();
        Image::open(&self.store, &id).unwrap().unwrap()
    }

    /// The newest layer's archive, as GNU tar lists it.
    fn listing(&self, image: &Image) -> Vec<String> {
        let directory = self.sandbox.file("saved");
        let _ = fs::remove_dir_all(&directory);
        let id = image.id.to_string();
        self.sandbox.ok(&["save", "--format", "oci-dir", "-o", directory.to_str().unwrap(), &id]);
        let layer = directory.join("blobs/sha256").join(image.layers.last().unwrap().hex());
        let listed = self.sandbox.run_other("tar", &["tf", layer.to_str().unwrap()]).ok();
        listed.lines().map(str::to_owned).collect()
    }
}

#[test]
fn what_was_added_changed_and_deleted() {
    let container = Container::new();
    container.copied_up("etc");
    fs::write(container.upper.join("etc/passwd"), "changed").unwrap();
    fs::write(container.upper.join("etc/new"), "new").unwrap();
    container.whiteout("etc/group");
    // Made and removed again: there is nothing to be hidden.
    container.whiteout("etc/gone");
    container.copied_up("opt");
    container.whiteout("opt/app");
    symlink("x", container.upper.join("sym")).unwrap();
    assert_eq!(
        container.changes(),
        ["C /etc", "D /etc/group", "A /etc/new", "C /etc/passwd", "C /opt", "D /opt/app", "A /sym"]
    );
    let image = container.commit(Options::default());
    assert_eq!(
        container.listing(&image),
        ["etc/", "etc/.wh.group", "etc/new", "etc/passwd", "opt/", "opt/.wh.app", "sym"]
    );
}

#[test]
fn a_directory_made_anew_hides_the_old_one() {
    let container = Container::new();
    container.copied_up("opt/app");
    container.opaque("opt/app");
    fs::write(container.upper.join("opt/app/two"), "new").unwrap();
    fs::write(container.upper.join("opt/app/three"), "new").unwrap();
    let expected = ["C /opt", "C /opt/app", "D /opt/app/one", "A /opt/app/three", "C /opt/app/two"];
    assert_eq!(container.changes(), expected);
    let image = container.commit(Options::default());
    assert_eq!(container.listing(&image), ["opt/", "opt/app/", "opt/app/.wh..wh..opq", "opt/app/three", "opt/app/two"]);
    // The same again, seen from an image of two layers.
    let second = Container { base: image, upper: container.sandbox.file("second"), ..container };
    fs::create_dir(&second.upper).unwrap();
    second.copied_up("opt/app");
    second.opaque("opt/app");
    assert_eq!(second.changes(), ["C /opt", "C /opt/app", "D /opt/app/three", "D /opt/app/two"]);
}

#[test]
fn a_directory_that_did_not_change_is_not_listed() {
    let container = Container::new();
    container.copied_up("opt/app");
    for path in ["opt/app", "opt", "."] {
        container.keep_time(path);
    }
    assert_eq!(container.changes(), [""; 0]);
    fs::set_permissions(container.upper.join("opt/app"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(container.changes(), ["C /opt", "C /opt/app"]);
}

#[test]
fn what_the_engine_made_is_left_out_as_long_as_it_is_empty() {
    let container = Container::new();
    container.copied_up("etc");
    fs::write(container.upper.join("etc/hosts"), "").unwrap();
    container.copied_up("dev/shm");
    fs::write(container.upper.join("dev/console"), "").unwrap();
    let leave_out: Vec<PathBuf> = ["/etc/hosts", "/dev", "/dev/shm", "/dev/console"].map(PathBuf::from).into();
    assert_eq!(container.changes_without(&leave_out), [""; 0]);
    let unchanged = container.commit(Options { leave_out: leave_out.clone(), ..Options::default() });
    assert_eq!(unchanged.layers, container.base.layers);
    assert_eq!(unchanged.raw_config()["history"][1]["empty_layer"], json!(true));
    fs::write(container.upper.join("dev/mine"), "x").unwrap();
    fs::write(container.upper.join("etc/hosts"), "x").unwrap();
    assert_eq!(container.changes_without(&leave_out), ["A /dev", "A /dev/mine", "C /etc", "A /etc/hosts"]);
}

#[test]
fn every_kind_of_file_survives_a_commit() {
    let container = Container::new();
    let long = "long-".repeat(45);
    let directory = container.copied_up("new");
    fs::write(directory.join("one"), "x".repeat(5000)).unwrap();
    fs::hard_link(directory.join("one"), directory.join("two")).unwrap();
    fs::set_permissions(directory.join("one"), fs::Permissions::from_mode(0o4750)).unwrap();
    rustix::fs::setxattr(directory.join("one"), "user.note", b"a\nb\0", XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(directory.join("one"), "user.overlay.origin", b"x", XattrFlags::empty()).unwrap();
    symlink(&long, directory.join("link")).unwrap();
    fs::write(directory.join(&long), "long").unwrap();
    rustix::fs::mknodat(CWD, directory.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let _listener = UnixListener::bind(directory.join("socket")).unwrap();
    let image = container.commit(Options::default());
    let tree = container.store.path(image.layer_dirs().pop().unwrap()).join("new");
    let mut names: Vec<_> =
        fs::read_dir(&tree).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["fifo", "link", long.as_str(), "one", "two"]);
    let one = fs::metadata(tree.join("one")).unwrap();
    assert_eq!(one.ino(), fs::metadata(tree.join("two")).unwrap().ino());
    assert_eq!(one.mode() & 0o7777, 0o4750);
    let xattr = |name: &str| {
        let mut value = [0; 64];
        rustix::fs::getxattr(tree.join("one"), name, &mut value[..]).ok().map(|n| value[..n].to_vec())
    };
    assert_eq!(xattr("user.note").unwrap(), b"a\nb\0");
    assert_eq!(xattr("user.overlay.origin"), None);
    assert_eq!(fs::read_link(tree.join("link")).unwrap(), Path::new(&long));
}

#[test]
fn the_same_changes_give_the_same_layer() {
    let layers: Vec<_> = (0..2)
        .map(|_| {
            let container = Container::new();
            container.copied_up("etc");
            for name in ["b", "a", "c"] {
                fs::write(container.upper.join("etc").join(name), name).unwrap();
                container.keep_time(&format!("etc/{name}"));
            }
            container.keep_time("etc");
            container.commit(Options::default()).layers.pop().unwrap()
        })
        .collect();
    assert_eq!(layers[0], layers[1]);
}

#[test]
fn the_owner_noted_in_one_id_mode_comes_back() {
    let container = Container::new();
    let file = container.upper.join("file");
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let uid = rustix::process::getuid().as_raw();
    rustix::fs::setxattr(&file, "user.minirun.stat", format!("{uid}:{uid}:440").as_bytes(), XattrFlags::empty())
        .unwrap();
    let image = container.commit(Options::default());
    let tree = container.store.path(image.layer_dirs().pop().unwrap());
    let found = fs::metadata(tree.join("file")).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o7777), (uid, 0o440));
}

#[test]
fn a_commit_changes_the_config_and_tells_of_it() {
    let container = Container::new();
    fs::write(container.upper.join("file"), "x").unwrap();
    let options = Options {
        author: Some("A. Student".into()),
        message: Some("homework".into()),
        changes: vec![
            Change::Env(vec![("B".into(), "2".into())]),
            Change::Expose(vec!["80/tcp".into()]),
            Change::Cmd(Some(vec!["/bin/sh".into(), "-c".into(), "nginx".into()])),
        ],
        name: Some("nginxnew:v1.2".parse().unwrap()),
        created_by: Some("sh -c true".into()),
        ..Options::default()
    };
    let image = container.commit(options);
    let raw = image.raw_config();
    assert_eq!(raw["author"], "A. Student");
    assert_eq!(
        raw["config"],
        json!({ "Env": ["A=1", "B=2"], "Cmd": ["/bin/sh", "-c", "nginx"], "ExposedPorts": { "80/tcp": {} } })
    );
    let step = &raw["history"][1];
    assert_eq!((&step["comment"], &step["created_by"]), (&json!("homework"), &json!("sh -c true")));
    let listed = container.sandbox.ok(&["history", "--no-trunc", "nginxnew:v1.2"]);
    assert!(listed.lines().nth(1).unwrap().contains("homework"), "{listed}");
    let settings = json!({ "Cmd": ["container"], "Healthcheck": { "Test": ["NONE"] } });
    let other = container.commit(Options { settings: Some(settings.clone()), ..Options::default() });
    assert_eq!(other.raw_config()["config"], settings);
    // Inspected in Docker's words.
    let known: Value = image::json(&container.store, &image).unwrap();
    assert_eq!(known["RepoTags"], json!(["nginxnew:v1.2"]));
    assert_eq!(known["RootFS"]["Layers"].as_array().unwrap().len(), 2);
    assert_eq!(known["Comment"], "homework");
}

#[test]
fn a_real_container_is_diffed_committed_and_run_again() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo changed > /etc/motd; rm /etc/issue; rm -r /etc/apk; mkdir /etc/apk; echo 1 > /etc/apk/new
        mkdir -p /srv/new; echo 2 > /srv/new/file; ln /srv/new/file /srv/new/link; ln -s file /srv/new/sym
        chown -R 1000:1001 /srv/new; chmod 4750 /srv/new/file
        echo >> /etc/shadow";
    sandbox.ok(&["run", "--name", "first", "--network", "none", "alpine", "sh", "-c", script]);
    let changes = sandbox.ok(&["diff", "first"]);
    let changes: Vec<&str> = changes.lines().collect();
    for line in [
        "C /etc",
        "C /etc/motd",
        "D /etc/issue",
        "C /etc/apk",
        "D /etc/apk/repositories",
        "A /etc/apk/new",
        "C /srv",
        "A /srv/new/file",
    ] {
        assert!(changes.contains(&line), "{line} expected in {changes:?}");
    }
    // Nothing that the engine itself had to make shows.
    for line in &changes {
        assert!(["/etc", "/srv"].iter().any(|d| line[2..].starts_with(d)), "{line}");
        assert!(!["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].contains(&&line[2..]), "{line}");
    }
    let id = sandbox.ok(&["commit", "-m", "homework", "-c", "ENV A=1", "first", "nginxnew:v1.2"]);
    assert!(id.starts_with("sha256:"), "{id}");
    let look = "cat /etc/motd /etc/apk/new; ls /etc/apk /etc/issue 2>&1; echo $A; stat -c '%n %u %g %a %h' /srv/new/file /srv/new/link";
    let seen = sandbox.ok(&["run", "--rm", "--network", "none", "nginxnew:v1.2", "sh", "-c", look]);
    // With one id, all files are seen as root's, whoever they belong to.
    let owner = if user() == User::Single { "0 0" } else { "1000 1001" };
    let expected = format!(
        "changed\n1\nls: /etc/issue: No such file or directory\n/etc/apk:\nnew\n1\n\
         /srv/new/file {owner} 4750 2\n/srv/new/link {owner} 4750 2\n"
    );
    assert_eq!(seen, expected);
    sandbox.ok(&["run", "--name", "second", "--network", "none", "nginxnew:v1.2", "true"]);
    assert_eq!(sandbox.ok(&["diff", "second"]), "");
    sandbox.ok(&["save", "--format", "oci-dir", "-o", "o", "nginxnew:v1.2"]);
    let store = Store { root: sandbox.root(), runtime: sandbox.runtime() };
    let top = image::find(&store, "nginxnew:v1.2").unwrap().layers.pop().unwrap();
    let listed = sandbox.run_other("tar", &["tvf", &format!("o/blobs/sha256/{}", top.hex())]).ok();
    let line = |end: &str| listed.lines().find(|l| l.ends_with(end)).unwrap_or_else(|| panic!("{listed}"));
    // And kept, whoever is looking.
    assert!(line(" srv/new/file").starts_with("-rwsr-x--- 1000/1001 "), "{listed}");
    assert!(line(" etc/shadow").starts_with("-rw-r----- 0/42 "), "{listed}");
    sandbox.ok(&["rm", "first", "second"]);
    sandbox.ok(&["rmi", "nginxnew:v1.2"]);
}

#[test]
fn a_file_with_holes_keeps_them_wherever_it_goes() {
    let sandbox = Sandbox::with_alpine();
    let script = "printf begin >/sparse; truncate -s 64M /sparse; printf end >>/sparse; truncate -s 1M /empty";
    sandbox.ok(&["run", "--name", "made", "--network", "none", "alpine", "sh", "-c", script]);
    let room = |sandbox: &Sandbox, image: &str| {
        let store = Store { root: sandbox.root(), runtime: sandbox.runtime() };
        let fs = store.path(image::find(&store, image).unwrap().layer_dirs().pop().unwrap());
        let [sparse, empty] = ["sparse", "empty"].map(|name| fs::metadata(fs.join(name)).unwrap());
        assert_eq!((sparse.len(), empty.len()), ((64 << 20) + 3, 1 << 20));
        (sparse.blocks() + empty.blocks()) * 512
    };
    sandbox.ok(&["commit", "made", "committed"]);
    assert!(room(&sandbox, "committed") <= 64 << 10, "{}", room(&sandbox, "committed"));
    let read = ["run", "--rm", "--network", "none", "committed", "sh", "-c", "head -c 6 /sparse; tail -c 4 /sparse"];
    assert_eq!(sandbox.ok(&read), "begin\0\0end");
    sandbox.put("Dockerfile", &format!("FROM alpine\nRUN {script}\n"));
    sandbox.ok(&["build", "-q", "--network", "none", "-t", "built", "context"]);
    sandbox.ok(&["save", "-o", "both.tar", "committed", "built"]);
    let fresh = Sandbox::new();
    fresh.ok(&["load", "-i", sandbox.file("both.tar").to_str().unwrap()]);
    for image in ["committed", "built"] {
        assert!(room(&sandbox, image) <= 64 << 10, "{image}");
        assert!(room(&fresh, image) <= 64 << 10, "{image}");
    }
    sandbox.ok(&["rm", "made"]);
}
