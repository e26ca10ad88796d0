//! The way out of a container: a program of the host that carries its packets, slirp4netns, else pasta.
//!
//! It runs in the host's network, and must end with the container, whose monitor may be killed at any time. slirp4netns
//! watches a pipe that the monitor holds, and is started when the first packet wants out ([`super::uplink`]): by a process
//! that stayed behind in the host's network, for the monitor has left it. pasta is started by the client and watches the
//! name of the namespace that it was given: a link in the container's runtime directory, which goes when the container
//! ends, or when it is swept up.

use super::CONTAINER;
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

/// The name of the container's device.
pub(crate) const DEVICE: &str = "eth0";
/// The largest MTU of slirp4netns.
pub(crate) const MTU: u32 = 65520;
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("containers have no way out: neither slirp4netns nor pasta is installed")]
    NotInstalled,
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
            Self::NotInstalled => {
                "published ports work without; for the rest: apt install slirp4netns, or dnf install passt".into()
            }
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

/// The program that is the way out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Way {
    /// Started when the first packet wants out.
    Slirp(PathBuf),
    /// Started before the payload, which waits for it.
    Pasta(PathBuf),
}

impl Way {
    /// Finds the program that this host has, the leaner first: slirp4netns keeps 0.3 MB for itself where pasta keeps 29, is up in a tenth of
    /// the time, and ends with the monitor even if that is killed. pasta moves more bytes, and knows IPv6.
    pub fn find() -> Result<Self, EgressError> {
        let slirp = || userns::program("slirp4netns").map(Self::Slirp);
        let way = slirp().or_else(|| userns::program("pasta").map(Self::Pasta)).ok_or(EgressError::NotInstalled)?;
        let opened = OpenOptions::new().read(true).write(true).open(tun::PATH);
        opened.on("open", tun::PATH).map_err(EgressError::NoTun)?;
        Ok(way)
    }
}

/// Gives the network namespace of `process` a way out by pasta, and waits until it works. `directory` must be removed when
/// the container has ended.
pub(crate) fn start_pasta(pasta: &Path, process: i32, directory: &Path) -> Result<(), EgressError> {
    let link = directory.join("netns");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(format!("/proc/{process}/ns/net"), &link).on("symlink", &link)?;
    let network = CONTAINER;
    let (said, mut command) = command(pasta, Path::new("/"))?;
    command.args(["--config-net", "--quiet", "--no-map-gw", "--ns-ifname", DEVICE]);
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
    pub(crate) fn fork(slirp: &Path, directory: &Path) -> Result<Self, SysError> {
        let (ours, theirs) = socket::pair()?;
        match process::fork()? {
            Fork::Parent(pid) => Ok(Self { pid, socket: ours }),
            Fork::Child => {
                process::die_with_parent(libc::SIGKILL);
                process::set_name(c"minirun: egress");
                descriptor::run_with_one_descriptor(theirs, |socket| stand_in(socket, slirp, directory))
            }
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn wake(&self) -> Result<(), SysError> {
        socket::send(self.socket.as_fd(), b"w", &[])
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

fn stand_in(socket: &OwnedFd, slirp: &Path, directory: &Path) {
    let mut byte = [0; 1];
    // The end of the conversation is the end of the monitor.
    if !matches!(socket::receive(socket.as_fd(), &mut byte), Ok(Some(_))) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        // With shifted ids it is the host's root, who is nobody here, and could not lock itself in.
        let _ = userns::keep_capabilities();
    }
    match start_slirp(slirp, directory) {
        Ok(carrier) => {
            let _ = socket::send(socket.as_fd(), b"c", &[carrier.frames.as_raw_fd(), carrier.held.as_raw_fd()]);
        }
        Err(error) => {
            let _ = fs::write(directory.join(COMPLAINT), error.note());
        }
    }
}

/// Starts slirp4netns, which listens for frames on a socket in the file system: abstract names belong to a network namespace.
fn start_slirp(slirp: &Path, directory: &Path) -> Result<Carrier, EgressError> {
    const SOCKET: &str = "egress";
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).on("pipe2", "");
    let ((ready, tell_ready), (watched, held)) = (pipe()?, pipe()?);
    let (said, mut command) = command(slirp, directory)?;
    for (option, fd) in [("--ready-fd", &tell_ready), ("--exit-fd", &watched)] {
        rustix::io::fcntl_setfd(fd, FdFlags::empty()).on("fcntl", option)?;
        command.arg(format!("{option}={}", fd.as_raw_fd()));
    }
    command.arg("--target-type=bess").arg(format!("--mtu={MTU}"));
    command.args(["--disable-host-loopback", "--enable-sandbox", "--enable-seccomp", SOCKET]);
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
