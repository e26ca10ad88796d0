//! Networks that containers share: who reaches whom, by which name, and what is left when somebody is gone.

use crate::common::{Need, Sandbox, free_port, own_address, require, wait_until};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Answers each connection with a word and its client's address.
const SERVE: &str = "nc -lk -p 80 -e sh -c 'echo this is $HOSTNAME'";

fn serve(sandbox: &Sandbox, name: &str, more: &[&str]) {
    let flags = ["run", "-d", "--name", name, "--hostname", name];
    sandbox.ok(&[&flags[..], more, &["alpine", "sh", "-c", SERVE]].concat());
}

/// Returns what a new container with these flags prints.
fn ask(sandbox: &Sandbox, flags: &[&str], script: &str) -> String {
    sandbox.ok(&[&["run", "--rm"], flags, &["alpine", "sh", "-c", script]].concat())
}

fn address(sandbox: &Sandbox, name: &str, network: &str) -> Ipv4Addr {
    let field = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    sandbox.look(name, &field).parse().unwrap()
}

#[test]
fn containers_find_each_other_by_name_on_the_default_network() {
    let sandbox = Sandbox::with_alpine();
    serve(&sandbox, "web", &[]);
    let own = address(&sandbox, "web", "bridge");
    assert_eq!(own.octets()[..2], [10, 88]);
    let said = ask(&sandbox, &[], "nc web 80 </dev/null; ping -c 1 -W 2 web; nslookup web | grep -A1 Name");
    assert!(said.contains("this is web\n") && said.contains(" 0% packet loss"), "{said}");
    assert!(said.contains(&format!("Address: {own}\n")), "{said}");
    // The server's own name and address are in its /etc/hosts.
    assert!(sandbox.ok(&["exec", "web", "cat", "/etc/hosts"]).contains(&format!("{own}\tweb\n")));
    // By its id, by its name in capitals, by the network's name behind it; and its address has a name.
    let id = sandbox.look("web", "{{.Id}}");
    let short = &id[..12];
    for name in [short, "WEB", "web.bridge"] {
        assert_eq!(ask(&sandbox, &[], &format!("nc {name} 80 </dev/null")), "this is web\n", "{name}");
    }
    let reverse = ask(&sandbox, &[], &format!("nslookup {own}"));
    assert!(reverse.contains("name = web.bridge"), "{reverse}");
    // A type that it lacks is no error, or musl would give up.
    let v6 = ask(&sandbox, &[], "nslookup -type=aaaa web 2>&1; echo $?");
    assert!(!v6.contains("NXDOMAIN") && v6.ends_with("\n0\n"), "{v6}");
}

#[test]
fn a_name_lasts_as_long_as_its_container() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["run", "-d", "--name", "asker", "alpine", "sleep", "1000"]);
    let knows = |name: &str| {
        let answer = sandbox.run(&["exec", "asker", "nslookup", "-type=a", name]);
        answer.stdout.contains(&format!("Name:\t{name}"))
    };
    assert!(!knows("web"));
    serve(&sandbox, "web", &[]);
    assert!(knows("web"));
    let first = address(&sandbox, "web", "bridge");
    sandbox.ok(&["rename", "web", "www"]);
    assert!(knows("www") && !knows("web"));
    sandbox.ok(&["stop", "-t", "0", "www"]);
    assert!(!knows("www"));
    // Its address is free, and it may have it again.
    sandbox.ok(&["start", "www"]);
    assert_eq!(address(&sandbox, "www", "bridge"), first);
    // A killed monitor takes its own container along, and nothing else.
    sandbox.run_other("kill", &["-9", &sandbox.monitor_of("www")]).ok();
    wait_until("the name has gone", || !knows("www"));
    assert!(knows("asker"));
    serve(&sandbox, "next", &["--ip", &first.to_string()]);
    assert_eq!(sandbox.ok(&["exec", "asker", "nc", "next", "80"]), "this is next\n");
}

