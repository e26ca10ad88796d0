//! The network that a RUN has.

use crate::common::{Need, Sandbox, own_address, require};
use std::io::{Read, Write};
use std::net::TcpListener;

#[test]
fn a_run_has_a_network_of_its_own() {
    require!(Need::Tun);
    let sandbox = Sandbox::with_alpine();
    // A service of the host that only loopback has, and an abstract socket.
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let name = format!("minirun-build-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = service.local_addr().unwrap().port();
    let reaches = format!(
        "for host in 127.0.0.1 gate; do nc -z -w 2 $host {port} && echo reached $host; done; \
         grep -c {name} /proc/net/unix; ip -o link | wc -l; grep gate /etc/hosts; cat /etc/hostname"
    );
    let text = format!("FROM alpine\nRUN ({reaches}) >/own 2>/dev/null; true\n");
    let built = |text: &str, flags: &[&str]| {
        sandbox.try_build(text, &[&["-q", "-t", "built", "--add-host", "gate:host-gateway"], flags].concat()).ok();
        sandbox.ok(&["run", "--rm", "--network", "none", "built", "sh", "-c", "cat /own /shared 2>/dev/null; true"])
    };
    assert_eq!(built(&text, &[]), "0\n2\n10.0.2.2\tgate\nbuildkitsandbox\n");
    // The host's is to be had on request, of the command line.
    let shared = built(&text, &["--no-cache", "--network", "host"]);
    assert!(shared.starts_with("reached 127.0.0.1\nreached gate\n1\n"), "{shared}");
    let asks = format!("FROM alpine\nRUN sleep 30\nRUN --network=host ({reaches}) >/shared 2>/dev/null; true\n");
    let said = sandbox.try_build(&asks, &[]).fails(1);
    assert!(said.contains("--allow network.host") && !said.contains("sleep 30 "), "{said}");
    let asks = asks.replace("RUN sleep 30\n", "");
    assert!(built(&asks, &["--allow", "network.host"]).starts_with("reached 127.0.0.1\n"));
}

#[test]
fn what_a_run_fetches_comes_by_the_way_out() {
    require!(Need::Tun);
    let Some(address) = own_address() else { return };
    let sandbox = Sandbox::with_alpine();
    let server = TcpListener::bind((address, 0)).unwrap();
    let at = server.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let (mut client, _) = server.accept().unwrap();
        let asked = client.read(&mut [0; 1024]).unwrap();
        assert!(asked > 0);
        client.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nfetched").unwrap();
    });
    sandbox.build(&format!("FROM alpine\nRUN wget -qO /page http://{at}/page\n"), &["-t", "built"]);
    assert_eq!(sandbox.ok(&["run", "--rm", "--network", "none", "built", "cat", "/page"]), "fetched");
    served.join().unwrap();
}
