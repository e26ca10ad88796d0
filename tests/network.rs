//! Published ports and the way out, as their users meet them: clients on the host, services in containers.

use crate::common::{Need, Sandbox, User, fixture, free_port, own_address, require, user, wait_until};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// What the container calls the host.
const GATEWAY: &str = "10.0.2.2";

#[test]
fn nginx_logs_the_address_of_its_client() {
    let Some(own) = own_address() else { return };
    let sandbox = Sandbox::new();
    sandbox.ok(&["import", fixture("nginx").to_str().unwrap(), "nginx"]);
    let port = free_port();
    let script = "echo 'events {} http { access_log /dev/stdout; server { listen 80; location / { return 200 hello; } } }' >/n.conf
                  exec nginx -c /n.conf -g 'daemon off; error_log stderr; user root;'";
    sandbox.ok(&["run", "-d", "--name", "web", "-p", &format!("{port}:80"), "nginx", "sh", "-c", script]);

    wait_until("nginx answers", || get(SocketAddr::new(own, port)).is_ok_and(|page| page.ends_with("hello")));
    assert!(get(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap().ends_with("hello"));
    wait_until("both requests are logged", || {
        let log = sandbox.ok(&["logs", "web"]);
        let by = |client: &str| log.lines().any(|line| line.starts_with(&format!("{client} - - [")));
        // The host's loopback is not the container's, which services trust.
        by(&own.to_string()) && by(GATEWAY) && !by("127.0.0.1")
    });
}

#[test]
fn every_form_of_p_leads_to_the_same_service() {
    let sandbox = Sandbox::with_alpine();
    let (both, v4_only) = (free_port(), free_port());
    let ports = [format!("{both}:7"), format!("127.0.0.1:{v4_only}:7/tcp"), "127.0.0.1::7".into()];
    let mut command = vec!["run", "-d", "--name", "echo"];
    ports.iter().for_each(|port| command.extend(["-p", port]));
    sandbox.ok(&[&command[..], &["alpine", "nc", "-lk", "-p", "7", "-e", "cat"]].concat());

    let listed = sandbox.ok(&["port", "echo"]);
    let random: u16 = listed
        .lines()
        .filter_map(|line| line.rsplit(':').next()?.parse().ok())
        .find(|p| ![both, v4_only].contains(p))
        .unwrap();
    for port in [both, v4_only, random] {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        wait_until("the service answers", || echo(address, b"over IPv4").is_ok_and(|said| said == b"over IPv4"));
    }
    require!(Need::Ipv6);
    assert_eq!(echo(format!("[::1]:{both}").parse().unwrap(), b"over IPv6").unwrap(), b"over IPv6");
    assert!(TcpStream::connect(format!("[::1]:{v4_only}")).is_err());
}

#[test]
fn a_range_of_ports() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["run", "-d", "--name", "echo", "-p", "101-140", "alpine", "nc", "-lk", "-p", "140", "-e", "cat"]);
    let listed = sandbox.ok(&["port", "echo"]);
    let last = listed.lines().find(|line| line.starts_with("140/tcp -> 0.0.0.0:")).expect(&listed);
    let port = last.rsplit(':').next().unwrap().parse().unwrap();
    wait_until("the last one answers", || {
        echo(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), b"x").is_ok_and(|s| s == b"x")
    });
    let said = sandbox.fails(125, &["run", "--rm", "-p", "1001-1200", "alpine", "true"]);
    assert!(said.contains("200 published ports are more"), "{said}");
}

#[test]
fn much_data_goes_both_ways_and_each_way_ends_by_itself() {
    let sandbox = Sandbox::with_alpine();
    let port = free_port();
    let ports = format!("127.0.0.1:{port}:7");
    sandbox.ok(&["run", "-d", "-p", &ports, "alpine", "nc", "-lk", "-p", "7", "-e", "cat"]);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    wait_until("the service answers", || echo(address, b"x").is_ok_and(|said| said == b"x"));
    let sent: Vec<u8> = (0..20_000_000u32).map(|i| (i * 7 + (i >> 8)) as u8).collect();
    assert!(echo(address, &sent).unwrap() == sent);
}