#[test]
fn networks_are_made_shown_and_removed() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.ok(&["network", "create", "--label", "team=a", "front"]);
    sandbox.ok(&["network", "create", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.254", "back"]);
    let listed = sandbox.ok(&["network", "ls"]);
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    let names: Vec<&str> = lines[1..].iter().map(|line| line[1]).collect();
    assert_eq!(names, ["back", "bridge", "front", "host", "none"]);
    assert_eq!(lines[3], [&id[..12], "front", "bridge", "local"]);
    let own = sandbox.ok(&["network", "ls", "--filter", "type=custom", "--filter", "label=team", "-q"]);
    assert_eq!(own.trim(), &id[..12]);
    let subnet = sandbox.ok(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}} {{.Internal}}", "back"]);
    assert_eq!(subnet, "10.77.0.0/24 false\n");
    serve(&sandbox, "web", &["--network", "back"]);
    assert_eq!(address(&sandbox, "web", "back"), Ipv4Addr::new(10, 77, 0, 1));
    assert_eq!(sandbox.look("web", "{{.HostConfig.NetworkMode}}"), "back");
    assert_eq!(sandbox.ok(&["ps", "--filter", "network=back", "--format", "{{.Names}} {{.Networks}}"]), "web back\n");
    let members =
        sandbox.ok(&["network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}", "back"]);
    assert_eq!(members, "web 10.77.0.1/24\n");
    let refused = sandbox.fails(1, &["network", "rm", "back"]);
    assert!(refused.contains("cannot remove network back: web is on it"), "{refused}");
    // Nobody is on the other.
    assert_eq!(sandbox.ok(&["network", "prune", "-f"]), "Deleted Networks:\nfront\n\n");
    sandbox.ok(&["network", "create", "front"]);
    let pruned = sandbox.ok(&["system", "prune", "-f"]);
    assert!(pruned.starts_with("Deleted Networks:\nfront\n\n") && pruned.contains("Total"), "{pruned}");
    sandbox.ok(&["rm", "-f", "web"]);
    assert_eq!(sandbox.ok(&["network", "rm", "back"]), "back\n");
    assert_eq!(sandbox.ok(&["network", "ls", "-q", "--filter", "type=custom"]), "");
    assert_eq!(sandbox.ok(&["network", "rm", "-f", "back"]), "back\n");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_done() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "--subnet", "10.77.0.0/24", "net"]);
    for (line, said) in [
        (&["network", "create", "net"][..], "network net exists"),
        (&["network", "create", "bridge"], "belongs to minirun itself"),
        (&["network", "create", "a/b"], "invalid network name"),
        (
            &["network", "create", "--subnet", "10.77.0.128/25", "other"],
            "overlaps with 10.77.0.0/24, which network net has",
        ),
        (&["network", "create", "--subnet", "10.78.0.0/24", "--gateway", "10.77.0.1", "other"], "is not in the subnet"),
        (&["network", "create", "--subnet", "10.78.0.0/24", "--subnet", "10.79.0.0/24", "other"], "has one subnet"),
        (&["network", "rm", "bridge"], "belongs to minirun itself"),
        (&["network", "rm", "nosuch"], "no such network: nosuch"),
        (&["network", "connect", "net", "nosuch"], "nosuch"),
    ] {
        let error = sandbox.fails(1, line);
        assert!(error.contains(said), "{line:?}: {error}");
    }
    for (flags, said) in [
        (&["--network", "nosuch"][..], "no such network: nosuch"),
        (&["--network", "net", "--ip", "10.78.0.1"], "address 10.78.0.1 is not in the subnet 10.77.0.0/24"),
        (&["--network", "net", "--ip", "10.77.0.1"], "belongs to the network itself"),
        (&["--network", "net", "--ip6", "fd00::5"], "network net has no IPv6 addresses"),
        (&["--network", "net", "--network", "net"], "network net is named twice"),
        (&["--network", "net", "--network", "none"], "stands alone"),
        (&["--network", "none", "--ip", "10.77.0.5"], "--ip needs one network"),
        (&["--network", "net", "--network", "bridge", "--ip", "10.77.0.5"], "--ip needs one network"),
        (&["--network", "net:what=1"], "unknown option of the network"),
        (&["--network-alias", "a b"], "invalid network alias"),
        (&["--mac-address", "03:00:00:00:00:01"], "invalid hardware address"),
    ] {
        let error = sandbox.fails(125, &[&["run", "--rm"], flags, &["alpine", "true"]].concat());
        assert!(error.contains(said), "{flags:?}: {error}");
    }
    assert_eq!(sandbox.ok(&["ps", "-aq"]), "");
    // An address that somebody has, twice: the second start says whose it is, and nothing of it stays.
    serve(&sandbox, "web", &["--network", "net:ip=10.77.0.9"]);
    let error = sandbox.fails(125, &["run", "--rm", "--network", "net:ip=10.77.0.9", "alpine", "true"]);
    assert!(error.contains("10.77.0.9 on network net belongs to web"), "{error}");
    // A container with power over its user namespace has a network of its own.
    let error = sandbox.fails(125, &["run", "--rm", "--privileged", "--network", "net", "alpine", "true"]);
    assert!(error.contains("cannot be on network net"), "{error}");
    assert!(ask(&sandbox, &["--privileged"], "ip -4 -o address").contains("10.0.2.100"));
}

