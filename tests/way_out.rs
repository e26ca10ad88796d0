//! The way out: destinations that a container reaches, and those that it must not, through minirun itself, slirp4netns and pasta.

use crate::common::{self, Need, Sandbox, User, own_address, require, wait_until};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

/// The host's address in a container.
const GATEWAY: &str = "10.0.2.2";

/// Serves one connection, in the background.
fn serve(
    address: IpAddr,
    serve: impl FnOnce(std::net::TcpStream) + Send + 'static,
) -> (SocketAddr, std::thread::JoinHandle<()>) {
    let server = TcpListener::bind((address, 0)).unwrap();
    let at = server.local_addr().unwrap();
    (at, std::thread::spawn(move || serve(server.accept().unwrap().0)))
}

/// Returns the processes of a sandbox that have this in their name.
fn processes(sandbox: &Sandbox, name: &str) -> Vec<i32> {
    let lines = sandbox.left_behind();
    let ids = lines.iter().filter_map(|line| line.strip_prefix("process ")?.split_once(':')?.0.parse().ok());
    let is_named =
        |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.contains(name));
    ids.filter(is_named).collect()
}

#[test]
fn much_comes_in_and_nothing_is_left() {
    require!(Need::Tun, Need::Tool("slirp4netns"), Need::Tool("pasta"));
    let Some(own) = own_address() else { return };
    let sandbox = Sandbox::with_alpine();
    for network in ["bridge", "bridge:out=minirun", "bridge:out=slirp4netns", "bridge:out=pasta"] {
        let (address, served) = serve(own, |mut client| {
            let _ = client.read(&mut [0; 1024]).unwrap();
            // More than fits into any buffer on the way.
            let page = vec![b'x'; 20_000_000];
            write!(client, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", page.len()).unwrap();
            client.write_all(&page).unwrap();
            // The client ends it.
            let _ = client.read(&mut [0]);
        });
        let script = format!("wget -qO- http://{address}/ | wc -c");
        let fetched = sandbox.ok(&["run", "--rm", "--network", network, "alpine", "sh", "-c", &script]);
        assert_eq!(fetched, "20000000\n", "{network}");
        served.join().unwrap();
        wait_until("nothing is left", || sandbox.left_behind().is_empty());
    }
    let names = sandbox.ok(&["run", "--rm", "alpine", "cat", "/etc/resolv.conf", "/etc/hosts"]);
    assert!(names.contains("nameserver 10.0.2.3\n") && names.contains("10.88.0."), "{names}");
}

#[test]
fn much_goes_out_and_each_way_ends_by_itself() {
    require!(Need::Tun);
    let Some(own) = own_address() else { return };
    let sandbox = Sandbox::with_alpine();
    let (address, served) = serve(own, |mut client| {
        // It answers when it has read the end of what was sent, not before.
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert!(all.len() == 50_000_000 && all.iter().all(|byte| *byte == 0));
        client.write_all(b"had it all\n").unwrap();
    });
    let script = format!("head -c 50000000 /dev/zero | nc {} {}", address.ip(), address.port());
    assert_eq!(sandbox.ok(&["run", "--rm", "alpine", "sh", "-c", &script]), "had it all\n");
    served.join().unwrap();
}

#[test]
fn who_stops_reading_is_told_to_the_other_side() {
    require!(Need::Tun);
    let Some(own) = own_address() else { return };
    let sandbox = Sandbox::with_alpine();
    // The host's side goes while much is on its way out; the container's program ends, and does not hang.
    let (address, served) = serve(own, |mut client| assert!(client.read(&mut [0; 1024]).unwrap() > 0));
    let script = format!("head -c 50000000 /dev/zero | nc {} {}; echo ended", address.ip(), address.port());
    assert_eq!(sandbox.ok(&["run", "--rm", "alpine", "sh", "-c", &script]), "ended\n");
    served.join().unwrap();
    // The container's side goes while much is on its way in: the server hears of it.
    let (address, served) = serve(own, |mut client| {
        client.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let error = (0..10_000).find_map(|_| client.write_all(&[0; 65536]).err()).expect("a reader that has gone");
        assert!(!matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
    });
    let script = format!("nc {} {} </dev/null | head -c 1000 | wc -c", address.ip(), address.port());
    assert_eq!(sandbox.ok(&["run", "--rm", "alpine", "sh", "-c", &script]), "1000\n");
    served.join().unwrap();
}

#[test]
fn three_hundred_connections_at_once() {
    require!(Need::Tun);
    let Some(own) = own_address() else { return };
    const MANY: usize = 300;
    let sandbox = Sandbox::with_alpine();
    let server = TcpListener::bind((own, 0)).unwrap();
    let at = server.local_addr().unwrap();
    // Nobody is answered before all have come.
    let served = std::thread::spawn(move || {
        let clients: Vec<_> = (0..MANY).map(|_| server.accept().unwrap().0).collect();
        for mut client in clients {
            let mut asked = [0; 4];
            client.read_exact(&mut asked).unwrap();
            client.write_all(&asked).unwrap();
        }
    });
    let script = format!(
        "for n in $(seq 1000 {}); do echo -n $n | nc {} {} >/tmp/$n & done; wait; \
         for n in $(seq 1000 {}); do [ \"$(cat /tmp/$n)\" = $n ] || echo $n; done",
        999 + MANY,
        at.ip(),
        at.port(),
        999 + MANY
    );
    assert_eq!(sandbox.ok(&["run", "--rm", "alpine", "sh", "-c", &script]), "");
    served.join().unwrap();
}

#[test]
fn what_refuses_outside_refuses_inside_at_once() {
    require!(Need::Tun);
    let Some(own) = own_address() else { return };
    let sandbox = Sandbox::with_alpine();
    let closed = TcpListener::bind((own, 0)).unwrap().local_addr().unwrap().port();
    let script = format!(
        "wget -T 20 -O- http://{own}:{closed}/; nc -w 20 {GATEWAY} 22 </dev/null || echo no gateway; \
         nc -w 20 10.0.2.77 80 </dev/null || echo no neighbour; \
         echo x | nc -u -w 20 {own} {closed} || echo no datagram"
    );
    let begun = Instant::now();
    let said = sandbox.run(&["run", "--rm", "alpine", "sh", "-c", &script]);
    assert!(said.stderr.contains("Connection refused"), "{}", said.streams());
    assert!(said.stdout.contains("no gateway") && said.stdout.contains("no neighbour"), "{}", said.streams());
    assert!(begun.elapsed() < Duration::from_secs(19), "{:?}", begun.elapsed());
}

#[test]
fn the_hosts_own_loopback_is_out_of_reach_unless_asked_for() {
    require!(Need::Tun);
    let sandbox = Sandbox::with_alpine();
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || server.incoming().flatten().for_each(|mut client| drop(client.write_all(b"reached"))));
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    datagrams.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let reaches = |options: &[&str], host: &str| {
        let script = format!("echo hello | nc -u -w 1 {host} {port}; nc -w 5 {host} {port} </dev/null; true");
        let tcp = sandbox.ok(&[&["run", "--rm"], options, &["alpine", "sh", "-c", &script]].concat()) == "reached";
        let udp = datagrams.recv(&mut [0; 10]).is_ok();
        assert_eq!(tcp, udp, "{options:?} {host}");
        tcp
    };
    for host in [GATEWAY, "127.0.0.1", "0.0.0.0", "10.0.2.3", "host.example"] {
        assert!(!reaches(&["--add-host", "host.example:10.0.2.2"], host), "{host}");
    }
    assert!(reaches(&["--network", "bridge:host-loopback"], GATEWAY));
    assert!(reaches(&["--add-host", "host.example:host-gateway"], "host.example"));
    if Need::Tool("slirp4netns").met() {
        assert!(!reaches(&["--network", "bridge:out=slirp4netns"], GATEWAY));
        assert!(reaches(&["--network", "bridge:out=slirp4netns,host-loopback"], GATEWAY));
    }
}

#[test]
fn ipv6_leads_out_too() {
    require!(Need::Tun, Need::Ipv6);
    let sandbox = Sandbox::with_alpine();
    let (address, served) = serve(Ipv6Addr::LOCALHOST.into(), |mut client| {
        let mut asked = [0; 5];
        client.read_exact(&mut asked).unwrap();
        client.write_all(&asked).unwrap();
    });
    let script = format!("echo -n hello | nc fd00::2 {}", address.port());
    let network = ["--network", "bridge:host-loopback"];
    assert_eq!(sandbox.ok(&[&["run", "--rm"], &network[..], &["alpine", "sh", "-c", &script]].concat()), "hello");
    served.join().unwrap();
    let datagrams = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    datagrams.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let script = format!("echo hello | nc -u -w 1 fd00::2 {}; true", datagrams.local_addr().unwrap().port());
    sandbox.ok(&[&["run", "--rm"], &network[..], &["alpine", "sh", "-c", &script]].concat());
    assert_eq!(datagrams.recv(&mut [0; 100]).unwrap(), 6);
}

#[test]
fn datagrams_come_back_from_whom_they_went_to_and_from_nobody_else() {
    require!(Need::Tun);
    let Some(own) = own_address() else { return };
    let sandbox = Sandbox::with_alpine();
    let server = UdpSocket::bind((own, 0)).unwrap();
    let stranger = UdpSocket::bind((own, 0)).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = server.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let mut asked = vec![0; 65536];
        let (length, client) = server.recv_from(&mut asked).unwrap();
        stranger.send_to(b"not asked", client).unwrap();
        server.send_to(&asked[..length], client).unwrap();
        length
    });
    // More than one Ethernet frame, in one datagram.
    let script = format!("head -c 9000 /dev/zero | tr '\\0' x | nc -u -w 2 {own} {port} | tr -d x | wc -c");
    let script = format!("(head -c 9000 /dev/zero | tr '\\0' x; sleep 1) >/in; {script}");
    assert_eq!(sandbox.ok(&["run", "--rm", "alpine", "sh", "-c", &script]), "0\n");
    assert!(served.join().unwrap() > 1000);
}

