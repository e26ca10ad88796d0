//! Who asks, and whom they believe: passwords, tokens, helpers, certificates, mirrors, proxies.

use crate::common::http::{Answer, WebServer};
use crate::common::registry::{Doors, PASSWORD, Registry, USER};
use crate::common::terminal::Terminal;
use crate::common::{self, Need, Output, Sandbox, require};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const REGISTRY: Need = Need::Tool("docker-registry");
const OPENSSL: Need = Need::Tool("openssl");

fn docker_config(sandbox: &Sandbox) -> PathBuf {
    sandbox.file("../home/.docker/config.json")
}

fn log_in(sandbox: &Sandbox, registry: &Registry, password: &str) -> Output {
    let input = format!("{password}\n");
    sandbox.run_with_input(&["login", "-u", USER, "--password-stdin", &registry.host()], input.as_bytes())
}

/// `alpine` under this name in the registry.
fn tagged(registry: &Registry, name: &str) -> (Sandbox, String) {
    let sandbox = Sandbox::with_alpine();
    let name = registry.image(name);
    sandbox.ok(&["tag", "alpine", &name]);
    (sandbox, name)
}

#[test]
fn a_login_is_kept_where_docker_keeps_it_and_forgotten() {
    require!(REGISTRY);
    let registry = Registry::start(Doors::Password, false);
    let (sandbox, name) = tagged(&registry, "ann/alpine");
    let said = sandbox.fails(1, &["push", &name]);
    assert!(said.contains("minirun login"), "{said}");
    let said = log_in(&sandbox, &registry, "wrong").fails(1);
    assert!(said.contains("incorrect username or password"), "{said}");
    assert!(said.contains(&format!("minirun login -u {USER} {}", registry.host())), "{said}");
    assert!(!docker_config(&sandbox).exists());

    std::fs::create_dir_all(docker_config(&sandbox).parent().unwrap()).unwrap();
    let foreign = r#"{"auths": {"other.example.org": {"auth": "eDp5"}}, "psFormat": "x", "detachKeys": "ctrl-a"}"#;
    std::fs::write(docker_config(&sandbox), foreign).unwrap();
    std::fs::set_permissions(docker_config(&sandbox), PermissionsExt::from_mode(0o600)).unwrap();
    let output = log_in(&sandbox, &registry, PASSWORD);
    assert!(output.stderr.contains("WARNING! Your password will be stored unencrypted in"), "{}", output.streams());
    assert_eq!(output.ok(), "Login Succeeded\n");
    let text = std::fs::read_to_string(docker_config(&sandbox)).unwrap();
    for kept in ["eDp5", "\"psFormat\": \"x\"", "\"detachKeys\": \"ctrl-a\"", &registry.host(), "YW5uOnNlY3JldA=="] {
        assert!(text.contains(kept), "no {kept} in {text}");
    }
    assert_eq!(docker_config(&sandbox).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // Who is logged in is not asked again.
    assert!(sandbox.ok(&["login", &registry.host()]).contains("existing credentials"));

    sandbox.ok(&["push", &name]);
    sandbox.ok(&["rmi", &name]);
    sandbox.ok(&["pull", &name]);
    assert_eq!(
        sandbox.ok(&["logout", &registry.host()]),
        format!("Removing login credentials for {}\n", registry.host())
    );
    assert_eq!(sandbox.ok(&["logout", &registry.host()]), format!("Not logged in to {}\n", registry.host()));
    let text = std::fs::read_to_string(docker_config(&sandbox)).unwrap();
    assert!(text.contains("eDp5") && !text.contains(&registry.host()), "{text}");
    sandbox.ok(&["rmi", &name]);
    let said = sandbox.fails(1, &["pull", &name]);
    assert!(said.contains("pull access denied") && said.contains("minirun login"), "{said}");
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    require!(REGISTRY);
    let registry = Registry::start(Doors::Password, false);
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::new(&sandbox, &["login", &registry.host()]);
    terminal.expect("Username: ");
    terminal.kind("ann\n");
    terminal.expect("Password: ");
    // A slip of the finger is taken back.
    terminal.kind("secrx\u{7f}\u{7f}ret\n");
    let said = terminal.expect("Login Succeeded");
    assert!(said.contains("unencrypted") && !said.contains("secr"), "{said}");
    terminal.ends(0);

    let fresh = Sandbox::new();
    let mut terminal = Terminal::new(&fresh, &["login", "-u", "ann", &registry.host()]);
    terminal.expect("Password: ");
    terminal.kind("sec\u{3}");
    terminal.expect("interrupted");
    terminal.ends(130);
}

#[test]
fn each_layer_has_a_bar_in_a_terminal() {
    require!(REGISTRY);
    let registry = Registry::open();
    let (sandbox, name) = tagged(&registry, "ann/alpine");
    let mut terminal = Terminal::new(&sandbox, &["push", &name]);
    terminal.expect("Pushing [");
    terminal.expect(": Pushed");
    terminal.expect("latest: digest: sha256:");
    terminal.ends(0);
    let fresh = Sandbox::new();
    let mut terminal = Terminal::new(&fresh, &["pull", &name]);
    terminal.expect("Downloading [");
    terminal.expect(": Pull complete");
    terminal.expect("Status: Downloaded newer image");
    terminal.ends(0);
}

#[test]
fn a_password_on_the_command_line_is_warned_of() {
    require!(REGISTRY);
    let registry = Registry::start(Doors::Password, false);
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["login", "-u", USER, "-p", PASSWORD, &registry.host()]);
    assert!(output.stderr.contains("Using --password via the CLI is insecure"), "{}", output.streams());
    output.ok();
    let said = sandbox.fails(1, &["login", "--password-stdin"]);
    assert!(said.contains("--username"), "{said}");
    let said = sandbox.fails(1, &["login", "-u", USER]);
    assert!(said.contains("no terminal"), "{said}");
}

