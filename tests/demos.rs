//! `demo/redmine/`: an application of two containers that is used, thrown away and brought up again; and its database.
//! `demo/kernel/`: a kernel's source, compiled in a container.

use crate::common::{Need, Sandbox, fixture, free_port, recipe, require, wait, wait_until};
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

/// Returns the output of a demo, which must succeed and leave no files.
#[track_caller]
fn play(sandbox: &Sandbox, script: &str, variables: &[(&str, &str)]) -> String {
    let log = sandbox.file("log");
    let output = File::create(&log).unwrap();
    let binary = Sandbox::binary();
    let programs = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", Path::new(&binary).parent().unwrap().display());
    let mut demo = sandbox
        .other("sh")
        .arg(recipe("../demo").join(script))
        .env("PATH", programs)
        .env("DEMO_PLACE", sandbox.file("demo"))
        .envs(variables.iter().copied())
        .stderr(output.try_clone().unwrap())
        .stdout(output)
        .spawn()
        .unwrap();
    let ended = wait(Duration::from_secs(900), || demo.try_wait().unwrap().is_some());
    if !ended {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(demo.id().cast_signed()), nix::sys::signal::SIGTERM).unwrap();
    }
    let status = demo.wait().unwrap();
    let said = fs::read_to_string(&log).unwrap();
    assert!(ended && status.success(), "{status}\n{said}");
    assert!(!sandbox.file("demo").exists(), "the demo leaves files behind");
    said
}

#[test]
fn redmine_keeps_what_was_done_in_it() {
    require!(Need::Tool("apt-get"), Need::Tool("curl"));
    fixture("postgres");
    fixture("redmine");
    let port = free_port().to_string();
    let said = play(&Sandbox::new(), "redmine/run", &[("DEMO_BASES", "made"), ("PORT", &port)]);
    for line in [
        "theme      Lagoon is chosen",
        "web: waits for db (service_healthy)",
        "issue      #1 is there; who was logged in still is",
        "file       plan.txt has the same bytes",
        "theme      Lagoon, also for who is not logged in",
        "config     the new password is right",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

/// One object of the kernel, which takes the seconds that the whole takes minutes.
#[test]
fn a_kernel_is_compiled_in_a_container_and_stays_a_file() {
    require!(Need::Tool("apt-get"));
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let object = "lib/string.o";
    let said = play(&Sandbox::new(), "kernel/run", &[("DEMO_TARGET", object), ("DEMO_FILE", object)]);
    let release = nix::sys::utsname::uname().unwrap().release().to_str().unwrap().to_owned();
    assert_eq!(said.matches(&release).count(), 2, "{said}");
    assert!(said.contains("ELF 32-bit LSB relocatable, Intel 80386"), "{said}");
    for wall in ["load a kernel module ", "boot another kernel ", "reboot "] {
        let line = said.lines().find(|line| line.trim_start().starts_with(wall));
        assert!(line.is_some_and(|line| line.contains(" stopped ")), "{wall}\n{said}");
    }
}

#[test]
fn its_database_is_made_whole_or_made_again() {
    require!(Need::Tool("apt-get"));
    let sandbox = Sandbox::new();
    let entry = ["-c", "ENTRYPOINT [\"docker-entrypoint.sh\"]", "-c", "CMD [\"postgres\"]"];
    sandbox.ok(&[&["import"], &entry[..], &[fixture("postgres").to_str().unwrap(), "postgres"]].concat());
    let start = |flags: &[&str]| {
        let words = ["run", "-d", "--network", "none", "-v", "data:/var/lib/postgresql/data", "--name", "db"];
        sandbox.ok(&[&words, flags, &["postgres"]].concat());
    };

    start(&[]);
    assert_eq!(sandbox.ok(&["wait", "db"]), "1\n");
    assert!(sandbox.run(&["logs", "db"]).stderr.contains("POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE is missing"));
    sandbox.ok(&["rm", "db"]);

    // Killed at several places of the first start.
    let password = ["-e", "POSTGRES_USER=app", "-e", "POSTGRES_PASSWORD=right"];
    for milliseconds in [300, 900, 1800, 2600] {
        start(&password);
        std::thread::sleep(Duration::from_millis(milliseconds));
        sandbox.ok(&["rm", "-f", "db"]);
    }
    let ask = |password: &str| {
        let password = format!("PGPASSWORD={password}");
        let query = ["/pg/psql", "-h", "127.0.0.1", "-U", "app", "-Atc", "select count(*) from kept"];
        sandbox.run(&[&["exec", "-e", &password, "db"], &query[..]].concat())
    };
    start(&password);
    let sql = "create table kept as select 1";
    wait_until("it answers", || {
        sandbox.run(&["exec", "db", "/pg/psql", "-h", "/var/run/postgresql", "-U", "app", "-c", sql]).code == 0
            && ask("right").code == 0
    });
    assert!(ask("wrong").stderr.contains("password authentication failed"), "{}", ask("wrong").streams());

    // The second start takes the database as it is, with another password in the environment too.
    sandbox.ok(&["rm", "-f", "db"]);
    start(&["-e", "POSTGRES_PASSWORD=other"]);
    wait_until("it answers", || ask("right").stdout == "1\n");
}