#[test]
fn nobody_inside_means_a_reset() {
    let sandbox = Sandbox::with_alpine();
    let (nobody, loopback) = (free_port(), free_port());
    let ports = [format!("127.0.0.1:{nobody}:81"), format!("127.0.0.1:{loopback}:82")];
    let service = "nc -lk -s 127.0.0.1 -p 82 -e cat & sleep 1000";
    sandbox
        .ok(&["run", "-d", "--name", "web", "--init", "-p", &ports[0], "-p", &ports[1], "alpine", "sh", "-c", service]);
    let listening = "netstat -ltn 2>/dev/null | grep -q 127.0.0.1:82 || grep -q 0100007F:0052 /proc/net/tcp";
    wait_until("the service listens", || sandbox.run(&["exec", "web", "sh", "-c", listening]).code == 0);
    for port in [nobody, loopback] {
        let error = echo(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), b"anybody?").unwrap_err();
        let refused = [
            std::io::ErrorKind::ConnectionReset,
            std::io::ErrorKind::ConnectionRefused,
            std::io::ErrorKind::BrokenPipe,
        ];
        assert!(refused.contains(&error.kind()), "{error}");
    }
}

#[test]
fn datagrams_find_their_way_back() {
    let sandbox = Sandbox::with_alpine();
    let port = free_port();
    let ports = format!("127.0.0.1:{port}:53/udp");
    sandbox.ok(&["run", "-d", "-p", &ports, "alpine", "nc", "-u", "-l", "-p", "53", "-e", "cat"]);
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    client.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut answer = [0; 16];
    wait_until("an answer comes", || {
        let _ = client.send(b"datagram");
        client.recv(&mut answer).is_ok_and(|length| &answer[..length] == b"datagram")
    });
}

#[test]
fn a_port_that_cannot_be_had_is_said_before_anything_starts() {
    let sandbox = Sandbox::with_alpine();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = sandbox.fails(125, &["run", "--rm", "-p", &format!("127.0.0.1:{port}:80"), "alpine", "echo", "started"]);
    assert!(said.contains(&format!("port {port} of this host is taken by")), "{said}");
    assert!(said.contains(&format!("-p 127.0.0.1:{}:80", port + 1)), "{said}");

    let free = free_port();
    sandbox.ok(&["run", "-d", "--name", "first", "-p", &format!("{free}:80"), "alpine", "sleep", "1000"]);
    let said = sandbox.fails(125, &["run", "--rm", "-p", &format!("{free}:80"), "alpine", "true"]);
    assert!(said.contains("taken by container first"), "{said}");
    assert_eq!(sandbox.ok(&["ps", "-q"]).lines().count(), 1);

    if user() == User::Root {
        return;
    }
    let said = sandbox.fails(125, &["run", "--rm", "-p", "80:80", "alpine", "true"]);
    for part in ["privileged", "-p 8080:80", "sysctl -w net.ipv4.ip_unprivileged_port_start=80"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn without_a_way_out_there_is_only_the_loopback() {
    let sandbox = Sandbox::with_alpine();
    let devices = sandbox.ok(&["run", "--rm", "--network", "none", "alpine", "ls", "/sys/class/net"]);
    assert_eq!(devices, "lo\n");
}

fn get(address: SocketAddr) -> std::io::Result<String> {
    let answer = echo(address, format!("GET / HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Sends all, says that this was all, and gives what comes back.
fn echo(address: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut writer = stream.try_clone()?;
    let bytes = bytes.to_vec();
    let written = std::thread::spawn(move || {
        writer.write_all(&bytes)?;
        writer.shutdown(Shutdown::Write)
    });
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    written.join().expect("the writing thread")?;
    read.map(|_| answer)
}