#[test]
fn it_starts_with_the_first_packet_and_no_packet_is_lost() {
    require!(Need::Tun, Need::Tool("slirp4netns"));
    let sandbox = Sandbox::with_alpine();
    for (network, program) in [("bridge", "egress"), ("bridge:out=slirp4netns", "slirp4netns")] {
        let id = sandbox.ok(&["run", "-d", "--network", network, "alpine", "sleep", "1000"]).trim().to_owned();
        let ways = || processes(&sandbox, program).len();
        assert_eq!(sandbox.ok(&["exec", &id, "cat", "/sys/class/net/out0/statistics/tx_packets"]), "0\n");
        if program != "egress" {
            assert_eq!(ways(), 0, "{:?}", sandbox.left_behind());
        }
        // A single packet, which is not sent again.
        let said = sandbox.ok(&["exec", &id, "ping", "-c", "1", "-W", "5", GATEWAY]);
        assert!(said.contains(" 1 packets received"), "{said}");
        assert_eq!(sandbox.look(&id, "{{.State.Error}}"), "");

        // It does not outlive a monitor that is killed.
        let state = std::fs::read(sandbox.root().join("containers").join(&id).join("state.json")).unwrap();
        let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
        let monitor = nix::unistd::Pid::from_raw(state["monitor"][0].as_i64().unwrap() as i32);
        nix::sys::signal::kill(monitor, nix::sys::signal::Signal::SIGKILL).unwrap();
        wait_until("the way out is gone", || ways() == 0);
        sandbox.ok(&["rm", "-f", &id]);
    }
}

