//! Dockerfiles as students write them, built here and by buildah: the same files, the same settings.

use crate::common::{Need, Sandbox, User, require};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// One thing of an image, as `ls` and `cat` would show it.
type Shown = BTreeMap<String, String>;

/// Every file of an unpacked image, in words. Times of what the build itself makes differ, so they are left out where
/// `timed` says so.
fn shown(root: &Path, timed: &dyn Fn(&str) -> bool) -> Shown {
    let mut all = Shown::new();
    let mut links: BTreeMap<u64, String> = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let mut entries: Vec<_> = fs::read_dir(&directory).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let name = format!("/{}", path.strip_prefix(root).unwrap().display());
            let meta = fs::symlink_metadata(&path).unwrap();
            let what = if meta.is_dir() {
                open.push(path.clone());
                "directory".into()
            } else if meta.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else {
                let text = fs::read(&path).unwrap();
                let same = if meta.nlink() > 1 {
                    links.entry(meta.ino()).or_insert_with(|| name.clone()).clone()
                } else {
                    String::new()
                };
                let contents = text.iter().fold(0u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(*b)));
                format!("file {} {contents:x} {same}", text.len())
            };
            let time = if timed(&name) { meta.mtime() } else { 0 };
            let mode = if meta.is_symlink() { 0o777 } else { meta.permissions().mode() & 0o7777 };
            let attributes = attributes(&path, meta.is_symlink());
            all.insert(name, format!("{mode:o} {}:{} {time} {what}{attributes}", meta.uid(), meta.gid()));
        }
    }
    all
}

fn attributes(path: &Path, is_link: bool) -> String {
    if is_link {
        return String::new();
    }
    let listed = std::process::Command::new("getfattr").args(["-d", "-m", "-", "--absolute-names"]).arg(path).output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    // What umoci notes for itself.
    let lines = listed
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty() && !line.starts_with("user.rootlesscontainers"));
    lines.map(|line| format!(" {line}")).collect()
}

/// Builds the same context in both, and gives what both made of it: files and config.
fn both(sandbox: &Sandbox, arguments: &[&str]) -> [(std::path::PathBuf, Value); 2] {
    let place = ["--root", "theirs", "--runroot", "theirs-run", "--storage-driver", "vfs"];
    let buildah = |arguments: &[&str]| sandbox.run_other("buildah", &[&place[..], arguments].concat()).ok();
    // Whole seconds: of parts, Docker takes the last second and buildah the nearest.
    sandbox.run_other("find", &["context", "-exec", "touch", "-h", "-d", "@1500000000", "{}", "+"]).ok();
    sandbox.ok(&["save", "-o", "alpine.tar", "alpine"]);
    buildah(&["pull", "-q", "docker-archive:alpine.tar"]);
    let bud = ["bud", "--isolation", "chroot", "--pull-never", "--layers", "--format", "docker", "-t", "theirs"];
    buildah(&[&bud[..], arguments, &["context"]].concat());
    buildah(&["push", "-q", "theirs", "oci:theirs-oci:latest"]);
    sandbox.ok(&[&["build", "-t", "ours"], arguments, &["context"]].concat());
    sandbox.ok(&["save", "--format", "oci-dir", "-o", "ours-oci", "ours"]);
    ["ours", "theirs"].map(|name| {
        let layout = format!("{name}-oci");
        let index: Value =
            serde_json::from_slice(&fs::read(sandbox.file(&layout).join("index.json")).unwrap()).unwrap();
        let tag =
            index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap().to_owned();
        let blob = |digest: &Value| {
            let hex = digest.as_str().unwrap().trim_start_matches("sha256:").to_owned();
            serde_json::from_slice::<Value>(&fs::read(sandbox.file(&layout).join("blobs/sha256").join(hex)).unwrap())
                .unwrap()
        };
        let manifest = blob(&index["manifests"][0]["digest"]);
        for layer in manifest["layers"].as_array().unwrap() {
            let hex = layer["digest"].as_str().unwrap().trim_start_matches("sha256:");
            let path = sandbox.file(&layout).join("blobs/sha256").join(hex);
            let script = "zcat -f $0 >raw && grep -qa ustar raw && ! grep -qa user.overlay raw";
            let checked = sandbox.run_other("sh", &["-c", script, path.to_str().unwrap()]);
            assert_eq!(checked.code, 0, "an attribute of the overlay is in a layer of {name}\n{}", checked.streams());
        }
        let config = blob(&manifest["config"]["digest"]);
        let bundle = format!("{name}-bundle");
        sandbox.run_other("umoci", &["unpack", "--image", &format!("{layout}:{tag}"), &bundle]).ok();
        (sandbox.file(bundle).join("rootfs"), config)
    })
}