#[test]
fn two_networks_are_apart() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "one"]);
    sandbox.ok(&["network", "create", "two"]);
    serve(&sandbox, "web", &["--network", "one"]);
    let own = address(&sandbox, "web", "one").to_string();
    let reach = |network: &str| {
        let script = format!("nslookup -type=a web | grep -c Name; nc -w 1 {own} 80 </dev/null");
        sandbox.run(&["run", "--rm", "--network", network, "alpine", "sh", "-c", &script]).stdout
    };
    assert_eq!(reach("one"), "1\nthis is web\n");
    for network in ["two", "bridge", "none"] {
        assert_eq!(reach(network), "0\n", "{network}");
    }
    // Not even with the rights to set an address and a route of one's own.
    let script = format!(
        "ip address add 10.66.0.7/32 dev lo; ip route replace {own} via 10.88.0.1 dev eth0 onlink; nc -w 1 {own} 80 </dev/null; echo ended"
    );
    assert_eq!(ask(&sandbox, &["--cap-add", "NET_ADMIN"], &script), "ended\n");
}

#[test]
fn a_container_comes_onto_a_network_and_leaves_it_while_it_runs() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "one"]);
    sandbox.ok(&["network", "create", "two"]);
    let port = free_port();
    serve(&sandbox, "web", &["--network", "one", "-p", &format!("{port}:80")]);
    sandbox.ok(&["run", "-d", "--name", "asker", "--network", "two", "alpine", "sleep", "1000"]);
    let reach = || sandbox.run(&["exec", "asker", "nc", "-w", "1", "www", "80"]).stdout;
    let published = || {
        let mut said = String::new();
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        stream.and_then(|mut stream| stream.read_to_string(&mut said)).map(|_| said).unwrap_or_default()
    };
    assert_eq!(reach(), "");
    sandbox.ok(&["network", "connect", "--alias", "www", "two", "web"]);
    assert_eq!(reach(), "this is web\n");
    let twice = sandbox.fails(1, &["network", "connect", "two", "web"]);
    assert!(twice.contains("container web is on network two already"), "{twice}");
    let devices = sandbox.ok(&["exec", "web", "ip", "-4", "-o", "address"]);
    assert!(devices.contains("eth0") && devices.contains("eth1") && devices.contains("out0"), "{devices}");
    wait_until("the port answers", || published() == "this is web\n");
    // Names are found on the networks that are left, whichever came last.
    sandbox.ok(&["network", "connect", "bridge", "asker"]);
    assert_eq!(reach(), "this is web\n");
    sandbox.ok(&["network", "disconnect", "bridge", "asker"]);
    assert_eq!(reach(), "this is web\n");
    // Its published port follows it.
    sandbox.ok(&["network", "disconnect", "one", "web"]);
    wait_until("the port answers again", || published() == "this is web\n");
    assert_eq!(reach(), "this is web\n");
    sandbox.ok(&["network", "disconnect", "two", "web"]);
    assert_eq!(reach(), "");
    assert!(sandbox.fails(1, &["network", "disconnect", "two", "web"]).contains("web is not on network two"));
    assert_eq!(sandbox.ok(&["network", "rm", "one"]), "one\n");
    // A stopped one is there from its next start.
    sandbox.ok(&["stop", "-t", "0", "web"]);
    sandbox.ok(&["network", "connect", "--alias", "www", "two", "web"]);
    sandbox.ok(&["start", "web"]);
    wait_until("it is there", || reach() == "this is web\n");
}