#[test]
fn one_that_ends_is_told_by_the_network_at_once() {
    require!(Need::Tun);
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["run", "-d", "--name", "cut", "alpine", "sleep", "1000"]);
    sandbox.ok(&["exec", "cut", "ping", "-c", "1", "-W", "5", GATEWAY]);
    let way = processes(&sandbox, "egress").into_iter().next().expect("a way out");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(way), nix::sys::signal::Signal::SIGKILL).unwrap();
    wait_until("it is unreachable", || {
        sandbox.run(&["exec", "cut", "ping", "-c", "1", "-W", "20", GATEWAY]).stderr.contains("unreachable")
    });
    // The container is as it was otherwise.
    assert_eq!(sandbox.ok(&["exec", "cut", "echo", "there"]), "there\n");
}

#[test]
fn one_that_fails_is_told_by_inspect() {
    require!(Need::Tun);
    let sandbox = Sandbox::with_alpine();
    let broken = sandbox.file("slirp4netns");
    std::fs::write(&broken, "#!/bin/sh\necho no luck today >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", broken.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let network = ["--network", "bridge:out=slirp4netns"];
    let run = [&["run", "-d", "--name", "shut"], &network[..], &["alpine", "sleep", "1000"]].concat();
    common::finish(sandbox.command(&run).env("PATH", path)).ok();
    // At once, and not after a time-out: the device is gone.
    let said = sandbox.run(&["exec", "shut", "sh", "-c", "ping -c 1 -W 2 10.0.2.2; ping -c 1 -W 20 10.0.2.2"]);
    assert!(said.stderr.contains("unreachable"), "{}", said.streams());
    assert!(sandbox.look("shut", "{{.State.Error}}").contains("slirp4netns says: no luck today"));
}

#[test]
fn options_of_the_network_that_are_none() {
    let sandbox = Sandbox::with_alpine();
    for (network, said) in [
        ("bridge:out=tor", "\"out=tor\""),
        ("bridge:", "\"\""),
        ("bridge:host-loopback,mtu=9", "\"mtu=9\""),
        ("none:host-loopback", "unknown network \"none:host-loopback\""),
    ] {
        let error = sandbox.fails(125, &["create", "--network", network, "alpine"]);
        assert!(error.contains(said) && error.contains("hint:"), "{error}");
    }
}

/// Names are asked of the servers that the host's resolv.conf has at that moment, the next where one does not answer; where
/// none does, the asker hears so.
#[test]
fn names_are_asked_of_the_hosts_servers() {
    require!(Need::Tun, Need::As(User::Root), Need::Tool("python3"));
    let sandbox = Sandbox::with_alpine();
    sandbox.put("server.py", SERVER);
    sandbox.put("resolv.conf", "nameserver 127.0.0.8\nnameserver 127.0.0.9\n");
    let script = format!(
        "set -e
         ip link set lo up
         mount --bind '{files}/context/resolv.conf' /etc/resolv.conf
         python3 '{files}/context/server.py' & server=$!
         trap 'kill $server' EXIT
         {minirun} run -d --name names alpine sleep 1000 >/dev/null
         sleep 1
         {minirun} exec names nslookup -type=a there.example
         {minirun} exec names getent ahosts long.example
         echo 'nameserver 127.0.0.7' >'{files}/context/resolv.conf'
         {minirun} exec names nslookup -type=a there.example || echo 'nobody answers'
         {minirun} rm -f names >/dev/null",
        files = sandbox.file("").display(),
        minirun = Sandbox::binary()
    );
    let begun = Instant::now();
    let said = sandbox.run_other("unshare", &["-m", "-n", "sh", "-c", &script]);
    assert_eq!(said.code, 0, "{}", said.streams());
    assert!(said.stdout.contains("192.0.2.7"), "{}", said.streams());
    // Too long for a datagram: asked once more over TCP, where musl takes 48.
    assert!(said.stdout.matches("198.51.100.").count() >= 48, "{}", said.streams());
    assert!(said.stdout.contains("nobody answers"), "{}", said.streams());
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

/// A name server on 127.0.0.9: `there.example` has one address, `long.example` has sixty.
const SERVER: &str = r#"
import socket, struct, threading
def answer(query, over_tcp):
    end = query.index(0, 12) + 5
    many = 60 if query[13:17] == b"long" else 1
    truncated = many > 1 and not over_tcp
    count = 0 if truncated else many
    flags = 0x8180 | (0x0200 if truncated else 0)
    text = query[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0) + query[12:end]
    for n in range(count):
        address = bytes([192, 0, 2, 7]) if many == 1 else bytes([198, 51, 100, n])
        text += struct.pack(">HHHIH", 0xc00c, 1, 1, 60, 4) + address
    return text
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("127.0.0.9", 53))
tcp = socket.socket(); tcp.bind(("127.0.0.9", 53)); tcp.listen()
def datagrams():
    while True:
        query, asker = udp.recvfrom(4096)
        udp.sendto(answer(query, False), asker)
threading.Thread(target=datagrams, daemon=True).start()
while True:
    client, _ = tcp.accept()
    length = struct.unpack(">H", client.recv(2))[0]
    text = answer(client.recv(length), True)
    client.sendall(struct.pack(">H", len(text)) + text)
    client.close()
"#;