#[track_caller]
fn assert_same(ours: &Shown, theirs: &Shown) {
    // Where buildah mounted something, it leaves what it mounted on; Docker does not.
    let left_by_buildah = ["/etc/resolv.conf", "/etc/hosts"];
    let mut wrong = Vec::new();
    for name in ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name))) {
        let none = "(not there)".to_owned();
        let (a, b) = (ours.get(name).unwrap_or(&none), theirs.get(name).unwrap_or(&none));
        if a != b && !left_by_buildah.contains(&name.as_str()) {
            wrong.push(format!("{name}\n  ours   {a}\n  theirs {b}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn context(sandbox: &Sandbox, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = sandbox.file("context").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    }
}

#[test]
fn alpine_with_one_run_and_one_copy_to_two_places() {
    require!(Need::As(User::Root), Need::Tool("buildah"), Need::Tool("umoci"));
    let sandbox = Sandbox::with_alpine();
    context(
        &sandbox,
        &[
            (
                "Dockerfile",
                "FROM alpine\nRUN adduser -D -H web && mkdir -p /run/nginx && chown web /run/nginx && rm /etc/motd\nCOPY files /\nEXPOSE 8888\nCMD [\"nginx\", \"-g\", \"daemon off;\"]\n",
            ),
            ("files/etc/nginx/conf.d/default.conf", "server { listen 8888; }\n"),
            ("files/usr/share/nginx/html/index.html", "<p>hello</p>\n"),
            ("files/usr/share/nginx/html/deep/er/page", "deep\n"),
        ],
    );
    fs::set_permissions(sandbox.file("context/files/usr/share/nginx/html/deep"), PermissionsExt::from_mode(0o750))
        .unwrap();
    symlink("index.html", sandbox.file("context/files/usr/share/nginx/html/link")).unwrap();
    let [(ours, our_config), (theirs, their_config)] = both(&sandbox, &[]);
    let timed = |name: &str| name.starts_with("/usr/share/nginx/html/") || name.starts_with("/bin");
    assert_same(&shown(&ours, &timed), &shown(&theirs, &timed));
    for key in ["Cmd", "ExposedPorts"] {
        assert_eq!(our_config["config"][key], their_config["config"][key], "{key}");
    }
}

#[test]
fn the_official_one_of_nginx_reshaped() {
    require!(Need::As(User::Root), Need::Tool("buildah"), Need::Tool("umoci"));
    let sandbox = Sandbox::with_alpine();
    let file = r#"FROM alpine
LABEL maintainer="NGINX Docker Maintainers <docker-maint@nginx.com>"
ENV NGINX_VERSION   1.27.2
ENV PKG_RELEASE=1 DYNPKG_RELEASE="2 3"
RUN set -x \
# create nginx user/group first, to be consistent throughout docker variants
    && addgroup -g 101 -S nginx \
    && adduser -S -D -H -u 101 -h /var/cache/nginx -s /sbin/nologin -G nginx -g nginx nginx \
    && apkArch="$(cat /etc/apk/arch 2>/dev/null || echo none)" \
    && case "$apkArch" in \
        x86_64|aarch64) echo $NGINX_VERSION-r${PKG_RELEASE} > /etc/nginx.version ;; \
        *) echo other > /etc/nginx.version ;; \
    esac \
    && mkdir -p /var/log/nginx /docker-entrypoint.d /var/cache/nginx \
    && ln -sf /dev/stdout /var/log/nginx/access.log \
    && ln -sf /dev/stderr /var/log/nginx/error.log \
    && chown nginx:nginx /var/cache/nginx && chmod 700 /var/cache/nginx
COPY docker-entrypoint.sh /
COPY 10-listen.sh 20-envsubst.sh /docker-entrypoint.d
COPY --chown=nginx:nginx --chmod=755 10-listen.sh /docker-entrypoint.d/owned.sh
ENTRYPOINT ["/docker-entrypoint.sh"]
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
"#;
    // Without the slash there is no telling where two files go.
    let file = file.replace("/docker-entrypoint.d\nCOPY --chown", "/docker-entrypoint.d/\nCOPY --chown");
    context(
        &sandbox,
        &[
            ("Dockerfile", &file),
            ("docker-entrypoint.sh", "#!/bin/sh\nexec \"$@\"\n"),
            ("10-listen.sh", "#!/bin/sh\n"),
            ("20-envsubst.sh", "#!/bin/sh\n"),
        ],
    );
    let [(ours, our_config), (theirs, their_config)] = both(&sandbox, &[]);
    let timed = |name: &str| name.ends_with(".sh");
    assert_same(&shown(&ours, &timed), &shown(&theirs, &timed));
    for key in ["Cmd", "Entrypoint", "ExposedPorts", "StopSignal", "Labels"] {
        let (ours, mut theirs) = (our_config["config"][key].clone(), their_config["config"][key].clone());
        theirs.as_object_mut().map(|labels| labels.remove("io.buildah.version"));
        assert_eq!(ours, theirs, "{key}");
    }
    let env = |config: &Value| {
        let list: Vec<String> = serde_json::from_value(config["config"]["Env"].clone()).unwrap();
        list.into_iter().filter(|entry| !entry.starts_with("PATH=")).collect::<Vec<_>>()
    };
    assert_eq!(env(&our_config), env(&their_config));
}

#[test]
fn several_stages() {
    require!(Need::As(User::Root), Need::Tool("buildah"), Need::Tool("umoci"));
    let sandbox = Sandbox::with_alpine();
    let file = "ARG BASE=alpine\nFROM $BASE AS build\nARG VERSION=1\nWORKDIR /src\nCOPY . .\nRUN mkdir /out && cat *.txt > /out/app && echo $VERSION >> /out/app && chmod 4755 /out/app && chown 5:6 /out/app && ln /out/app /out/twin\n\
        FROM alpine AS unused\nRUN false\n\
        FROM alpine\nWORKDIR /opt/app\nCOPY --from=build /out/ bin/\nCOPY --from=build --chown=7 /src/b.txt /src/a.txt ./\nADD archive.tar.gz unpacked/\nUSER 1000\nVOLUME /data\nENTRYPOINT /opt/app/bin/app\n";
    context(
        &sandbox,
        &[
            ("Dockerfile", file),
            (".dockerignore", "*.log\n!keep.log\nnode_modules\n**/*.tmp\n"),
            ("a.txt", "a\n"),
            ("b.txt", "b\n"),
            ("drop.log", "x"),
            ("keep.log", "x"),
            ("node_modules/dep/index.js", "x"),
            ("sub/x.tmp", "x"),
            ("sub/y", "y"),
            ("packed/inner", "inner\n"),
        ],
    );
    sandbox
        .run_other("tar", &["-C", "context/packed", "--owner=3", "--group=4", "-czf", "context/archive.tar.gz", "."])
        .ok();
    let [(ours, our_config), (theirs, their_config)] = both(&sandbox, &["--build-arg", "VERSION=2"]);
    let timed = |name: &str| name.ends_with(".txt") || name.contains("/unpacked/");
    assert_same(&shown(&ours, &timed), &shown(&theirs, &timed));
    for key in ["WorkingDir", "User", "Volumes", "Entrypoint"] {
        assert_eq!(our_config["config"][key], their_config["config"][key], "{key}");
    }
}