#[test]
fn names_have_many_forms() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "net"]);
    let flags = ["--network", "net:alias=app"];
    ["one", "two", "three"].iter().for_each(|name| serve(&sandbox, name, &flags));
    // All of an alias, each first in its turn.
    let script =
        "for i in 1 2 3 4 5 6; do nslookup -type=a app | grep Address: | sed -n 2p; done | sort | uniq -c | wc -l";
    assert_eq!(ask(&sandbox, &["--network", "net"], script).trim(), "3");
    let said = ask(&sandbox, &["--network", "net"], "for i in $(seq 12); do nc app 80 </dev/null; done | sort -u");
    assert!(said.lines().count() >= 2, "{said}");
    // A search list, a name with many dots, and one that nobody has: the answer comes at once.
    let begun = Instant::now();
    let unknown =
        sandbox.run(&["run", "--rm", "--network", "net", "--dns", "127.0.0.9", "alpine", "nslookup", "no.such.name"]);
    assert_ne!(unknown.code, 0);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let found = ask(
        &sandbox,
        &["--network", "net", "--dns-search", "example.org"],
        "nc one 80 </dev/null; nc one.net 80 </dev/null",
    );
    assert_eq!(found, "this is one\nthis is one\n");
    // A container with a name server of its own on port 53 keeps both.
    let own = "nc -lu -p 53 -e cat & nc -l -p 53 -e cat & sleep 0.2; nc one 80 </dev/null";
    assert_eq!(ask(&sandbox, &["--network", "net"], own), "this is one\n");
}

#[test]
fn an_internal_network_leads_nowhere_else() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "--internal", "inner"]);
    serve(&sandbox, "db", &["--network", "inner"]);
    let said = ask(&sandbox, &["--network", "inner"], "nc db 80 </dev/null; ip route | grep -c default; true");
    assert_eq!(said.trim_end(), "this is db\n0");
}

#[test]
fn ipv6_where_it_is_asked_for() {
    require!(Need::Ipv6);
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "--ipv6", "six"]);
    serve(&sandbox, "web", &["--network", "six"]);
    let own = sandbox.look("web", "{{.NetworkSettings.Networks.six.GlobalIPv6Address}}");
    assert!(own.starts_with("fd"), "{own}");
    let said = ask(&sandbox, &["--network", "six"], &format!("ping -6 -c 1 -W 2 web; nc {own} 80 </dev/null"));
    assert!(said.contains(" 0% packet loss") && said.ends_with("this is web\n"), "{said}");
}

#[test]
fn broadcasts_reach_everybody_where_they_are_asked_for() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "--opt", "broadcast=true", "--subnet", "10.77.0.0/24", "loud"]);
    serve(&sandbox, "web", &["--network", "loud"]);
    serve(&sandbox, "quiet", &[]);
    let arping = |network: &str, name: &str| {
        let script = format!("nc {name} 80 </dev/null; arping -c 1 -w 2 -I eth0 {}", address(&sandbox, name, network));
        let said = sandbox.run(&["run", "--rm", "--network", network, "alpine", "sh", "-c", &script]);
        assert!(said.stdout.starts_with(&format!("this is {name}\n")), "{}", said.streams());
        said.stdout.contains("Received 1 response")
    };
    assert!(arping("loud", "web"));
    // Where packets are routed, nobody is asked who has an address.
    assert!(!arping("bridge", "quiet"));
}

#[test]
fn a_published_port_shows_its_client_on_every_network() {
    let Some(own) = own_address() else { return };
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "net"]);
    let (tcp, udp) = (free_port(), free_port());
    // It answers its first client only.
    let script = "nc -lu -p 9 -e cat & nc -lk -p 7 -e sh -c 'netstat -tn | grep :7'";
    let ports = [format!("{tcp}:7"), format!("{udp}:9/udp")];
    let flags = ["run", "-d", "--name", "web", "--network", "net", "-p", &ports[0], "-p", &ports[1]];
    sandbox.ok(&[&flags[..], &["alpine", "sh", "-c", script]].concat());
    wait_until("it shows its client", || {
        let mut said = String::new();
        let stream = TcpStream::connect(SocketAddr::new(own, tcp));
        let _ = stream.and_then(|mut stream| stream.read_to_string(&mut said));
        said.contains(&own.to_string())
    });
    // Datagrams go back to where they came from: to the host, and to a neighbour.
    let socket = UdpSocket::bind((own, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(b"from the host", SocketAddr::new(own, udp)).unwrap();
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer).unwrap();
    assert_eq!(&answer[..length], b"from the host");
    let script = "echo from a neighbour | timeout 3 nc -u -w 1 web 9";
    sandbox.ok(&["rm", "-f", "web"]);
    sandbox.ok(&[&flags[..], &["alpine", "nc", "-lu", "-p", "9", "-e", "cat"]].concat());
    let answered = sandbox.run(&["run", "--rm", "--network", "net", "alpine", "sh", "-c", script]);
    assert_eq!(answered.stdout, "from a neighbour\n");
}