#[test]
fn tokens_are_had_for_what_one_may_do() {
    require!(REGISTRY, OPENSSL);
    let registry = Registry::start(Doors::Token, false);
    let (sandbox, name) = tagged(&registry, "ann/alpine");
    let said = sandbox.fails(1, &["push", &name]);
    assert!(said.contains("denied") && said.contains("log in first"), "{said}");
    log_in(&sandbox, &registry, "wrong").fails(1);
    log_in(&sandbox, &registry, PASSWORD).ok();
    sandbox.ok(&["push", &name]);
    let foreign = registry.image("library/alpine");
    sandbox.ok(&["tag", "alpine", &foreign]);
    let said = sandbox.fails(1, &["push", &foreign]);
    assert!(said.contains("denied") && said.contains("you are logged in as ann"), "{said}");
    sandbox.ok(&["rmi", &name]);
    sandbox.ok(&["pull", &name]);
    let asked = registry.token_requests();
    assert!(asked.iter().any(|r| r.path.contains("pull%2Cpush") && r.header("authorization").is_some()));

    // Without a login, or with one that is no longer good, what is public can be had all the same.
    for config in [None, Some(r#"{"auths": {"HOST": {"auth": "YW5uOndyb25n"}}}"#)] {
        let fresh = Sandbox::new();
        if let Some(config) = config {
            std::fs::create_dir_all(docker_config(&fresh).parent().unwrap()).unwrap();
            std::fs::write(docker_config(&fresh), config.replace("HOST", &registry.host())).unwrap();
        }
        let said = fresh.fails(1, &["pull", &registry.image("library/nosuch")]);
        assert!(said.contains("not found") || said.contains("no repository"), "{said}");
        let said = fresh.fails(1, &["pull", &name]);
        assert!(said.contains("pull access denied"), "{said}");
    }
}

/// A helper that keeps one line for each registry in a file.
const HELPER: &str = r#"#!/bin/sh
file=$(dirname "$0")/kept
case $1 in
  get)
    read -r server
    line=$(grep "^$server " "$file" 2>/dev/null) || { echo "credentials not found in native keychain"; exit 1; }
    echo "{\"ServerURL\":\"$server\",\"Username\":\"ann\",\"Secret\":\"${line#* }\"}" ;;
  store) { cat; echo; } | sed 's/.*"Secret":"\([^"]*\)".*"ServerURL":"\([^"]*\)".*/\2 \1/' >>"$file" ;;
  erase)
    read -r server
    sed -i "\|^$server |d" "$file" ;;
