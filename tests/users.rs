//! Users of a container that change while it runs, and who they are to each other: the same for whoever has started it.

use crate::common::{self, Need, Sandbox, User, require, user};

/// Who a process is, to itself and to the kernel.
const WHO: &str = "id -u; id -g; grep -E '^Cap(Prm|Eff)' /proc/self/status | cut -f2 | sort -u";

fn is(uid: u32, gid: u32) -> String {
    format!("{uid}\n{gid}\n0000000000000000\n")
}

#[test]
fn a_user_is_who_was_asked_for() {
    let sandbox = Sandbox::with_alpine();
    let files =
        "touch /tmp/f; stat -c %u:%g /tmp/f; test -O /tmp/f && echo mine; chown 0 /tmp/f 2>/dev/null || echo refused";
    let said = sandbox.sh(&["-u", "1000:1001"], &format!("{WHO}; {files}")).ok();
    assert_eq!(said, format!("{}1000:1001\nmine\nrefused\n", is(1000, 1001)));
    // A volume and the user's own home are his to write to.
    let volume = "vol:/data";
    sandbox.sh(&["-v", volume], "mkdir /data/of; chown 1000:1001 /data/of").ok();
    let said = sandbox.sh(&["-u", "1000:1001", "-v", volume], "echo x > /data/of/f && cat /data/of/f").ok();
    assert_eq!(said, "x\n");
    sandbox.build("FROM alpine\nRUN adduser -D app\nUSER app\nRUN id -un > /home/app/who\n", &[]);
    assert_eq!(sandbox.inside("cat /home/app/who; id -un; touch /home/app/f"), "app\napp\n");
}

#[test]
fn several_users_live_in_one_container() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(
        &["--name", "many", "-u", "7:8", "--health-cmd", "id -u > /tmp/health", "--health-interval", "1s"],
        "exec sleep 600",
    );
    for (flags, wanted) in [(&["exec", "many"][..], is(7, 8)), (&["exec", "-u", "5:6", "many"], is(5, 6))] {
        assert_eq!(sandbox.ok(&[flags, &["sh", "-c", WHO]].concat()), wanted);
    }
    assert_eq!(sandbox.ok(&["exec", "-u", "0", "many", "id", "-u"]), "0\n");
    // A second process of the first one's user may look at it.
    let environment = sandbox.ok(&["exec", "many", "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ | grep -c PATH"]);
    assert_eq!(environment, "1\n");
    sandbox.fails(1, &["exec", "-u", "5:6", "many", "cat", "/proc/1/environ"]);
    common::wait_until("the check has run", || sandbox.run(&["exec", "many", "cat", "/tmp/health"]).stdout == "7\n");
    sandbox.ok(&["cp", "many:/etc/hostname", sandbox.file("hostname").to_str().unwrap()]);
    // And its process that is started again is the same user.
    sandbox.ok(&[
        "run",
        "-d",
        "--name",
        "twice",
        "--restart",
        "on-failure:1",
        "-u",
        "9:9",
        "alpine",
        "sh",
        "-c",
        "id -u; exit 1",
    ]);
    sandbox.wait_for_status("twice", "exited");
    assert_eq!(sandbox.ok(&["logs", "twice"]), "9\n9\n");
}

#[test]
fn su_changes_the_user_for_good() {
    let sandbox = Sandbox::with_alpine();
    let su = format!("su -s /bin/sh nobody -c \"{}\"", WHO.replace('$', "\\$"));
    assert_eq!(sandbox.sh(&[], &su).ok(), is(65534, 65534));
    sandbox.sleeper("sleeps");
    assert_eq!(sandbox.ok(&["exec", "sleeps", "sh", "-c", &su]), is(65534, 65534));
    // Whoever is no longer root cannot be again, nor look into what root does.
    let back = "su -s /bin/sh nobody -c 'su -c id 2>/dev/null; cat /proc/1/environ 2>/dev/null; touch /proc/1/oom_score_adj 2>/dev/null; unshare -U id 2>/dev/null; id -u'; true";
    let said = sandbox.sh(&[], back);
    assert!(said.stdout.ends_with("65534\n") && !said.stdout.contains("uid=0"), "{}", said.streams());
    assert!(!said.stdout.contains("PATH="), "{}", said.streams());
    // Without the capability nobody becomes anybody.
    let said = sandbox.sh(&["--cap-drop", "SETUID"], "su -s /bin/sh nobody -c 'id -u' 2>/dev/null || id -u");
    assert_eq!(said.stdout, "0\n", "{}", said.streams());
}

