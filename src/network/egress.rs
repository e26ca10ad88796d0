//! The way out of a container: who carries its packets. This program itself ([`super::way_out`]), unless slirp4netns or
//! pasta is asked for.
//!
//! It runs in the host's network, and must end with the container, whose monitor may be killed at any time. This program and
//! slirp4netns start when the first packet wants out ([`super::uplink`]), in or by a process that stayed behind in the host's
//! network, for the monitor has left it; slirp4netns watches a pipe that the monitor holds. pasta is started by the client
//! and watches the name of the namespace that it was given: a link below the container's runtime directory, which goes when the
//! container ends, or when it is swept up.

use super::ContainerNetwork;
use super::address::MTU;
use crate::diag::{Diagnose, inner_of};
use crate::sys::descriptor;
use crate::sys::process::{self, Fork};
use crate::sys::{On, SysError, socket, tun};
use crate::userns;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::pipe::PipeFlags;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("{0} is to be the container's way out, and is not installed")]
    NotInstalled(Program),
    #[error("containers have no way out")]
    NoTun(#[source] SysError),
    #[error("the container has no way out: {program} says: {said}")]
    Refused { program: String, said: String },
    #[error("the container has no way out")]
    Sys(#[from] SysError),
}

impl Diagnose for EgressError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotInstalled(_) => "without :out= minirun itself is the way out".into(),
            Self::NoTun(error) if error.errno == libc::EACCES => format!("as root: chmod 666 {}", tun::PATH),
            Self::NoTun(_) => "as root: modprobe tun".into(),
            Self::Refused { .. } => "published ports work without; --network none does not ask for it".into(),
            Self::Sys(_) => return self.inner().and_then(Diagnose::hint),
        })
    }
}

impl EgressError {
    /// Returns the error in one line, for a container that runs without a way out.
    pub fn note(&self) -> String {
        let cause = std::error::Error::source(self).map(|cause| format!(": {cause}")).unwrap_or_default();
        let hint = self.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{self}{cause}{hint}")
    }
}

/// The way out as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayOut {
    #[serde(default)]
    pub program: Program,
    /// The address of the gateway leads to the host's own loopback.
    #[serde(default)]
    pub host_loopback: bool,
}