#[test]
fn many_start_at_once_and_each_reaches_its_neighbour() {
    const MANY: usize = 30;
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "net"]);
    serve(&sandbox, "hub", &["--network", "net"]);
    let runs: Vec<_> = (0..MANY)
        .map(|_| {
            let script = "nc hub 80 </dev/null && echo reached";
            sandbox.command(&["run", "--rm", "--network", "net", "alpine", "sh", "-c", script])
        })
        .map(|mut command| command.stdout(std::process::Stdio::piped()).spawn().unwrap())
        .collect();
    for run in runs {
        let said = run.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "this is hub\nreached\n");
    }
    let members = sandbox.ok(&["network", "inspect", "-f", "{{len .Containers}}", "net"]);
    assert_eq!(members, "1\n");
}

#[test]
fn who_cannot_be_on_the_default_network_runs_alone() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "net"]);
    for network in ["bridge", "net"] {
        serve(&sandbox, network, &["--network", network]);
        sandbox.ok(&["rm", "-f", network]);
    }
    // Make the lock of each network unusable.
    let boot = std::fs::read_dir(sandbox.root().join("run")).unwrap().next().unwrap().unwrap().path();
    for entry in std::fs::read_dir(boot.join("networks")).unwrap() {
        let lock = entry.unwrap().path().join("lock");
        std::fs::remove_file(&lock).unwrap();
        std::fs::create_dir(&lock).unwrap();
    }
    let alone = sandbox.run(&[
        "run",
        "--rm",
        "--name",
        "alone",
        "alpine",
        "sh",
        "-c",
        "ip -4 -o address; tail -n 1 /etc/hosts",
    ]);
    assert!(
        alone.stderr.starts_with("note: the container is alone, since it cannot be on network bridge: open"),
        "{}",
        alone.stderr
    );
    let said = alone.ok();
    assert!(said.contains("10.0.2.100/") && !said.contains("10.88.") && said.contains("\n10.0.2.100\t"), "{said}");
    let error = sandbox.fails(125, &["run", "--rm", "--network", "net", "alpine", "true"]);
    assert!(error.contains("cannot put the container on network net"), "{error}");
    assert_eq!(sandbox.ok(&["ps", "-aq"]), "");
}

/// While monitors are killed one after the other, nobody else loses a name or a connection.
#[test]
fn killed_monitors_harm_their_own_containers_only() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "net"]);
    serve(&sandbox, "hub", &["--network", "net"]);
    let script = "for i in $(seq 100); do nc -w 5 hub 80 </dev/null || echo lost $i; sleep 0.05; done; echo done";
    sandbox.ok(&["run", "-d", "--name", "asker", "--network", "net", "alpine", "sh", "-c", script]);
    for number in 0..8 {
        let name = format!("victim{number}");
        sandbox.ok(&[
            "run",
            "-d",
            "--name",
            &name,
            "--network",
            "net",
            "--network-alias",
            "hub2",
            "alpine",
            "sleep",
            "1000",
        ]);
        sandbox.run_other("kill", &["-9", &sandbox.monitor_of(&name)]).ok();
        // The next one joins through whoever is left, the first of all among them.
    }
    sandbox.ok(&["wait", "asker"]);
    let said = sandbox.ok(&["logs", "asker"]);
    assert!(said.ends_with("done\n") && !said.contains("lost"), "{said}");
    assert_eq!(said.matches("this is hub\n").count(), 100);
    let members = sandbox.ok(&["network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{end}}", "net"]);
    assert_eq!(members.trim(), "hub");
    let known = sandbox.run(&["run", "--rm", "--network", "net", "alpine", "nslookup", "-type=a", "hub2"]);
    assert!(!known.stdout.contains("Name:"), "{}", known.stdout);
    // The one that made the network's namespace is killed too: who is left goes on.
    sandbox.ok(&["run", "-d", "--name", "late", "--network", "net", "alpine", "sleep", "1000"]);
    sandbox.run_other("kill", &["-9", &sandbox.monitor_of("hub")]).ok();
    serve(&sandbox, "heir", &["--network", "net"]);
    assert_eq!(sandbox.ok(&["exec", "late", "nc", "heir", "80"]), "this is heir\n");
}
