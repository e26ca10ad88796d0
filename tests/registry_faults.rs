//! Faults between minirun and a registry: in the end a pull or push succeeds or fails cleanly, and nothing broken is kept.

use crate::common::http::{Answer, Cutter, Request, WebServer};
use crate::common::registry::Registry;
use crate::common::{self, Need, Sandbox, require};
use nix::sys::signal::Signal;
use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

const REGISTRY: Need = Need::Tool("docker-registry");

/// Numbers that look like chance, the same in each run.
fn chance(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Nothing of an image, and nothing half-done.
#[track_caller]
fn assert_nothing_kept(sandbox: &Sandbox) {
    for directory in ["images", "layers", "names", "tmp", "pending"] {
        assert_eq!(sandbox.stored(directory), [] as [String; 0], "{directory}");
    }
}

/// An image `big` of three layers with some megabytes that do not compress.
fn with_layers() -> Sandbox {
    let sandbox = Sandbox::with_alpine();
    let mut image = "alpine".to_owned();
    for n in 1..=2 {
        let script = format!("dd if=/dev/urandom of=/part{n} bs=1M count=3 2>/dev/null");
        sandbox.ok(&["run", "--name", &format!("part{n}"), "--network", "none", &image, "sh", "-c", &script]);
        image = format!("big:{n}");
        sandbox.ok(&["commit", &format!("part{n}"), &image]);
    }
    sandbox.ok(&["tag", &image, "big"]);
    sandbox
}

/// [`with_layers`], and its `big` in the registry under the name that is given, too.
fn with_pushed_layers(registry: &Registry) -> (Sandbox, String) {
    let (sandbox, name) = (with_layers(), registry.image("ann/big"));
    sandbox.ok(&["tag", "big", &name]);
    sandbox.ok(&["push", "-q", &name]);
    (sandbox, name)
}

fn id(sandbox: &Sandbox, image: &str) -> String {
    sandbox.look(image, "{{.Id}}")
}

#[test]
fn pull_and_push_go_on_where_a_connection_was_cut() {
    require!(REGISTRY);
    let sandbox = with_layers();
    for seed in 0..4 {
        let registry = Registry::open();
        // Debian's registry forgets an upload that was cut, so that each layer needs a connection that holds.
        let pushing = Cutter::start(registry.port, move |n| match n % 3 {
            0 => chance(n + 100 * seed) % 1_000_000,
            1 => chance(n + 100 * seed) % 300,
            _ => u64::MAX,
        });
        let name = format!("{}/ann/big", pushing.host());
        sandbox.ok(&["tag", "big", &name]);
        sandbox.ok(&["push", &name]);
        assert!(pushing.cuts.load(Ordering::SeqCst) >= 3, "nothing was cut");
        sandbox.ok(&["rmi", &name]);

        // Most connections get some way, some nowhere.
        let budget = move |n| match n % 5 {
            4 => chance(n + 100 * seed) % 300,
            _ => 1_000_000 + chance(n + 100 * seed) % 1_000_000,
        };
        let pulling = Cutter::start(registry.port, budget);
        let name = format!("{}/ann/big", pulling.host());
        let fresh = Sandbox::new();
        fresh.ok(&["pull", &name]);
        assert!(pulling.cuts.load(Ordering::SeqCst) >= 4, "nothing was cut");
        assert_eq!(id(&fresh, &name), id(&sandbox, "big"));
        let sizes = fresh.ok(&["run", "--rm", "--network", "none", &name, "sh", "-c", "cat /part1 /part2 | wc -c"]);
        assert_eq!(sizes.trim(), "6291456");
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    let sum = sha2::Sha256::digest(bytes);
    sum.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A registry that takes one image and goes on with uploads that were cut.
#[derive(Default)]
struct Taking {
    uploads: HashMap<String, Vec<u8>>,
    blobs: HashMap<String, Vec<u8>>,
    begun: usize,
    resumed: usize,
}

impl Taking {
    fn answer(&mut self, request: &Request) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let last = path.rsplit('/').next().unwrap();
        let here = |bytes: usize| {
            let range = format!("0-{}", bytes.saturating_sub(1));
            Answer::new(202, "").header("Location", path).header("Range", range)
        };
        match request.method.as_str() {
            "HEAD" => Answer::new(if self.blobs.contains_key(last) { 200 } else { 404 }, ""),
            "POST" => {
                self.begun += 1;
                let id = format!("upload-{}", self.begun);
                self.uploads.insert(id.clone(), Vec::new());
                Answer::new(202, "").header("Location", format!("{path}{id}"))
            }
            "GET" | "PATCH" if path != "/v2/" => {
                let Some(upload) = self.uploads.get_mut(last) else { return Answer::new(404, "") };
                self.resumed += usize::from(request.method == "GET" && !upload.is_empty());
                upload.extend_from_slice(&request.body);
                here(upload.len())
            }
            "PUT" if path.contains("/uploads/") => {
                let Some(blob) = self.uploads.remove(last) else { return Answer::new(404, "") };
                let digest = query.trim_start_matches("digest=");
                if digest != sha256(&blob) {
                    return Answer::new(400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
                }
                self.blobs.insert(digest.to_owned(), blob);
                Answer::new(201, "")
            }
            _ => Answer::new(201, ""),
        }
    }
}

#[test]
fn an_upload_goes_on_from_where_the_registry_says_it_is() {
    let sandbox = with_layers();
    let taking = Arc::new(Mutex::new(Taking::default()));
    let state = taking.clone();
    let server = WebServer::start(move |request| state.lock().unwrap().answer(request));
    let cutter = Cutter::start(server.port, |n| if n % 8 == 7 { 200 } else { 700_000 + chance(n) % 900_000 });
    let name = format!("{}/ann/big", cutter.host());
    sandbox.ok(&["tag", "big", &name]);
    sandbox.ok(&["push", &name]);
    let taking = taking.lock().unwrap();
    assert!(taking.resumed >= 4, "resumed {} times", taking.resumed);
    assert_eq!(taking.blobs.len(), 4);
}

#[test]
fn a_slow_line_is_waited_for() {
    require!(REGISTRY);
    let registry = Registry::open();
    let sandbox = with_layers();
    let line = || Cutter::slow(registry.port, Duration::from_millis(4), |_| u64::MAX);
    let (pushing, pulling) = (line(), line());
    let name = format!("{}/ann/big", pushing.host());
    sandbox.ok(&["tag", "big", &name]);
    sandbox.ok(&["push", &name]);
    let fresh = Sandbox::new();
    let name = format!("{}/ann/big", pulling.host());
    fresh.ok(&["pull", &name]);
    assert_eq!(id(&fresh, &name), id(&sandbox, "big"));
}

#[test]
fn connections_that_always_break_are_given_up() {
    require!(REGISTRY);
    let registry = Registry::open();
    let (sandbox, _) = with_pushed_layers(&registry);
    let cutter = Cutter::start(registry.port, |_| 6_000);
    let fresh = Sandbox::new();
    let said = fresh.fails(1, &["pull", &format!("{}/ann/big", cutter.host())]);
    assert!(said.contains("cut off again and again"), "{said}");
    assert_nothing_kept(&fresh);
    let cutter = Cutter::start(registry.port, |_| 6_000);
    let name = format!("{}/ann/other", cutter.host());
    sandbox.ok(&["tag", "big", &name]);
    let said = sandbox.fails(1, &["push", &name]);
    assert!(said.contains("cannot reach") || said.contains("cut off"), "{said}");
    assert!(fresh.fails(1, &["pull", &registry.image("ann/other")]).contains("not found"));
}

/// A registry of one image, made of the blobs of a saved one, whose answers a test can spoil.
struct Copied {
    server: WebServer,
}

type Spoil = dyn Fn(&Request, Answer) -> Answer + Send + Sync;

/// Blobs by their digests, and the digest of the manifest among them.
type Saved = (Vec<(String, Vec<u8>)>, String);

/// The blobs of an image, made once for all tests.
fn saved() -> &'static Saved {
    static SAVED: OnceLock<Saved> = OnceLock::new();
    SAVED.get_or_init(|| {
        let sandbox = Sandbox::with_alpine();
        let directory = sandbox.file("layout");
        let compressed = Registry::open();
        let name = compressed.image("ann/alpine");
        sandbox.ok(&["tag", "alpine", &name]);
        sandbox.ok(&["push", &name]);
        let fresh = Sandbox::new();
        fresh.ok(&["pull", &name]);
        fresh.ok(&["save", "--format", "oci-dir", "-o", directory.to_str().unwrap(), &name]);
        let blobs: Vec<(String, Vec<u8>)> = std::fs::read_dir(directory.join("blobs/sha256"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
            .collect();
        let index = std::fs::read_to_string(directory.join("index.json")).unwrap();
        let manifest = blobs.iter().map(|(name, _)| name).find(|name| index.contains(*name)).unwrap().clone();
        (blobs, manifest)
    })
}

impl Copied {
    fn start(spoil: Box<Spoil>) -> Self {
        let (blobs, manifest) = saved();
        let server = WebServer::start(move |request| {
            let wanted = request.path.rsplit('/').next().unwrap().trim_start_matches("sha256:");
            let wanted = if request.path.contains("/manifests/") { manifest } else { wanted };
            let answer = match blobs.iter().find(|(name, _)| name == wanted) {
                _ if request.path == "/v2/" => Answer::new(200, "{}"),
                Some((_, bytes)) => Answer::new(200, bytes.clone()),
                None => Answer::new(404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#),
            };
            // It is plain HTTP: what TLS says first is no request.
            spoil(request, answer)
        });
        Self { server }
    }

    fn image(&self) -> String {
        format!("{}/ann/alpine", self.server.host())
    }
}

/// Of a layer, not of the config.
fn is_layer(answer: &Answer) -> bool {
    answer.body.len() > 100_000
}

#[test]
fn what_is_passing_is_tried_again() {
    require!(REGISTRY);
    let failures = Arc::new(AtomicU32::new(0));
    let count = failures.clone();
    let registry = Copied::start(Box::new(move |_, answer| match count.fetch_add(1, Ordering::SeqCst) % 3 {
        0 => Answer::new(503, "later"),
        1 => Answer::new(429, "").header("Retry-After", "0"),
        _ => answer,
    }));
    let fresh = Sandbox::new();
    fresh.ok(&["pull", &registry.image()]);
    assert!(failures.load(Ordering::SeqCst) >= 9);
    assert!(fresh.ok(&["images", "-q"]).trim().len() == 12);
}

/// Pulls from a registry that breaks off in the middle of the layer the first time; gives whether each request for the layer
/// was for a part of it.
fn pulled_after_a_cut(refuses_parts: bool) -> Vec<bool> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let list = asked.clone();
    let registry = Copied::start(Box::new(move |request, mut answer| {
        if is_layer(&answer) {
            let mut list = list.lock().unwrap();
            let part = request.header("range").is_some();
            list.push(part);
            if part && refuses_parts {
                return Answer::new(416, "");
            }
            let half = answer.body.len() / 2;
            answer.cut = (list.len() == 1).then_some(half);
        }
        answer
    }));
    Sandbox::new().ok(&["pull", &registry.image()]);
    let asked = asked.lock().unwrap();
    asked.clone()
}

#[test]
fn a_server_without_ranges_is_read_again() {
    require!(REGISTRY);
    assert_eq!(pulled_after_a_cut(false), [false, true]);
    assert_eq!(pulled_after_a_cut(true), [false, true, false]);
}

#[test]
fn many_short_connections_do_as_well_as_one() {
    require!(REGISTRY);
    let registry = Registry::open();
    let (sandbox, _) = with_pushed_layers(&registry);
    let cutter = Cutter::start(registry.port, |_| 100_000);
    let name = format!("{}/ann/big", cutter.host());
    let fresh = Sandbox::new();
    fresh.ok(&["pull", "-q", &name]);
    assert!(cutter.cuts.load(Ordering::SeqCst) > 50, "nothing was cut");
    assert_eq!(id(&fresh, &name), id(&sandbox, "big"));
}

#[test]
fn a_document_that_broke_off_is_read_again() {
    require!(REGISTRY);
    let count = AtomicU32::new(0);
    let registry = Copied::start(Box::new(move |request, mut answer| {
        let first = count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        if request.path != "/v2/" && !is_layer(&answer) && first {
            answer.cut = Some(answer.body.len() / 2);
        }
        answer
    }));
    Sandbox::new().ok(&["pull", &registry.image()]);
}

/// A registry that wants the token `good`, and a token server that answers as it is told.
fn behind_tokens(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> (Copied, Arc<WebServer>) {
    let count = AtomicU32::new(0);
    let tokens = Arc::new(WebServer::start(move |_| answer(count.fetch_add(1, Ordering::SeqCst) as usize)));
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"here\",scope=\"x\"", tokens.host());
    let registry = Copied::start(Box::new(move |request, answer| {
        if request.header("authorization") == Some("Bearer good") {
            return answer;
        }
        Answer::new(401, "").header("WWW-Authenticate", realm.clone())
    }));
    (registry, tokens)
}

fn log_in_by_file(sandbox: &Sandbox, host: &str) {
    sandbox.put_home(".docker/config.json", &format!(r#"{{"auths": {{"{host}": {{"auth": "YW5uOnNlY3JldA=="}}}}}}"#));
}

#[test]
fn token_servers_may_stumble_too() {
    require!(REGISTRY);
    let (registry, tokens) = behind_tokens(|number| match number {
        0 => Answer::new(503, ""),
        1 => Answer::new(429, ""),
        2 => Answer::new(500, ""),
        3 => Answer { cut: Some(3), ..Answer::new(200, r#"{"token":"good"}"#) },
        _ => Answer::new(200, r#"{"token":"","access_token":"good"}"#),
    });
    Sandbox::new().ok(&["pull", &registry.image()]);
    assert!(tokens.asked().len() >= 5);
}

#[test]
fn a_password_is_not_told_again_and_again() {
    require!(REGISTRY);
    let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(2 << 20));
    for (answer, most, word) in [
        (Answer::new(200, long), 1, "is longer than"),
        (Answer::new(200, "<html>"), 1, "which gives no token"),
        (Answer::new(404, ""), 1, "404"),
        (Answer::new(503, ""), 5, "503"),
        (Answer::new(429, "").header("Retry-After", "3600"), 1, "429"),
    ] {
        let (registry, tokens) = behind_tokens(move |_| answer.clone());
        let sandbox = Sandbox::new();
        log_in_by_file(&sandbox, &registry.server.host());
        let said = sandbox.fails(1, &["pull", &registry.image()]);
        assert!(said.contains(word), "no `{word}` in:\n{said}");
        assert_eq!(tokens.asked().len(), most, "{said}");
        assert_nothing_kept(&sandbox);
    }
}

#[test]
fn a_limit_that_passes_is_waited_for() {
    require!(REGISTRY);
    for header in [None, Some(2)] {
        let count = AtomicU32::new(0);
        let registry = Copied::start(Box::new(move |_, answer| {
            if count.fetch_add(1, Ordering::SeqCst) != 1 {
                return answer;
            }
            let limited = Answer::new(429, "");
            match header {
                Some(seconds) => limited.header("Retry-After", http_date(seconds)),
                None => limited,
            }
        }));
        let begun = std::time::Instant::now();
        Sandbox::new().ok(&["pull", &registry.image()]);
        assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    }
    // A limit of hours is told at once, whether or not it says how long it lasts.
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let registry = Copied::start(Box::new(move |_, _| {
        let limited = Answer::new(429, "");
        match counted.fetch_add(1, Ordering::SeqCst) {
            0 => limited.header("Retry-After", http_date(7200)),
            _ => limited.header("RateLimit-Limit", "100;w=21600"),
        }
    }));
    let said = Sandbox::new().fails(1, &["pull", &registry.image()]);
    assert!(said.contains("again in 120 min") || said.contains("again in 2 hours"), "{said}");
    let said = Sandbox::new().fails(1, &["pull", &registry.image()]);
    assert!(said.contains("100 pulls in 6 hours used"), "{said}");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

/// So many seconds from now, as HTTP writes dates.
fn http_date(seconds: i64) -> String {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
}

#[test]
fn a_redirect_to_a_registry_that_wants_a_token_is_followed() {
    require!(REGISTRY);
    let (storage, tokens) = behind_tokens(|_| Answer::new(200, r#"{"token":"good"}"#));
    let target = storage.server.host();
    let front = WebServer::start(move |request| match request.path.as_str() {
        "/v2/" => Answer::new(200, "{}"),
        path => Answer::new(307, "").header("Location", format!("http://{target}{path}")),
    });
    let fresh = Sandbox::new();
    log_in_by_file(&fresh, &front.host());
    fresh.ok(&["pull", &format!("{}/ann/alpine", front.host())]);
    assert!(tokens.asked().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn wrong_bytes_are_refused() {
    require!(REGISTRY);
    type Change = fn(&mut Vec<u8>);
    let changes: [(Change, &str); 4] = [
        // The name of the operating system in gzip's header, which nothing but the digest is for.
        (|body| body[9] ^= 1, "digest"),
        (|body| *body.last_mut().unwrap() ^= 1, "corrupt"),
        (|body| body.truncate(body.len() - 1000), "bytes"),
        (|body| body.extend([0; 10]), "bytes"),
    ];
    for (change, word) in changes {
        let registry = Copied::start(Box::new(move |_, mut answer| {
            if is_layer(&answer) {
                change(&mut answer.body);
            }
            answer
        }));
        let fresh = Sandbox::new();
        let said = fresh.fails(1, &["pull", &registry.image()]);
        assert!(said.contains(word), "{said}");
        assert_nothing_kept(&fresh);
    }
    // Of the config, of which all else depends.
    let registry = Copied::start(Box::new(|request, mut answer| {
        if request.path.contains("/blobs/") && !is_layer(&answer) {
            answer.body[10] ^= 1;
        }
        answer
    }));
    let fresh = Sandbox::new();
    let said = fresh.fails(1, &["pull", &registry.image()]);
    assert!(said.contains("config") && said.contains("digest"), "{said}");
    assert_nothing_kept(&fresh);
}

#[test]
fn a_limit_is_told_in_words() {
    require!(REGISTRY);
    let registry = Copied::start(Box::new(|request, answer| {
        if request.path == "/v2/" {
            return answer;
        }
        Answer::new(429, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your limit"}]}"#)
            .header("RateLimit-Limit", "100;w=21600")
            .header("Retry-After", "2580")
    }));
    let said = Sandbox::new().fails(1, &["pull", &registry.image()]);
    for word in ["429", "100 pulls in 6 hours used", "again in 43 min", "minirun login", "mirror"] {
        assert!(said.contains(word), "no `{word}` in:\n{said}");
    }
}

#[test]
fn another_host_is_not_told_the_password() {
    require!(REGISTRY);
    let blobs = Arc::new(Mutex::new(Vec::<(String, Vec<u8>)>::new()));
    let kept = blobs.clone();
    let storage = WebServer::start(move |request| {
        let kept = kept.lock().unwrap();
        let found = kept.iter().find(|(path, _)| *path == request.path);
        found.map_or(Answer::new(404, ""), |(_, bytes)| Answer::new(200, bytes.clone()))
    });
    let target = storage.host();
    let registry = Copied::start(Box::new(move |request, answer| {
        if request.header("authorization") != Some("Basic YW5uOnNlY3JldA==") {
            return Answer::new(401, "").header("WWW-Authenticate", "Basic realm=\"here\"");
        }
        if !request.path.contains("/blobs/") {
            return answer;
        }
        blobs.lock().unwrap().push((request.path.clone(), answer.body));
        Answer::new(307, "").header("Location", format!("http://{target}{}", request.path))
    }));
    let fresh = Sandbox::new();
    fresh.run_with_input(&["login", "-u", "ann", "--password-stdin", &registry.server.host()], b"secret\n").ok();
    fresh.ok(&["pull", &registry.image()]);
    let asked = storage.asked();
    assert!(asked.len() == 2 && asked.iter().all(|request| request.header("authorization").is_none()), "{asked:?}");
}

#[test]
fn killed_while_it_pulls_it_leaves_nothing_that_hurts() {
    require!(REGISTRY);
    let registry = Registry::open();
    let (sandbox, name) = with_pushed_layers(&registry);
    let fresh = Sandbox::new();
    for delay in [20, 60, 120, 200, 300, 450] {
        let mut child = fresh.command(&["pull", &name]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        let _ = child.kill();
        let _ = child.wait();
        // Either nothing of it is there, or all.
        if fresh.run(&["inspect", &name]).code == 0 {
            fresh.ok(&["run", "--rm", "--network", "none", &name, "cat", "/part1", "/part2"]);
            fresh.ok(&["rmi", &name]);
        }
    }
    fresh.ok(&["pull", &name]);
    assert_eq!(id(&fresh, &name), id(&sandbox, "big"));
}

#[test]
fn a_signal_to_the_command_that_was_typed_ends_all_of_it() {
    require!(REGISTRY);
    let registry = Registry::open();
    with_pushed_layers(&registry);
    let line = Cutter::slow(registry.port, Duration::from_millis(100), |_| u64::MAX);
    let name = format!("{}/ann/big", line.host());
    let fresh = Sandbox::new();
    fresh.put("Dockerfile", &format!("FROM {name}\n"));
    for command in [vec!["pull", &name], vec!["build", "context"]] {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let mut child = fresh.command(&command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            common::wait_until("something arrives", || !fresh.stored("tmp").is_empty());
            // To it alone, as `kill` sends it: not to its process group, as a terminal does.
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).unwrap();
            let status = child.wait().unwrap();
            // Root's build is one process, which may die of it.
            let code = status.code().or(status.signal().map(|number| 128 + number));
            assert_eq!(code, Some(128 + signal as i32), "{command:?} {signal}");
            common::wait_until("nothing runs any more", || fresh.left_behind().is_empty());
            // The next command that writes takes away what was left half-done.
            fresh.fails(1, &["pull", &registry.image("absent")]);
            fresh.ok(&["import", common::alpine_tar().to_str().unwrap(), "other"]);
            fresh.ok(&["rmi", "other"]);
            assert_nothing_kept(&fresh);
        }
    }
}
