//! The way out of a container: a program of the host that carries its packets, pasta, else slirp4netns.
//!
//! It runs in the host's network, outside the user namespace, and must end with the container, whose monitor may be killed
//! at any time. slirp4netns watches a pipe that the monitor holds. pasta watches the name of the namespace that it was
//! given: a link in the container's runtime directory, which goes when the container ends, or when it is swept up.

use super::CONTAINER;
use crate::diag::Diagnose;
use crate::sys::{On, SysError};
use crate::userns;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::pipe::PipeFlags;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What the container calls its device.
const DEVICE: &str = "eth0";
const TUN: &str = "/dev/net/tun";
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("containers have no way out: neither pasta nor slirp4netns is installed")]
    NotInstalled,
    #[error("containers have no way out")]
    NoTun(#[source] SysError),
    #[error("the container has no way out: {program} says: {said}")]
    Refused { program: String, said: String },
    #[error("the container has no way out")]
    Sys(#[from] SysError),
}

impl Diagnose for EgressError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotInstalled => {
                "published ports work without; for the rest: apt install passt, or dnf install passt".into()
            }
            Self::NoTun(error) if error.errno == libc::EACCES => format!("as root: chmod 666 {TUN}"),
            Self::NoTun(_) => "as root: modprobe tun".into(),
            Self::Refused { .. } => "published ports work without; --network none does not ask for it".into(),
            Self::Sys(_) => return None,
        })
    }
}

impl EgressError {
    /// One line: the container runs without.
    pub fn note(&self) -> String {
        let cause = std::error::Error::source(self).map(|cause| format!(": {cause}")).unwrap_or_default();
        let hint = self.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("note: {self}{cause}{hint}")
    }
}

/// The programs that can be the way out, the best first.
#[derive(Debug, Clone)]
pub struct Way(Vec<Program>);

#[derive(Debug, Clone)]
struct Program {
    kind: Kind,
    path: PathBuf,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Pasta,
    Slirp,
}

/// What the monitor holds for as long as the container lives; the way out ends when nobody holds it.
pub type Held = Option<OwnedFd>;

impl Way {
    /// What this host offers, the leaner first: slirp4netns keeps 1 MB for itself where pasta keeps 29, is up in a quarter of
    /// the time, and ends with the monitor even if that is killed. pasta moves more bytes, and knows IPv6.
    pub fn find() -> Result<Self, EgressError> {
        let kinds = [(Kind::Slirp, "slirp4netns"), (Kind::Pasta, "pasta")];
        let found = kinds.into_iter().filter_map(|(kind, name)| Some(Program { kind, path: userns::program(name)? }));
        let programs: Vec<Program> = found.collect();
        if programs.is_empty() {
            return Err(EgressError::NotInstalled);
        }
        OpenOptions::new().read(true).write(true).open(TUN).on("open", TUN).map_err(EgressError::NoTun)?;
        Ok(Self(programs))
    }

    /// Gives the network namespace of `process` a way out, and waits until it works. `directory` must be removed when the
    /// container has ended.
    pub fn start(&self, process: i32, directory: &Path) -> Result<Held, EgressError> {
        let mut outcome = Err(EgressError::NotInstalled);
        for program in &self.0 {
            outcome = match program.kind {
                Kind::Pasta => program.start_pasta(process, directory).map(|()| None),
                Kind::Slirp => program.start_slirp(process).map(Some),
            };
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}

impl Program {
    fn start_pasta(&self, process: i32, directory: &Path) -> Result<(), EgressError> {
        let link = directory.join("netns");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(format!("/proc/{process}/ns/net"), &link).on("symlink", &link)?;
        let network = CONTAINER;
        let (said, mut command) = self.command()?;
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
        let mut child = command.spawn().on("execve", &self.path)?;
        // It goes to the background when all is set up.
        let pidfd = rustix::process::Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pidfd, rustix::process::PidfdFlags::empty()).on("pidfd_open", "")?;
        if is_ready(&pidfd) && child.wait().is_ok_and(|status| status.success()) {
            return Ok(());
        }
        Err(self.refused(child, said))
    }

    fn start_slirp(&self, process: i32) -> Result<OwnedFd, EgressError> {
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).on("pipe2", "");
        let ((ready, tell_ready), (watched, held)) = (pipe()?, pipe()?);
        let (said, mut command) = self.command()?;
        for (option, fd) in [("--ready-fd", &tell_ready), ("--exit-fd", &watched)] {
            rustix::io::fcntl_setfd(fd, FdFlags::empty()).on("fcntl", option)?;
            command.arg(format!("{option}={}", fd.as_raw_fd()));
        }
        command.args(["--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp"]);
        let child = command.arg(process.to_string()).arg(DEVICE).spawn().on("execve", &self.path)?;
        drop((tell_ready, watched));
        let mut byte = [0; 1];
        if is_ready(&ready) && matches!(rustix::io::read(&ready, &mut byte), Ok(1)) {
            return Ok(held);
        }
        Err(self.refused(child, said))
    }

    /// A command that outlives this one, so is out of reach of its terminal, and complains into memory.
    fn command(&self) -> Result<(File, Command), EgressError> {
        let said = rustix::fs::memfd_create("said", rustix::fs::MemfdFlags::CLOEXEC).on("memfd_create", "said")?;
        let said = File::from(said);
        let errors = said.try_clone().on("dup", "said")?;
        let mut command = Command::new(&self.path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).current_dir("/").process_group(0);
        Ok((said, command))
    }

    fn refused(&self, mut child: Child, mut said: File) -> EgressError {
        let _ = child.kill();
        let _ = child.wait();
        let mut text = String::new();
        let _ = said.rewind().and_then(|()| said.read_to_string(&mut text));
        // Without a system logger pasta complains of that too.
        let line = text.lines().rfind(|line| !line.trim().is_empty() && !line.starts_with("Failed to send"));
        let program = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        EgressError::Refused { program, said: line.unwrap_or("nothing").trim().to_owned() }
    }
}

fn is_ready(fd: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&PATIENCE)).is_ok_and(|ready| ready > 0)
}
