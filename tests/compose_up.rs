//! Applications of many containers: `compose up`, `down`, and what lies between.

use crate::common::{Output, Sandbox, User, finish, free_port, user, wait_until};
use serde_json::Value;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A command that runs until SIGTERM.
const SLEEPS: &str = "sh -c \"trap 'exit 0' TERM; while :; do sleep 0.05; done\"";

fn put(sandbox: &Sandbox, name: &str, text: &str) {
    let path = sandbox.file(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// `compose` about the project `app`.
fn compose(sandbox: &Sandbox, words: &[&str]) -> Output {
    sandbox.run(&[&["compose", "-p", "app"], words].concat())
}

/// What was said of each container: `web-1: started`.
#[track_caller]
fn done(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let said = compose(sandbox, words);
    assert_eq!(said.code, 0, "{words:?}\n{}", said.streams());
    let lines = said.stderr.lines().filter_map(|line| line.strip_prefix(' '));
    lines.filter(|line| !line.starts_with("network ")).map(str::to_owned).collect()
}

fn ids(sandbox: &Sandbox) -> Vec<String> {
    sandbox.ok(&["ps", "-aq", "--no-trunc"]).lines().map(str::to_owned).collect()
}

#[test]
fn up_touches_only_what_changed() {
    let sandbox = Sandbox::with_alpine();
    let file = |value: &str| {
        format!(
            "services:\n  web: {{image: alpine, command: {SLEEPS}, environment: {{A: '{value}'}}, volumes: [/anon, 'data:/data']}}\n  db: {{image: alpine, command: {SLEEPS}}}\nvolumes: {{data: }}\n"
        )
    };
    put(&sandbox, "compose.yaml", &file("1"));
    assert_eq!(done(&sandbox, &["up", "-d"]), ["db-1: started", "web-1: started"]);
    let before = ids(&sandbox);
    sandbox.ok(&["exec", "app-web-1", "sh", "-c", "echo kept >/anon/x; echo kept >/data/x"]);
    assert_eq!(done(&sandbox, &["up", "-d"]), ["db-1: unchanged", "web-1: unchanged"]);
    assert_eq!(ids(&sandbox), before);
    // A setting changes, and nothing but that container; its volumes stay, without a name too.
    put(&sandbox, "compose.yaml", &file("2"));
    assert_eq!(done(&sandbox, &["--dry-run", "up", "-d"]), [""; 0]);
    assert!(
        compose(&sandbox, &["--dry-run", "up", "-d"]).ok().contains("web-1: would be made anew: its settings changed")
    );
    assert_eq!(ids(&sandbox), before);
    assert_eq!(done(&sandbox, &["up", "-d"]), ["db-1: unchanged", "web-1: made anew: its settings changed"]);
    let kept = "echo $A; cat /anon/x /data/x";
    assert_eq!(compose(&sandbox, &["exec", "-T", "web", "sh", "-c", kept]).ok(), "2\nkept\nkept\n");
    // The image changes.
    sandbox.ok(&["create", "--name", "other", "alpine"]);
    sandbox.ok(&["commit", "-c", "LABEL a=b", "other", "alpine"]);
    sandbox.ok(&["rm", "other"]);
    let said = done(&sandbox, &["up", "-d", "db"]);
    assert!(said.len() == 1 && said[0].starts_with("db-1: made anew: image changed sha256:"), "{said:?}");
    assert_eq!(done(&sandbox, &["up", "-d", "--no-recreate"]), ["db-1: unchanged", "web-1: unchanged"]);
    assert_eq!(done(&sandbox, &["up", "-d", "--force-recreate", "db"]), ["db-1: made anew: asked for"]);
    compose(&sandbox, &["stop", "-t", "1", "db"]).ok();
    assert_eq!(done(&sandbox, &["up", "-d", "db"]), ["db-1: started"]);
    // The labels are those that Compose writes.
    let labels = sandbox.look("app-db-1", "{{json .Config.Labels}}");
    let labels: Value = serde_json::from_str(&labels).unwrap();
    for (name, value) in [("project", "app"), ("service", "db"), ("container-number", "1"), ("oneoff", "False")] {
        assert_eq!(labels[format!("com.docker.compose.{name}")], value, "{labels}");
    }
    assert_eq!(sandbox.ok(&["ps", "-q", "--filter", "label=com.docker.compose.project=app"]).lines().count(), 2);
    assert_eq!(done(&sandbox, &["down"]), ["db-1: removed", "web-1: removed"]);
    assert!(sandbox.ok(&["volume", "ls"]).contains("app_data"));
    let said = compose(&sandbox, &["down", "-v"]);
    assert!(said.stderr.contains("volume app_data: removed"), "{}", said.stderr);
    // The one that went from a container to the next is nobody's.
    compose(&sandbox, &["up", "-d"]).ok();
    compose(&sandbox, &["up", "-d", "--force-recreate"]).ok();
    compose(&sandbox, &["down", "-v"]).ok();
    assert_eq!(sandbox.ok(&["volume", "ls", "-q"]).lines().count(), 1, "of the first down without -v");
}

#[test]
fn services_start_when_what_they_wait_for_is_ready() {
    let sandbox = Sandbox::with_alpine();
    put(
        &sandbox,
        "compose.yaml",
        &format!(
            "services:\n  web:\n    image: alpine\n    command: {SLEEPS}\n    volumes: ['shared:/s']\n    depends_on:\n      \
             db: {{condition: service_healthy}}\n      setup: {{condition: service_completed_successfully}}\n      gone: {{condition: service_started, required: false}}\n  \
             db:\n    image: alpine\n    command: sh -c \"trap 'exit 0' TERM; sleep 0.3; touch /s/up; while :; do sleep 0.05; done\"\n    volumes: ['shared:/s']\n    \
             healthcheck: {{test: test -e /s/up, interval: 100ms, start_interval: 100ms, start_period: 10s}}\n  \
             setup: {{image: alpine, command: sh -c 'sleep 0.2; exit 0'}}\nvolumes: {{shared: }}\n"
        ),
    );
    assert_eq!(done(&sandbox, &["up", "-d"]), ["db-1: started", "setup-1: started", "web-1: started"]);
    let started = |name: &str| sandbox.look(name, "{{.State.StartedAt}}");
    let finished = sandbox.look("app-setup-1", "{{.State.FinishedAt}}");
    assert!(finished < started("app-web-1"));
    assert_eq!(sandbox.look("app-db-1", "{{.State.Health.Status}}"), "healthy");
    // Down in the other order: who depends goes first.
    compose(&sandbox, &["stop"]).ok();
    assert!(sandbox.look("app-web-1", "{{.State.FinishedAt}}") <= sandbox.look("app-db-1", "{{.State.FinishedAt}}"));
    compose(&sandbox, &["down", "-v"]).ok();
}

#[test]
fn a_dependency_that_fails_is_told() {
    let sandbox = Sandbox::with_alpine();
    let with = |db: &str, condition: &str| {
        put(
            &sandbox,
            "compose.yaml",
            &format!(
                "services:\n  web: {{image: alpine, command: {SLEEPS}, depends_on: {{db: {{condition: {condition}}}}}}}\n  db: {{image: alpine, {db}}}\n"
            ),
        );
        let said = compose(&sandbox, &["up", "-d"]);
        assert_eq!(said.code, 1, "{}", said.streams());
        assert!(said.stderr.contains("hint:  see its output: minirun compose logs db"), "{}", said.stderr);
        assert_eq!(sandbox.ok(&["ps", "-aq", "--filter", "name=web"]), "");
        compose(&sandbox, &["down"]).ok();
        said.stderr
    };
    let said = with("command: sh -c 'exit 3'", "service_completed_successfully");
    assert!(said.contains("service web cannot start: db has ended with code 3"), "{said}");
    let check = "healthcheck: {test: 'echo no; false', interval: 100ms, retries: 2}";
    let said = with(&format!("command: {SLEEPS}, {check}"), "service_healthy");
    assert!(said.contains("db is unhealthy: no"), "{said}");
    let said = with(&format!("command: {SLEEPS}"), "service_healthy");
    assert!(said.contains("has no health check"), "{said}");
}

#[test]
fn a_service_has_as_many_containers_as_wanted() {
    let sandbox = Sandbox::with_alpine();
    put(&sandbox, "compose.yaml", &format!("services: {{web: {{image: alpine, command: {SLEEPS}, scale: 2}}}}"));
    assert_eq!(done(&sandbox, &["up", "-d"]), ["web-1: started", "web-2: started"]);
    assert_eq!(
        done(&sandbox, &["up", "-d", "--scale", "web=3"]),
        ["web-1: unchanged", "web-2: unchanged", "web-3: started"]
    );
    assert_eq!(compose(&sandbox, &["exec", "-T", "--index", "3", "web", "echo", "hi"]).ok(), "hi\n");
    assert_eq!(
        done(&sandbox, &["scale", "web=1"]),
        ["web-2: removed: fewer are wanted", "web-3: removed: fewer are wanted", "web-1: unchanged"]
    );
    assert!(compose(&sandbox, &["up", "--scale", "web=x"]).fails(1).contains("invalid scale"));
    assert!(
        compose(&sandbox, &["exec", "-T", "--index", "9", "web", "true"])
            .fails(1)
            .contains("no container with the number 9")
    );
    // A service that is gone leaves an orphan, which goes when that is said.
    put(&sandbox, "compose.yaml", &format!("services: {{other: {{image: alpine, command: {SLEEPS}}}}}"));
    let said = compose(&sandbox, &["up", "-d"]);
    assert!(said.stderr.contains("app-web-1; to remove them: --remove-orphans"), "{}", said.stderr);
    assert_eq!(
        done(&sandbox, &["up", "-d", "--remove-orphans"]),
        ["web-1: removed: its service is gone", "other-1: unchanged"]
    );
    // By the project's name alone, away from its file.
    fs::remove_file(sandbox.file("compose.yaml")).unwrap();
    assert!(sandbox.ok(&["compose", "ls"]).contains("running(1)"));
    assert_eq!(done(&sandbox, &["down"]), ["other-1: removed"]);
    assert!(compose(&sandbox, &["down"]).fails(1).contains("no such project: app"));
}

#[test]
fn the_foreground_shows_the_output_and_ends_with_ctrl_c() {
    let sandbox = Sandbox::with_alpine();
    let loops = "while :; do sleep 0.05; done";
    put(
        &sandbox,
        "compose.yaml",
        &format!(
            "services:\n  web: {{image: alpine, command: [sh, -c, \"trap 'echo bye; exit 0' TERM; echo hello; printf part; {loops}\"]}}\n  \
             second: {{image: alpine, command: [sh, -c, \"trap 'exit 0' TERM; echo there >&2; {loops}\"]}}\n"
        ),
    );
    let child =
        sandbox.command(&["compose", "-p", "app", "up"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("both run", || sandbox.ok(&["ps", "-q"]).lines().count() == 2);
    sandbox.wait_for_log("app-web-1", "hello");
    sandbox.wait_for_log("app-second-1", "there");
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let said = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_eq!(said.status.code(), Some(130), "{out}{err}");
    assert!(out.contains("web-1     | hello\n") && out.contains("bye\n"), "{out}");
    assert!(err.contains("second-1  | there\n") && err.contains("stopping"), "{err}");
    assert_eq!(sandbox.ok(&["ps", "-q"]), "");
    compose(&sandbox, &["down"]).ok();
}

#[test]
fn the_end_of_one_container_can_end_all() {
    let sandbox = Sandbox::with_alpine();
    put(
        &sandbox,
        "compose.yaml",
        &format!(
            "services:\n  test: {{image: alpine, command: sh -c 'echo tested; exit 7'}}\n  db: {{image: alpine, command: {SLEEPS}}}\n"
        ),
    );
    let said = compose(&sandbox, &["up", "--exit-code-from", "test"]);
    assert_eq!(said.code, 7, "{}", said.streams());
    assert!(
        said.stdout.contains("test-1  | tested\n") && said.stderr.contains("test-1 exited with code 7"),
        "{}",
        said.streams()
    );
    assert_eq!(sandbox.ok(&["ps", "-q"]), "");
    let said = compose(&sandbox, &["up", "--abort-on-container-failure", "--no-log-prefix"]);
    assert!(said.code == 7 && said.stdout == "tested\n", "{}", said.streams());
    compose(&sandbox, &["down"]).ok();
}

#[test]
fn wait_returns_when_all_are_ready() {
    let sandbox = Sandbox::with_alpine();
    let check = "healthcheck: {test: test -e /up, interval: 100ms, retries: 50}";
    put(
        &sandbox,
        "compose.yaml",
        &format!(
            "services: {{web: {{image: alpine, command: sh -c \"trap 'exit 0' TERM; sleep 0.4; touch /up; while :; do sleep 0.05; done\", {check}}}}}"
        ),
    );
    let begun = Instant::now();
    compose(&sandbox, &["up", "--wait"]).ok();
    assert!(begun.elapsed() > Duration::from_millis(400));
    assert_eq!(sandbox.look("app-web-1", "{{.State.Health.Status}}"), "healthy");
    compose(&sandbox, &["down"]).ok();
    put(
        &sandbox,
        "compose.yaml",
        &format!(
            "services: {{web: {{image: alpine, command: {SLEEPS}, healthcheck: {{test: 'false', interval: 1h}}}}}}"
        ),
    );
    let said = compose(&sandbox, &["up", "--wait", "--wait-timeout", "1"]).fails(1);
    assert!(said.contains("not ready within 1 seconds"), "{said}");
    compose(&sandbox, &["down"]).ok();
    put(&sandbox, "compose.yaml", "services: {web: {image: alpine, command: sh -c 'exit 4'}}");
    wait_until("its end is told", || compose(&sandbox, &["up", "--wait"]).stderr.contains("has ended with code 4"));
    compose(&sandbox, &["down"]).ok();
}

#[test]
fn settings_reach_the_container() {
    let sandbox = Sandbox::with_alpine();
    put(&sandbox, "token", "s3cret\n");
    put(&sandbox, "mine.env", "FROM_FILE=1\n");
    put(
        &sandbox,
        "compose.yaml",
        "services:\n  web:\n    image: alpine\n    entrypoint: [sh, -c]\n    command: [\"trap 'exit 0' TERM; while :; do sleep 0.05; done\"]\n    hostname: box\n    \
         working_dir: /tmp\n    env_file: mine.env\n    environment: {B: '2'}\n    labels: {own: yes}\n    tmpfs: /scratch\n    read_only: true\n    \
         init: true\n    extra_hosts: ['db:10.0.0.5']\n    dns: 9.9.9.9\n    stop_signal: SIGTERM\n    stop_grace_period: 3s\n    ulimits: {nofile: {soft: 100, hard: 200}}\n    \
         shm_size: 1m\n    cap_drop: [ALL]\n    restart: on-failure:3\n    container_name: mine\n    volumes: ['./token:/t:ro', {type: tmpfs, target: /m, tmpfs: {size: 1m}}]\n    \
         secrets: [token, {source: var, target: /deep/var, mode: 0400}]\n    configs: [{source: text, target: /etc/app/text}]\n    logging: {options: {max-size: 1m}}\n\
         secrets: {token: {file: ./token}, var: {environment: OF_CALLER}}\nconfigs: {text: {content: \"a=$$b\\n\"}}\n",
    );
    let mut up = sandbox.command(&["compose", "-p", "app", "up", "-d"]);
    let said = finish(up.env("OF_CALLER", "v"));
    said.ok();
    let script = "hostname; pwd; echo $FROM_FILE $B; cat /t /run/secrets/token /deep/var; echo; cat /etc/app/text; grep db /etc/hosts; \
                  ulimit -n; stat -c %a /deep/var; df -m /m | tail -1 | awk '{print $2}'; cat /proc/1/comm; grep CapEff /proc/self/status";
    let mut exec = sandbox.command(&["compose", "-p", "app", "exec", "-T", "web", "sh", "-c", script]);
    let said = finish(exec.env("OF_CALLER", "v")).ok();
    let lines: Vec<&str> = said.lines().collect();
    // With one id a file's owner must be able to write to it: the attribute with its owner needs that.
    let mode = if user() == User::Single { "600" } else { "400" };
    assert_eq!(lines[..7], ["box", "/tmp", "1 2", "s3cret", "s3cret", "v", "a=$b"], "{said}");
    assert!(lines[7].contains("10.0.0.5") && lines[8..11] == ["100", mode, "1"], "{said}");
    assert!(lines[12].ends_with("0000000000000000"), "{said}");
    assert_eq!(
        sandbox.look("mine", "{{.HostConfig.RestartPolicy.Name}} {{.Config.StopSignal}} {{.Config.Labels.own}}"),
        "on-failure SIGTERM yes"
    );
    assert_eq!(sandbox.look("mine", "{{json .HostConfig.Dns}}"), "[\"9.9.9.9\"]");
    let mut down = sandbox.command(&["compose", "-p", "app", "down", "-v"]);
    finish(down.env("OF_CALLER", "v")).ok();
}

#[test]
fn what_run_would_refuse_is_told_at_its_place_before_anything_is_done() {
    let sandbox = Sandbox::with_alpine();
    for (line, place, what) in [
        ("cap_add: [WINGS]", "4:15", "WINGS"),
        ("restart: sometimes", "4:14", "invalid restart policy"),
        ("ulimits: {wings: 1}", "4:22", "invalid limit"),
        ("network_mode: '/x'", "4:19", "unknown network"),
        ("stop_signal: SIGFOO", "4:18", "SIGFOO"),
        ("dns: nowhere", "4:10", "DNS"),
        ("volumes: ['./a:relative']", "4:15", "must be absolute"),
        (
            "volumes: [{type: bind, source: ./none, target: /x, bind: {create_host_path: false}}]",
            "4:15",
            "does not exist",
        ),
        ("healthcheck: {test: [curl, x]}", "4:25", "CMD, CMD-SHELL or NONE"),
        ("logging: {driver: syslog}", "4:14", "unknown log driver"),
        ("ports: [{published: 80}]", "4:13", "no target"),
        ("devices: [/dev/none]", "4:15", "/dev/none"),
        ("security_opt: [magic]", "4:20", "unknown security option"),
        ("sysctls: {x: 1}", "4:18", "a setting of the whole host"),
        ("extra_hosts: ['a=nowhere']", "4:19", "nowhere"),
        ("mem_limit: 64m\n    memswap_limit: 32m", "3:", "memory-swap"),
    ] {
        put(
            &sandbox,
            "compose.yaml",
            &format!("services:\n  first: {{image: alpine}}\n  web:\n    {line}\n    image: alpine\n"),
        );
        let said = compose(&sandbox, &["up", "-d"]);
        let first = said.stderr.lines().next().unwrap_or_default();
        let is_placed = first.starts_with(&format!("error: compose.yaml:{place}")) || place == "3:";
        assert!(said.code == 1 && is_placed && first.contains(what), "{line}\n{}", said.streams());
    }
    assert_eq!(ids(&sandbox), [""; 0]);
    // A port that is taken names it.
    put(
        &sandbox,
        "compose.yaml",
        "services: {web: {image: alpine, gpus: all, deploy: {placement: {}}, command: 'true'}}",
    );
    let said = compose(&sandbox, &["up", "-d"]);
    assert!(
        said.stderr.contains("gpus has no effect") && said.stderr.contains("deploy.placement has no effect"),
        "{}",
        said.stderr
    );
    compose(&sandbox, &["down"]).ok();
}

#[test]
fn lists_and_logs_of_a_project() {
    let sandbox = Sandbox::with_alpine();
    let port = free_port();
    put(
        &sandbox,
        "compose.yaml",
        &format!(
            "services:\n  web: {{image: alpine, command: [sh, -c, \"echo one; echo two; trap 'exit 0' TERM; while :; do sleep 0.05; done\"], ports: ['127.0.0.1:{port}:80']}}\n  \
             job: {{image: alpine, command: echo done}}\n"
        ),
    );
    compose(&sandbox, &["up", "-d"]).ok();
    sandbox.wait_for_log("app-web-1", "two");
    sandbox.wait_for_status("app-job-1", "exited");
    let listed = compose(&sandbox, &["ps", "-a"]).ok();
    assert!(
        listed.lines().next().unwrap().starts_with("NAME") && listed.contains(&format!("127.0.0.1:{port}->80/tcp")),
        "{listed}"
    );
    assert_eq!(compose(&sandbox, &["ps", "--services"]).ok(), "web\n");
    assert_eq!(
        compose(&sandbox, &["ps", "-a", "--format", "{{.Service}} {{.State}} {{.ExitCode}}"]).ok(),
        "job exited 0\nweb running 0\n"
    );
    assert_eq!(compose(&sandbox, &["ps", "--status", "exited", "--format", "{{.Name}}"]).ok(), "app-job-1\n");
    let json: Value =
        serde_json::from_str(compose(&sandbox, &["ps", "--format", "json"]).ok().lines().next().unwrap()).unwrap();
    assert_eq!((&json["Service"], &json["Project"]), (&"web".into(), &"app".into()));
    let said = compose(&sandbox, &["logs"]).ok();
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["job-1  | done", "web-1  | one", "web-1  | two"]);
    assert_eq!(compose(&sandbox, &["logs", "--no-log-prefix", "--tail", "1", "web"]).ok(), "two\n");
    let timed = compose(&sandbox, &["logs", "-t", "job"]).ok();
    assert!(timed.starts_with("job-1  | 20") && timed.ends_with("Z done\n"), "{timed}");
    assert_eq!(compose(&sandbox, &["port", "web", "80"]).ok(), format!("127.0.0.1:{port}\n"));
    assert!(compose(&sandbox, &["port", "web", "81"]).fails(1).contains("not published"));
    assert!(compose(&sandbox, &["images"]).ok().contains("app-web-1"));
    assert!(compose(&sandbox, &["top", "web"]).ok().contains("app-web-1"));
    assert!(compose(&sandbox, &["ps", "wbe"]).fails(1).contains("did you mean web?"));
    assert_eq!(sandbox.ok(&["compose", "version", "--short"]), format!("{}\n", env!("CARGO_PKG_VERSION")));
    // Followed to its end.
    let follower =
        sandbox.command(&["compose", "-p", "app", "logs", "-f", "web"]).stdout(Stdio::piped()).spawn().unwrap();
    compose(&sandbox, &["kill", "-s", "TERM", "web"]).ok();
    let said = follower.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "web-1  | one\nweb-1  | two\n");
    compose(&sandbox, &["down"]).ok();
}

#[test]
fn containers_are_started_stopped_paused_and_removed_by_service() {
    let sandbox = Sandbox::with_alpine();
    put(
        &sandbox,
        "compose.yaml",
        &format!("services: {{web: {{image: alpine, command: {SLEEPS}}}, db: {{image: alpine, command: {SLEEPS}}}}}"),
    );
    assert_eq!(done(&sandbox, &["create"]), ["db-1: created", "web-1: created"]);
    assert_eq!(sandbox.ok(&["ps", "-q"]), "");
    assert_eq!(done(&sandbox, &["start", "db"]), ["db-1: started"]);
    assert!(compose(&sandbox, &["exec", "-T", "web", "true"]).fails(1).contains("service web is not running"));
    assert_eq!(done(&sandbox, &["start"]), ["web-1: started"]);
    assert_eq!(done(&sandbox, &["restart", "web"]), ["web-1: restarted"]);
    assert_eq!(done(&sandbox, &["pause", "web"]), ["web-1: paused"]);
    assert_eq!(sandbox.look("app-web-1", "{{.State.Status}}"), "paused");
    assert_eq!(done(&sandbox, &["unpause"]), ["web-1: goes on"]);
    assert_eq!(done(&sandbox, &["stop", "web"]), ["web-1: stopped"]);
    assert_eq!(done(&sandbox, &["rm", "-f"]), ["web-1: removed"]);
    assert!(compose(&sandbox, &["rm", "-s"]).fails(125).contains("--force"));
    assert_eq!(done(&sandbox, &["kill", "db"]), ["db-1: got SIGKILL"]);
    assert_eq!(done(&sandbox, &["rm", "-f", "-s"]), ["db-1: removed"]);
    assert!(compose(&sandbox, &["start"]).fails(1).contains("no such project"));
    compose(&sandbox, &["up", "-d", "db"]).ok();
    let waiting = sandbox.command(&["compose", "-p", "app", "wait", "db"]).stdout(Stdio::piped()).spawn().unwrap();
    compose(&sandbox, &["stop", "db"]).ok();
    assert_eq!(String::from_utf8_lossy(&waiting.wait_with_output().unwrap().stdout), "db-1 0\n");
    compose(&sandbox, &["down"]).ok();
}

#[test]
fn run_makes_a_container_beside_those_of_up() {
    let sandbox = Sandbox::with_alpine();
    put(
        &sandbox,
        "compose.yaml",
        &format!(
            "services:\n  web: {{image: alpine, command: {SLEEPS}, environment: {{A: 1}}, depends_on: [db], ports: ['{}:80'], configs: [c]}}\n  db: {{image: alpine, command: {SLEEPS}}}\n  tool: {{image: alpine, profiles: [t], entrypoint: echo}}\nconfigs: {{c: {{content: hi}}}}\n",
            free_port()
        ),
    );
    compose(&sandbox, &["up", "-d", "web"]).ok();
    // The port of the service is taken, and not asked for.
    let said = compose(
        &sandbox,
        &["run", "--rm", "-T", "-e", "B=2", "-w", "/tmp", "web", "sh", "-c", "pwd; echo $A$B; cat /c"],
    );
    assert!(said.code == 0 && said.stdout == "/tmp\n12\nhi", "{}", said.streams());
    assert_eq!(compose(&sandbox, &["run", "-T", "--rm", "web", "sh", "-c", "exit 5"]).code, 5);
    assert_eq!(compose(&sandbox, &["run", "-T", "--rm", "tool", "from", "a", "profile"]).ok(), "from a profile\n");
    let name = compose(&sandbox, &["run", "-d", "--name", "mine", "web", "sleep", "600"]).ok();
    assert_eq!(name, "mine\n");
    assert_eq!(compose(&sandbox, &["ps", "--services"]).ok(), "db\nweb\n");
    assert!(compose(&sandbox, &["ps", "-a"]).ok().contains("mine"));
    assert_eq!(ids(&sandbox).len(), 3);
    compose(&sandbox, &["down", "-t", "0"]).ok();
    assert_eq!(ids(&sandbox), [""; 0]);
}

#[test]
fn images_are_built() {
    let sandbox = Sandbox::with_alpine();
    put(
        &sandbox,
        "src/Dockerfile.own",
        "FROM alpine AS one\nARG WHO=nobody\nRUN echo hello $WHO >/said\nFROM one AS two\nRUN echo two >>/said\n",
    );
    put(
        &sandbox,
        "compose.yaml",
        "services:\n  web:\n    build: {context: src, dockerfile: Dockerfile.own, target: one, args: {WHO: me}}\n    command: cat /said\n  \
         inline:\n    image: named:v1\n    build:\n      context: .\n      additional_contexts: {base: 'service:web'}\n      dockerfile_inline: |\n        FROM base\n        RUN echo inline >>/said\n    command: cat /said\n    depends_on: [web]\n",
    );
    let said = compose(&sandbox, &["up", "--no-log-prefix", "--build"]);
    assert_eq!(said.code, 0, "{}", said.streams());
    let mut lines: Vec<&str> = said.stdout.lines().filter(|line| !line.starts_with("sha256:")).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["hello me", "hello me", "inline"], "{}", said.streams());
    assert_eq!(sandbox.look("app-web", "{{index .Config.Labels \"com.docker.compose.service\"}}"), "web");
    // What is there is not built again, unless that is asked for; then only who changed is made anew.
    assert_eq!(done(&sandbox, &["up", "--no-start"]).len(), 0);
    put(&sandbox, "src/Dockerfile.own", "FROM alpine AS one\nRUN echo other >/said\n");
    compose(&sandbox, &["build", "-q", "web"]).ok();
    let said = done(&sandbox, &["up", "-d", "web"]);
    assert!(said[0].starts_with("web-1: made anew: image changed"), "{said:?}");
    put(&sandbox, "src/Dockerfile.own", "FROM alpine AS one\nRUN false\n");
    let said = compose(&sandbox, &["up", "-d", "--build", "web"]).fails(1);
    assert!(said.contains("the image of service web was not built"), "{said}");
    compose(&sandbox, &["down", "--rmi", "local"]).ok();
    assert!(!sandbox.ok(&["images"]).contains("app-web") && sandbox.ok(&["images"]).contains("named"));
}

#[test]
fn volumes_are_the_project_s_or_somebody_else_s() {
    let sandbox = Sandbox::with_alpine();
    let file = |volumes: &str| {
        format!(
            "services: {{web: {{image: alpine, command: 'true', volumes: ['v:/v']}}}}\nvolumes: {{v: {{{volumes}}}}}\n"
        )
    };
    put(&sandbox, "compose.yaml", &file("external: true, name: mine"));
    let said = compose(&sandbox, &["up", "-d"]).fails(1);
    assert!(
        said.contains("the external volume mine does not exist") && said.contains("minirun volume create mine"),
        "{said}"
    );
    sandbox.ok(&["volume", "create", "mine"]);
    compose(&sandbox, &["up", "-d"]).ok();
    compose(&sandbox, &["down", "-v"]).ok();
    assert_eq!(sandbox.ok(&["volume", "ls", "-q"]), "mine\n");
    put(&sandbox, "compose.yaml", &file("name: mine"));
    assert!(compose(&sandbox, &["up", "-d"]).stderr.contains("was not made by compose"));
    compose(&sandbox, &["down"]).ok();
    put(&sandbox, "compose.yaml", &file("name: other, labels: {a: b}"));
    compose(&sandbox, &["up", "-d"]).ok();
    assert!(sandbox.ok(&["volume", "inspect", "other"]).contains("\"com.docker.compose.project\": \"app\""));
    let said = sandbox.fails(1, &["compose", "-p", "second", "up", "-d"]);
    assert!(said.contains("the volume other is of another project: app"), "{said}");
    compose(&sandbox, &["down", "-v"]).ok();
    assert_eq!(sandbox.ok(&["volume", "ls", "-q"]), "mine\n");
}

#[test]
fn a_killed_up_is_put_right_by_the_next_and_two_do_not_meet() {
    let sandbox = Sandbox::with_alpine();
    let services: Vec<String> =
        (0..4).map(|number| format!("s{number}: {{image: alpine, command: {SLEEPS}}}")).collect();
    put(&sandbox, "compose.yaml", &format!("services: {{{}}}", services.join(", ")));
    for pause in [5, 15, 30, 60] {
        let mut child = sandbox.command(&["compose", "-p", "app", "up", "-d"]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
        compose(&sandbox, &["up", "-d"]).ok();
        assert_eq!(sandbox.ok(&["ps", "-q"]).lines().count(), 4, "killed after {pause} ms");
        compose(&sandbox, &["down", "-t", "1"]).ok();
        assert_eq!(ids(&sandbox), [""; 0]);
    }
    let mut both: Vec<_> = (0..2)
        .map(|_| sandbox.command(&["compose", "-p", "app", "up", "-d"]).stderr(Stdio::null()).spawn().unwrap())
        .collect();
    assert!(both.iter_mut().all(|child| child.wait().unwrap().success()));
    assert_eq!(ids(&sandbox).len(), 4);
    compose(&sandbox, &["down", "-t", "1"]).ok();
}

#[test]
fn hooks_run_after_a_start_and_before_a_stop() {
    let sandbox = Sandbox::with_alpine();
    let file = |command: &str| {
        format!(
            "services:\n  web:\n    image: alpine\n    command: {SLEEPS}\n    volumes: ['./out:/out']\n    post_start: [{{command: {command}, environment: {{A: x}}}}]\n    pre_stop: [{{command: [sh, -c, 'echo stop >>/out/said']}}]\n"
        )
    };
    put(&sandbox, "compose.yaml", &file("[sh, -c, 'echo $$A >>/out/said']"));
    compose(&sandbox, &["up", "-d"]).ok();
    compose(&sandbox, &["down"]).ok();
    assert_eq!(fs::read_to_string(sandbox.file("out/said")).unwrap(), "x\nstop\n");
    put(&sandbox, "compose.yaml", &file("[sh, -c, 'exit 3']"));
    let said = compose(&sandbox, &["up", "-d"]).fails(1);
    assert!(said.contains("ended with code 3"), "{said}");
    compose(&sandbox, &["down", "-t", "1"]).ok();
}

#[test]
fn a_service_shares_the_network_of_another() {
    let sandbox = Sandbox::with_alpine();
    put(
        &sandbox,
        "compose.yaml",
        &format!(
            "services:\n  a: {{image: alpine, command: {SLEEPS}, environment: {{X: '${{X:-1}}'}}}}\n  b: {{image: alpine, command: {SLEEPS}, network_mode: 'service:a', pid: 'service:a'}}\n"
        ),
    );
    compose(&sandbox, &["up", "-d"]).ok();
    let network = |name: &str| sandbox.ok(&["exec", name, "readlink", "/proc/self/ns/net"]);
    assert_eq!(network("app-a-1"), network("app-b-1"));
    // Who shares with one that is new is new, too.
    let mut up = sandbox.command(&["compose", "-p", "app", "up", "-d"]);
    let said = finish(up.env("X", "2"));
    assert!(
        said.stderr.contains("b-1: made anew: it shares namespaces of app-a-1, which is new"),
        "{}",
        said.streams()
    );
    assert_eq!(network("app-a-1"), network("app-b-1"));
    compose(&sandbox, &["down", "-t", "1"]).ok();
}

#[test]
fn the_older_spelling_works_through_a_link() {
    let sandbox = Sandbox::with_alpine();
    put(&sandbox, "compose.yaml", &format!("services: {{web: {{image: alpine, command: {SLEEPS}}}}}"));
    let link = sandbox.file("docker-compose");
    std::os::unix::fs::symlink(Sandbox::binary(), &link).unwrap();
    let link = link.to_str().unwrap();
    sandbox.run_other(link, &["-p", "old", "up", "-d"]).ok();
    assert!(sandbox.run_other(link, &["-p", "old", "ps"]).ok().contains("old-web-1"));
    sandbox.run_other(link, &["-p", "old", "down", "-t", "1"]).ok();
    assert_eq!(ids(&sandbox), [""; 0]);
}

#[test]
fn services_find_each_other_by_name_on_their_networks() {
    let sandbox = Sandbox::with_alpine();
    let file = |subnet: &str| {
        format!(
            "services:\n  web: {{image: alpine, command: {SLEEPS}, networks: [front, back], links: ['db:database']}}\n  \
             db: {{image: alpine, command: {SLEEPS}, networks: {{back: {{aliases: [store], ipv4_address: {subnet}.9}}}}}}\n  \
             alone: {{image: alpine, command: {SLEEPS}}}\n  none: {{image: alpine, command: {SLEEPS}, networks: []}}\n\
             networks: {{front: , back: {{ipam: {{config: [{{subnet: {subnet}.0/24}}]}}, internal: true}}}}\n"
        )
    };
    put(&sandbox, "compose.yaml", &file("10.77.1"));
    compose(&sandbox, &["up", "-d"]).ok();
    let finds = |service: &str, name: &str| compose(&sandbox, &["exec", "-T", service, "nslookup", name]);
    for name in ["db", "store", "database", "app-db-1"] {
        let said = finds("web", name);
        assert!(said.stdout.contains("10.77.1.9"), "{name}: {}", said.streams());
    }
    assert!(!finds("alone", "db").stdout.contains("10.77.1.9"));
    assert_eq!(sandbox.look("app-none-1", "{{.HostConfig.NetworkMode}}"), "none");
    let listed = sandbox.ok(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(["app_back", "app_default", "app_front"].iter().all(|name| listed.contains(name)), "{listed}");
    let inspected = sandbox.ok(&["network", "inspect", "app_back"]);
    assert!(inspected.contains("\"com.docker.compose.network\": \"back\""), "{inspected}");
    // One that `run` makes is on the network, and takes no name there.
    assert!(compose(&sandbox, &["run", "--rm", "-T", "web", "nslookup", "db"]).ok().contains("10.77.1.9"));
    assert_eq!(done(&sandbox, &["up", "-d"]).iter().filter(|line| line.ends_with(": unchanged")).count(), 4);
    // Another subnet: the network and who is on it are made anew.
    put(&sandbox, "compose.yaml", &file("10.77.2"));
    let said = done(&sandbox, &["up", "-d"]);
    assert!(
        said.contains(&"db-1: removed: the network back changed".to_owned())
            && said.contains(&"alone-1: unchanged".to_owned()),
        "{said:?}"
    );
    assert!(finds("web", "db").stdout.contains("10.77.2.9"));
    let said = compose(&sandbox, &["down", "-t", "1"]);
    assert!(said.stderr.contains("network app_back: removed"), "{}", said.stderr);
    assert!(!sandbox.ok(&["network", "ls"]).contains("app_"));
    put(
        &sandbox,
        "compose.yaml",
        "services: {a: {image: alpine, networks: [n]}}\nnetworks: {n: {external: true, name: shared}}\n",
    );
    assert!(compose(&sandbox, &["up", "-d"]).fails(1).contains("minirun network create shared"));
    put(
        &sandbox,
        "compose.yaml",
        "services: {a: {image: alpine, networks: {n: {ipv4_address: x}}}}\nnetworks: {n: }\n",
    );
    assert!(compose(&sandbox, &["up", "-d"]).fails(1).contains("compose.yaml:1:"));
}
