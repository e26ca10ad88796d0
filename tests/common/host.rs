//! The host as the tests see it: which user runs them, and what it gives.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

/// The three ways of being a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    Root,
    /// With a subordinate id range, and the programs that map it.
    Range,
    /// With no other id than its own.
    Single,
}

/// The user who runs these tests.
pub fn user() -> User {
    let uid = nix::unistd::getuid().as_raw();
    if uid == 0 {
        return User::Root;
    }
    let name = name_of(uid);
    let has_range = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| {
            let owner = line.split(':').next().unwrap_or_default();
            owner == uid.to_string() || Some(owner) == name.as_deref()
        })
    };
    let mapped = has_range("/etc/subuid") && has_range("/etc/subgid") && find("newuidmap") && find("newgidmap");
    if mapped { User::Range } else { User::Single }
}

fn name_of(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()))?;
    line.split(':').next().map(str::to_owned)
}

/// What a test needs and not every host gives.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// A program on the path.
    Tool(&'static str),
    /// This user in particular. The suite runs once for each, so another user's run is no skip.
    As(User),
    /// `/dev/net/tun`, which the helpers for the way out open.
    Tun,
    /// `/dev/fuse`, which fuse-overlayfs opens.
    Fuse,
    /// A cgroup v2 controller that this user may use.
    Controller(&'static str),
    /// The loopback address of IPv6.
    Ipv6,
    /// Emulators for foreign programs (binfmt_misc) that a user namespace registers for itself, as since Linux 6.7.
    OwnEmulators,
}

impl Need {
    /// Whether the host gives it. If not: says so, counts a skip, and under `MINIRUN_STRICT=1` fails the test, unless
    /// `MINIRUN_LACKS` names it among what this machine cannot give.
    pub fn met(self) -> bool {
        let given = self.given();
        if !given && !matches!(self, Self::As(_)) {
            self.skip();
        }
        given
    }

    /// Whether the host gives it, for a test that has something to assert in both cases.
    pub fn given(self) -> bool {
        match self {
            Self::As(wanted) => user() == wanted,
            Self::Tool(name) => find(name),
            Self::Fuse => fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok(),
            Self::Tun => fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_ok(),
            Self::Controller(name) => controllers().iter().any(|c| c == name),
            Self::Ipv6 => TcpListener::bind("[::1]:0").is_ok(),
            Self::OwnEmulators => {
                let mount = ["mount", "-t", "binfmt_misc", "none", "/proc/sys/fs/binfmt_misc"];
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-root-user", "--mount"]).args(mount);
                command.output().is_ok_and(|output| output.status.success())
            }
        }
    }

    fn name(self) -> String {
        match self {
            Self::Tool(name) => name.to_owned(),
            Self::As(user) => format!("{user:?}").to_lowercase(),
            Self::Tun => "tun".to_owned(),
            Self::Fuse => "fuse".to_owned(),
            Self::Controller(name) => format!("cgroup-{name}"),
            Self::Ipv6 => "ipv6".to_owned(),
            Self::OwnEmulators => "own-emulators".to_owned(),
        }
    }

    fn skip(self) {
        let name = self.name();
        let reason = match self {
            Self::Tool(_) => format!("{name} is not installed"),
            Self::Tun => "/dev/net/tun cannot be opened".to_owned(),
            Self::Fuse => "/dev/fuse cannot be opened".to_owned(),
            Self::Controller(controller) => format!("the {controller} controller is not delegated to this user"),
            Self::Ipv6 => "no IPv6 on the loopback interface".to_owned(),
            Self::OwnEmulators => "a user namespace cannot register emulators of its own here".to_owned(),
            Self::As(_) => unreachable!(),
        };
        let excused = std::env::var("MINIRUN_LACKS").is_ok_and(|lacks| lacks.split_whitespace().any(|l| l == name));
        let strict = std::env::var("MINIRUN_STRICT").is_ok_and(|v| v == "1");
        assert!(!strict || excused, "skipped under MINIRUN_STRICT=1: {reason}");
        println!("skip: {reason}");
        if let Some(list) = std::env::var_os("MINIRUN_SKIPS") {
            let thread = std::thread::current();
            let line = format!("{}: {reason}\n", thread.name().unwrap_or("a test"));
            let file = fs::OpenOptions::new().append(true).open(list);
            file.and_then(|mut f| f.write_all(line.as_bytes())).expect("the list of skips");
        }
    }
}

/// The controllers of what systemd gives this user, else of the cgroup that this process may make children in.
fn controllers() -> Vec<String> {
    let uid = nix::unistd::getuid().as_raw();
    let manager = format!("user.slice/user-{uid}.slice/user@{uid}.service");
    let systemd = match uid {
        0 if Path::new("/run/systemd/system").exists() => Some(""),
        _ if Path::new(&format!("/run/user/{uid}/bus")).exists() => Some(manager.as_str()),
        _ => None,
    };
    if let Some(group) = systemd {
        let given = Path::new("/sys/fs/cgroup").join(group).join("cgroup.controllers");
        return fs::read_to_string(given).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::")) else { return Vec::new() };
    let mut directory = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    // A process may stand in a leaf of what was delegated.
    while directory.starts_with("/sys/fs/cgroup") {
        let writable = nix::unistd::access(&directory.join("cgroup.procs"), nix::unistd::AccessFlags::W_OK).is_ok();
        if !writable {
            break;
        }
        if let Ok(list) = fs::read_to_string(directory.join("cgroup.controllers"))
            && !list.trim().is_empty()
        {
            return list.split_whitespace().map(str::to_owned).collect();
        }
        directory.pop();
    }
    Vec::new()
}

fn find(program: &str) -> bool {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|directory| Path::new(directory).join(program).exists())
}

/// A port of this test process alone: below those that the kernel hands out by itself, and reserved among all processes of
/// the suite, whoever runs them, by a name that lasts as long as the process.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let lowest = range.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(32768);
    // Processes begin at different places.
    let first = (std::process::id() % 100) as u16 * 100;
    for _ in 0..10_000 {
        let port = lowest - 1 - (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let name = format!("minirun-test-port-{port}");
        let Ok(reservation) = SocketAddr::from_abstract_name(name).and_then(|name| UnixListener::bind_addr(&name))
        else {
            continue;
        };
        std::mem::forget(reservation);
        let is_free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
        if is_free && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// An address of this host that is not its loopback.
pub fn own_address() -> Option<IpAddr> {
    // No packet is sent: the kernel chooses the address that it would send from.
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    probe.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let own = probe.local_addr().ok()?.ip();
    (!own.is_loopback()).then_some(own)
}