/// The options of `--network bridge` that ask for it.
impl std::fmt::Display for WayOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let program = (self.program != Program::default()).then(|| format!("out={}", self.program));
        let loopback = self.host_loopback.then(|| "host-loopback".to_owned());
        for (index, option) in program.into_iter().chain(loopback).enumerate() {
            write!(f, "{}{option}", if index == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

/// What can be the way out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    #[default]
    Minirun,
    Slirp4netns,
    Pasta,
}

impl Program {
    pub(crate) const ALL: [Self; 3] = [Self::Minirun, Self::Slirp4netns, Self::Pasta];

    fn name(self) -> &'static str {
        match self {
            Self::Minirun => "minirun",
            Self::Slirp4netns => "slirp4netns",
            Self::Pasta => "pasta",
        }
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The way out of a container, found on this host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Way {
    carrier: By,
    host_loopback: bool,
    network: ContainerNetwork,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum By {
    /// Started when the first packet wants out.
    Minirun,
    Slirp(PathBuf),
    /// Started before the payload, which waits for it.
    Pasta(PathBuf),
}

impl Way {
    /// Finds what was asked for, for a container with this network.
    pub fn find(asked: &WayOut, network: ContainerNetwork) -> Result<Self, EgressError> {
        let program = |program: Program| userns::program(program.name()).ok_or(EgressError::NotInstalled(program));
        let carrier = match asked.program {
            Program::Minirun => By::Minirun,
            Program::Slirp4netns => By::Slirp(program(asked.program)?),
            Program::Pasta => By::Pasta(program(asked.program)?),
        };
        let opened = OpenOptions::new().read(true).write(true).open(tun::PATH);
        opened.on("open", tun::PATH).map_err(EgressError::NoTun)?;
        Ok(Self { carrier, host_loopback: asked.host_loopback, network })
    }

    pub(crate) fn network(&self) -> ContainerNetwork {
        self.network.clone()
    }

    /// Returns whether the payload must wait until the client has started it ([`Self::start`]).
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self.carrier, By::Pasta(_))
    }

    /// Returns the kind of device that it serves, if the container's device is made before it is started.
    pub(crate) fn device(&self) -> Option<tun::Kind> {
        match self.carrier {
            By::Minirun => Some(tun::Kind::Packets),
            By::Slirp(_) => Some(tun::Kind::Frames),
            By::Pasta(_) => None,
        }
    }

    /// Gives the network namespace of `process` its way out, and waits until it works. `directory` must be removed when the
    /// container has ended.
    pub(crate) fn start(&self, process: i32, directory: &Path) -> Result<(), EgressError> {
        match &self.carrier {
            By::Pasta(pasta) => self.start_pasta(pasta, process, directory),
            By::Minirun | By::Slirp(_) => Ok(()),
        }
    }

    fn start_pasta(&self, pasta: &Path, process: i32, directory: &Path) -> Result<(), EgressError> {
        // A directory of its own: pasta reads several removals at once, and looks at the first only.
        let alone = directory.join("pasta");
        fs::create_dir_all(&alone).on("mkdir", &alone)?;
        let link = alone.join("netns");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(format!("/proc/{process}/ns/net"), &link).on("symlink", &link)?;
        let network = &self.network;
        let (said, mut command) = command(pasta, Path::new("/"))?;
        command.args(["--config-net", "--quiet", "--ns-ifname", &network.device]);
        if !self.host_loopback {
            command.arg("--no-map-gw");
        }
        command.args(["--address", &network.v4.to_string(), "--netmask", "24"]);
        command.args(["--gateway", &network.gateway_v4.to_string(), "--dns-forward", &network.dns.to_string()]);
        command.args(["--address", &network.v6.to_string(), "--gateway", &network.gateway_v6.to_string()]);
        // Nothing comes in through it: published ports are the monitor's.
        command.args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"]);
        if rustix::process::geteuid().is_root() {
            // Else it becomes nobody, who may not enter the user namespace.
            command.args(["--runas", "0"]);
        }
        command.arg("--userns").arg(format!("/proc/{process}/ns/user")).arg("--netns").arg(&link);
        let mut child = command.spawn().on("execve", pasta)?;
        // It goes to the background when all is set up.
        let pidfd = rustix::process::Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pidfd, rustix::process::PidfdFlags::empty()).on("pidfd_open", "")?;
        if is_ready(&pidfd) && child.wait().is_ok_and(|status| status.success()) {
            return Ok(());
        }
        Err(refused(pasta, child, said))
    }
}

/// A process that stays in the host's network when the monitor leaves it, to start slirp4netns from there.
pub(crate) struct StandIn {
    pid: i32,
    socket: OwnedFd,
}

/// The connection to slirp4netns, which runs until the last copy of `held` is closed.
pub(crate) struct Carrier {
    /// Every message is one Ethernet frame, both ways.
    pub frames: OwnedFd,
    pub held: OwnedFd,
}

/// The file in the container's runtime directory that holds the reason why there is no way out.
pub(crate) const COMPLAINT: &str = "no-way-out";