esac
"#;

#[test]
fn helpers_keep_what_config_json_does_not() {
    require!(REGISTRY);
    let registry = Registry::start(Doors::Password, false);
    let (sandbox, name) = tagged(&registry, "ann/alpine");
    let helper = sandbox.file("docker-credential-file");
    std::fs::write(&helper, HELPER).unwrap();
    std::fs::set_permissions(&helper, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(docker_config(&sandbox).parent().unwrap()).unwrap();
    std::fs::write(docker_config(&sandbox), r#"{"credsStore": "file"}"#).unwrap();
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", helper.parent().unwrap().display());
    let run = |arguments: &[&str]| common::finish(sandbox.command(arguments).env("PATH", &path));
    let host = registry.host();
    let output = run(&["login", "-u", USER, "-p", PASSWORD, &host]);
    assert!(!output.stderr.contains("unencrypted"), "{}", output.streams());
    output.ok();
    let kept = std::fs::read_to_string(sandbox.file("kept")).unwrap();
    assert_eq!(kept, format!("{host} {PASSWORD}\n"));
    assert!(!std::fs::read_to_string(docker_config(&sandbox)).unwrap().contains("YW5u"));
    run(&["push", &name]).ok();
    run(&["logout", &host]).ok();
    assert_eq!(std::fs::read_to_string(sandbox.file("kept")).unwrap(), "");
    let said = run(&["pull", &registry.image("ann/alpine:2")]).fails(1);
    assert!(said.contains("denied"), "{said}");
    let said = sandbox.fails(1, &["pull", &name]);
    assert!(said.contains("docker-credential-file") && said.contains("credsStore"), "{said}");
    // One that is not there does not keep what is public from being pulled.
    let public = Registry::open();
    let (other, name) = tagged(&public, "ann/alpine");
    other.ok(&["push", &name]);
    let output = sandbox.run(&["pull", "-q", &name]);
    assert!(output.stderr.contains("going on without a login"), "{}", output.streams());
    output.ok();
}

#[test]
fn helpers_of_a_build_are_asked_outside_of_its_namespace() {
    require!(REGISTRY);
    let registry = Registry::start(Doors::Password, false);
    let (sandbox, name) = tagged(&registry, "ann/alpine");
    sandbox.ok(&["login", "-u", USER, "-p", PASSWORD, &registry.host()]);
    sandbox.ok(&["push", "-q", &name]);
    let helper = sandbox.file("docker-credential-file");
    // As one that would need the user's session.
    let asked = HELPER.replacen('\n', "\nreadlink /proc/self/ns/user >>$(dirname \"$0\")/asked\n", 1);
    std::fs::write(&helper, asked).unwrap();
    std::fs::set_permissions(&helper, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(sandbox.file("kept"), format!("{} {PASSWORD}\n", registry.host())).unwrap();
    std::fs::write(docker_config(&sandbox), r#"{"credsStore": "file"}"#).unwrap();
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", helper.parent().unwrap().display());
    let cache = registry.image("ann/cache");
    sandbox.put("Dockerfile", &format!("FROM {name}\nCOPY --from={name} /etc/hosts /copied\nRUN true\n"));
    sandbox.ok(&["rmi", "alpine", &name]);
    let mut build = sandbox.command(&["build", "--cache-to", &cache, "context"]);
    common::finish(build.env("PATH", &path)).ok();
    let here = std::fs::read_link("/proc/self/ns/user").unwrap().display().to_string();
    let asked = std::fs::read_to_string(sandbox.file("asked")).unwrap();
    assert!(!asked.is_empty() && asked.lines().all(|line| line == here), "{asked}");
    sandbox.ok(&["rmi", &name]);
    sandbox.ok(&["builder", "prune", "--force"]);
    // A `run` pulls so, too.
    let mut run = sandbox.command(&["run", "--rm", "--network", "none", &name, "true"]);
    common::finish(run.env("PATH", &path)).ok();
    assert!(std::fs::read_to_string(sandbox.file("asked")).unwrap().lines().all(|line| line == here));
}

/// A registry that lets nobody in, and so hears who asks.
fn listening() -> WebServer {
    WebServer::start(|_| Answer::new(401, "").header("WWW-Authenticate", "Basic realm=\"here\""))
}

/// The passwords that a registry was told.
fn told(server: &WebServer) -> Vec<String> {
    let asked = server.asked();
    let mut told: Vec<String> = asked.iter().filter_map(|r| r.header("authorization")).map(str::to_owned).collect();
    told.dedup();
    told
}

#[test]
fn of_podmans_logins_the_closest_counts() {
    let [whole, team, other, docker] =
        ["whole", "team", "other", "docker"].map(|p| STANDARD.encode(format!("ann:{p}")));
    let entry = |key: &str, auth: &str| format!(r#""{key}": {{"auth": "{auth}"}}"#);
    let pull = |podman: &dyn Fn(&str) -> Vec<String>, with_docker: bool, repository: &str| {
        let (server, sandbox) = (listening(), Sandbox::new());
        let text = format!(r#"{{"auths": {{ {} }}}}"#, podman(&server.host()).join(","));
        std::fs::create_dir(sandbox.runtime().join("containers")).unwrap();
        std::fs::write(sandbox.runtime().join("containers/auth.json"), text).unwrap();
        if with_docker {
            let text = format!(r#"{{"auths": {{ {} }}}}"#, entry(&server.host(), &docker));
            sandbox.put_home(".docker/config.json", &text);
        }
        sandbox.fails(1, &["pull", &format!("{}/{repository}", server.host())]);
        told(&server)
    };
    let all = |host: &str| {
        vec![entry(host, &whole), entry(&format!("{host}/team"), &team), entry(&format!("{host}/teams/x"), &other)]
    };
    let basic = |auth: &String| vec![format!("Basic {auth}")];
    assert_eq!(pull(&all, false, "team/app"), basic(&team));
    assert_eq!(pull(&all, false, "teams/app"), basic(&whole));
    assert_eq!(pull(&all, true, "team/app"), basic(&team));
    assert_eq!(pull(&all, true, "teams/app"), basic(&docker));
    // A login for another namespace of the registry is not sent.
    assert_eq!(pull(&|host: &str| vec![entry(&format!("{host}/other"), &other)], false, "team/app"), [""; 0]);
}

#[test]
fn tokens_in_place_of_passwords() {
    // One that the registry takes as it is.
    let server = WebServer::start(|request| match request.header("authorization") {
        Some("Bearer given") => Answer::new(404, ""),
        _ => Answer::new(401, "").header("WWW-Authenticate", "Bearer realm=\"http://127.0.0.1:1/\",service=\"x\""),
    });
    let sandbox = Sandbox::new();
    let text = format!(r#"{{"auths": {{"{}": {{"registrytoken": "given"}}}}}}"#, server.host());
    sandbox.put_home(".docker/config.json", &text);
    let said = sandbox.fails(1, &["pull", &format!("{}/x/y", server.host())]);
    assert!(said.contains("not found"), "{said}");

    // One that is exchanged, and is no longer good.
    let tokens = WebServer::start(|request| {
        if request.method == "POST" {
            return Answer::new(401, "");
        }
        Answer::new(200, r#"{"token":"anybody"}"#)
    });
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"x\"", tokens.host());
    let server = WebServer::start(move |request| match request.header("authorization") {
        Some("Bearer anybody") => Answer::new(403, r#"{"errors":[{"code":"DENIED"}]}"#),
        _ => Answer::new(401, "").header("WWW-Authenticate", realm.clone()),
    });
    let text = format!(r#"{{"auths": {{"{}": {{"identitytoken": "old"}}}}}}"#, server.host());
    sandbox.put_home(".docker/config.json", &text);
    let name = format!("{}/x/y", server.host());
    let said = sandbox.fails(1, &["pull", &name]);
    assert!(said.contains("the login that is kept for") && said.contains("minirun login"), "{said}");
    sandbox.run_with_input(&["import", "-", &name], &[0; 1024]).ok();
    let said = sandbox.fails(1, &["push", &name]);
    assert!(
        said.contains("refuses the identity token") && said.contains(&format!("minirun login {}", server.host())),
        "{said}"
    );
}

#[test]
fn certificates_are_checked() {
    require!(REGISTRY, OPENSSL);
    let registry = Registry::start(Doors::Open, true);
    let (sandbox, name) = tagged(&registry, "ann/alpine");
    let said = sandbox.fails(1, &["push", &name]);
    assert!(said.contains("UnknownIssuer") && said.contains("certs.d"), "{said}");
    sandbox.ok(&["push", "--tls-verify=false", &name]);
    sandbox.ok(&["rmi", &name]);

    let mut named = sandbox.command(&["pull", &name]);
    common::finish(named.env("SSL_CERT_FILE", registry.authority())).ok();
    sandbox.ok(&["rmi", &name]);

    let directory = sandbox.file(format!("../home/.config/containers/certs.d/{}", registry.host()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::copy(registry.authority(), directory.join("ca.crt")).unwrap();
    sandbox.ok(&["pull", &name]);
}

#[test]
fn mirrors_are_asked_first_and_need_not_help() {
    require!(REGISTRY);
    let registry = Registry::open();
    let (sandbox, name) = tagged(&registry, "hub/library/alpine");
    sandbox.ok(&["push", &name]);
    let fresh = Sandbox::new();
    let dead = common::free_port();
    let directory = fresh.file("../home/.config/containers");
    std::fs::create_dir_all(&directory).unwrap();
    let rules = format!(
        "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:{dead}\"\n\
         [[registry.mirror]]\nlocation = \"{}/hub\"\n",
        registry.host()
    );
    std::fs::write(directory.join("registries.conf"), rules).unwrap();
    let pulled = fresh.ok(&["pull", "alpine"]);
    assert!(pulled.contains(&format!("note: the mirror 127.0.0.1:{dead} does not help")), "{pulled}");
    assert!(pulled.ends_with("Status: Downloaded newer image for alpine:latest\ndocker.io/library/alpine:latest\n"));
    assert_eq!(fresh.look("alpine", "{{.Id}}"), sandbox.look("alpine", "{{.Id}}"));

    let fresh = Sandbox::new();
    let directory = fresh.file("../home/.config/docker");
    std::fs::create_dir_all(&directory).unwrap();
    let (other, name) = tagged(&registry, "library/alpine");
    other.ok(&["push", &name]);
    let mirror = format!(r#"{{"registry-mirrors": ["http://{}"], "debug": true}}"#, registry.host());
    std::fs::write(directory.join("daemon.json"), mirror).unwrap();
    fresh.ok(&["pull", "alpine"]);
}

#[test]
fn proxies_are_asked_for_what_is_not_spared() {
    let proxy = WebServer::start(|_| Answer::new(502, ""));
    let sandbox = Sandbox::new();
    let through = |name: &str, spared: &str| {
        let mut command = sandbox.command(&["pull", "registry.invalid/a"]);
        common::finish(command.env(name, format!("http://{}", proxy.host())).env("NO_PROXY", spared)).fails(1)
    };
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let said = through(name, "");
        assert!(said.contains(&format!("through the proxy {}", proxy.host())), "{said}");
    }
    assert!(proxy.asked().iter().all(|r| r.method == "CONNECT" && r.path == "registry.invalid:443"));
    assert!(!proxy.asked().is_empty());
    let count = proxy.asked().len();
    for spared in ["*", "registry.invalid", ".invalid"] {
        assert!(through("HTTPS_PROXY", spared).contains("host not found"));
    }
    assert_eq!(proxy.asked().len(), count);
}