#[test]
fn thousands_of_changes_leave_nothing_behind() {
    let sandbox = Sandbox::with_alpine();
    let script = "i=0; while [ $i -lt 150 ]; do su -s /bin/sh nobody -c 'id -u' & su -s /bin/sh daemon -c 'id -u' & wait; i=$((i+1)); done | sort | uniq -c | awk '{ print $1, $2 }'";
    assert_eq!(sandbox.sh(&[], script).ok(), "150 2\n150 65534\n");
    // Killed in the middle of it.
    sandbox.detached(&["--name", "killed"], "while :; do su -s /bin/sh nobody -c true & chown -R 5 /etc; done");
    sandbox.ok(&["kill", "killed"]);
    sandbox.wait_for_status("killed", "exited");
}

/// A strict program: it drops its rights for good and then tries to come back.
const STRICT: &str = "use POSIX; $( = $) = '33 33'; POSIX::setgid(33); POSIX::setuid(33); print \"$< $> \", $( + 0, \"\\n\"; \
    print defined(POSIX::setuid(0)) ? \"back\\n\" : \"stays\\n\"; print chown(0, 0, '/tmp') ? \"gave\\n\" : \"refused\\n\"; \
    system('id -u'); if (!fork) { exec 'id', '-u' } wait";

fn postgres() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["import", common::fixture("postgres").to_str().unwrap(), "postgres"]);
    sandbox
}

#[test]
fn strict_programs_are_satisfied() {
    require!(Need::Tool("apt-get"));
    let sandbox = postgres();
    let run = |words: &[&str]| sandbox.ok(&[&["run", "--rm", "--network", "none", "postgres"], words].concat());
    assert_eq!(run(&["perl", "-e", STRICT]), "33 33 33\nstays\nrefused\n33\n33\n");
    let bash = format!("{WHO}; true");
    for change in [
        &["su", "postgres", "-c", &bash][..],
        &["runuser", "-u", "postgres", "--", "bash", "-c", &bash],
        &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "bash", "-c", &bash],
        &["gosu", "postgres", "bash", "-c", &bash],
    ] {
        assert_eq!(run(change), is(101, 104), "{change:?}");
    }
    // A child that shares its parent's memory until it begins its program.
    let spawns =
        "$SIG{CHLD} = 'DEFAULT'; for (1 .. 20) { system('gosu', 'www-data', 'true') == 0 or die } print \"ok\\n\"";
    assert_eq!(run(&["perl", "-e", spawns]), "ok\n");
}

#[test]
fn a_database_lets_in_whom_it_should() {
    require!(Need::Tool("apt-get"));
    let sandbox = postgres();
    let data = "/var/lib/postgresql/data";
    let start = |as_user: &str| {
        format!(
            "{as_user} '/pg/initdb --no-sync -A peer -D {data} >/dev/null 2>&1' && {as_user} '/pg/pg_ctl -w -D {data} -l /tmp/log start >/dev/null' || cat /tmp/log; exec sleep 600"
        )
    };
    let ask = "exec /pg/psql -Atc 'select current_user' -U postgres postgres 2>&1";
    for (name, flags, change) in [("by-su", &[][..], "su postgres -c"), ("by-user", &["-u", "postgres"], "bash -c")] {
        let words = ["run", "-d", "--name", name, "--network", "none"];
        sandbox.ok(&[&words, flags, &["postgres", "bash", "-c", &start(change)]].concat());
        let asked = |user: &str| sandbox.run(&["exec", "-u", user, name, "bash", "-c", ask]);
        common::wait_until("it answers", || asked("postgres").stdout == "postgres\n");
        for stranger in ["www-data", "0"] {
            let said = asked(stranger);
            assert!(
                said.code != 0 && said.stdout.contains("Peer authentication failed"),
                "{stranger}: {}",
                said.streams()
            );
        }
        let by_su = |user: &str| sandbox.run(&["exec", "-u", "0", name, "su", user, "-c", ask]);
        assert_eq!(by_su("postgres").ok(), "postgres\n", "{name}");
        assert!(by_su("www-data").stdout.contains("Peer authentication failed"), "{name}");
    }
}

#[test]
fn the_agent_can_be_left_out() {
    let sandbox = Sandbox::with_alpine();
    let off = ["--annotation", "minirun.agent=off"];
    let said =
        sandbox.sh(&off, "touch /f; chown 5 /f && echo succeeds; unshare -U id 2>/dev/null || echo refused").ok();
    assert_eq!(said, "succeeds\nrefused\n");
    let explained = |flags: &[&str]| {
        sandbox.run(&[&["run", "--rm", "--explain", "--network", "none"], flags, &["alpine", "true"]].concat()).stderr
    };
    let has_agent = |text: &str| text.contains("SECCOMP_FILTER_FLAG_NEW_LISTENER") && text.contains("notes the owners");
    assert_eq!(has_agent(&explained(&[])), user() == User::Single);
    assert!(!explained(&off).contains("notes the owners"));
    // Nobody else pays for it.
    assert_eq!(explained(&["-u", "5"]).contains("bears this number"), user() == User::Single);
}