impl StandIn {
    /// The caller has one thread, and nothing open that matters to a process that keeps only its end of a socket.
    pub(crate) fn fork(way: &Way, directory: &Path) -> Result<Self, SysError> {
        let (ours, theirs) = socket::pair()?;
        match process::fork()? {
            Fork::Parent(pid) => Ok(Self { pid, socket: ours }),
            Fork::Child => {
                process::die_with_parent(libc::SIGKILL);
                process::set_name(c"minirun: egress");
                descriptor::run_with_one_descriptor(theirs, |socket| stand_in(socket, way, directory))
            }
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Lets it begin, with the other side of the device if it is to hold that.
    pub(crate) fn wake(&self, device: Option<&OwnedFd>) -> Result<(), SysError> {
        let device: Vec<_> = device.iter().map(|fd| fd.as_raw_fd()).collect();
        socket::send(self.socket.as_fd(), b"w", &device)
    }

    /// Waits for its end.
    pub(crate) fn reap(self) {
        let _ = process::wait(self.pid);
    }

    /// Waits until slirp4netns runs. Returns `None` if it could not be started; the reason is in [`COMPLAINT`].
    pub(crate) fn answer(self) -> Option<Carrier> {
        let mut byte = [0; 1];
        let answer = socket::receive(self.socket.as_fd(), &mut byte);
        let _ = process::wait(self.pid);
        let (_, mut descriptors) = answer.ok()??;
        let held = descriptors.pop()?;
        Some(Carrier { frames: descriptors.pop()?, held })
    }
}

fn stand_in(socket: &OwnedFd, way: &Way, directory: &Path) {
    let mut byte = [0; 1];
    // The end of the conversation is the end of the monitor.
    let Ok(Some((_, mut descriptors))) = socket::receive(socket.as_fd(), &mut byte) else { return };
    let ended = match &way.carrier {
        By::Minirun => descriptors.pop().map_or(Ok(()), |device| carry(&device, socket, way)),
        By::Slirp(program) => {
            if !rustix::process::geteuid().is_root() {
                // With shifted ids it is the host's root, who is nobody here, and could not lock itself in.
                let _ = userns::keep_capabilities();
            }
            start_slirp(program, directory, way.host_loopback).map(|carrier| {
                let _ = socket::send(socket.as_fd(), b"c", &[carrier.frames.as_raw_fd(), carrier.held.as_raw_fd()]);
            })
        }
        By::Pasta(_) => Ok(()),
    };
    if let Err(error) = ended {
        let _ = fs::write(directory.join(COMPLAINT), error.note());
    }
}

/// Is the way out until the monitor ends.
fn carry(device: &OwnedFd, monitor: &OwnedFd, way: &Way) -> Result<(), EgressError> {
    userns::keep_no_capability()?;
    // The change of rights has made the kernel forget this.
    process::die_with_parent(libc::SIGKILL);
    process::raise_descriptor_limit();
    crate::sys::memory::map_large_blocks();
    super::way_out::run(device, monitor, way.network(), way.host_loopback).on("epoll_wait", "the way out")?;
    Ok(())
}

/// Starts slirp4netns, which listens for frames on a socket in the file system: abstract names belong to a network namespace.
fn start_slirp(slirp: &Path, directory: &Path, host_loopback: bool) -> Result<Carrier, EgressError> {
    const SOCKET: &str = "egress";
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).on("pipe2", "");
    let ((ready, tell_ready), (watched, held)) = (pipe()?, pipe()?);
    let (said, mut command) = command(slirp, directory)?;
    for (option, fd) in [("--ready-fd", &tell_ready), ("--exit-fd", &watched)] {
        rustix::io::fcntl_setfd(fd, FdFlags::empty()).on("fcntl", option)?;
        command.arg(format!("{option}={}", fd.as_raw_fd()));
    }
    command.arg("--target-type=bess").arg(format!("--mtu={MTU}"));
    if !host_loopback {
        command.arg("--disable-host-loopback");
    }
    command.args(["--enable-sandbox", "--enable-seccomp", SOCKET]);
    let mut child = command.spawn().on("execve", slirp)?;
    drop((tell_ready, watched));
    let path = directory.join(SOCKET);
    let begun = Instant::now();
    let frames = loop {
        match socket::connect(&path) {
            Ok(frames) => break frames,
            Err(_) if begun.elapsed() > Duration::from_secs(10) || !matches!(child.try_wait(), Ok(None)) => {
                return Err(refused(slirp, child, said));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let _ = fs::remove_file(&path);
    let mut byte = [0; 1];
    if is_ready(&ready) && matches!(rustix::io::read(&ready, &mut byte), Ok(1)) {
        return Ok(Carrier { frames, held });
    }
    Err(refused(slirp, child, said))
}

/// Prepares a command that outlives this one, out of reach of its terminal, with its standard error in memory.
fn command(program: &Path, directory: &Path) -> Result<(File, Command), EgressError> {
    let said = rustix::fs::memfd_create("said", rustix::fs::MemfdFlags::CLOEXEC).on("memfd_create", "said")?;
    let said = File::from(said);
    let errors = said.try_clone().on("dup", "said")?;
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).current_dir(directory).process_group(0);
    Ok((said, command))
}

fn refused(program: &Path, mut child: Child, mut said: File) -> EgressError {
    let _ = child.kill();
    let _ = child.wait();
    let mut text = String::new();
    let _ = said.rewind().and_then(|()| said.read_to_string(&mut text));
    // Without a system logger pasta complains of that too.
    let line = text.lines().rfind(|line| !line.trim().is_empty() && !line.starts_with("Failed to send"));
    let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    EgressError::Refused { program, said: line.unwrap_or("nothing").trim().to_owned() }
}

fn is_ready(fd: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&PATIENCE)).is_ok_and(|ready| ready > 0)
}
