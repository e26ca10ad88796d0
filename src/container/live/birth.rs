//! The birth of a container's first process: the clone, and the conversation until it has become the payload.

use super::init;
use super::job::Job;
use super::pty::Pty;
use super::streams::Streams;
use crate::container::agent::Agent;
use crate::container::plan::namespaces::namespace_flags;
use crate::container::plan::step::Step;
use crate::container::plan::{Plan, StepFailed, Walk};
use crate::container::protocol::{Call, End, Failure, Message, Stage, Stream, Task};
use crate::network::egress::Way;
use crate::sys::{On, SysError, descriptor, memfd, process};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A first process that has become the payload.
pub(super) struct Born {
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub terminal: Option<Pty>,
    /// Where there is one id only, who answers about owners.
    pub agent: Option<Agent>,
}

/// A first process that carries out its steps.
pub(super) struct Unborn<'a> {
    plan: &'a Plan,
    born: Born,
    end: End,
    /// The client that is told of each step.
    told: Option<&'a End>,
    /// The client that makes the way out.
    egress: Option<&'a End>,
}

impl<'a> Unborn<'a> {
    /// Clones the first process. The client is needed only where it has asked for the steps, or makes the way out.
    pub(super) fn clone(
        job: &'a Job,
        mut walk: Walk,
        group: Option<File>,
        streams: Option<&[OwnedFd; 3]>,
        client: Option<&'a End>,
    ) -> Result<Self, Failure> {
        let plan = &job.plan;
        let number = plan.outside.len() as u32 - 1;
        let failed = |error: SysError| Failure::of_step(number, &error);
        let Some(Step::Clone { namespaces }) = plan.outside.last() else {
            return Err(Failure { stage: Stage::Step(number), call: Call::Clone3, errno: libc::EINVAL });
        };
        let told = client.filter(|_| job.told);
        let egress = client.filter(|_| awaits_egress(job));
        let (ours, theirs) = End::pair().map_err(failed)?;
        let begun = Instant::now();
        // Others see the child in a PID namespace of theirs, and might trace it before it has given up its rights.
        if plan.outside.iter().any(|step| matches!(step, Step::JoinNamespaces { .. })) {
            process::set_dumpable(false);
        }
        let born = process::clone3(namespace_flags(namespaces), group.as_ref().map(AsFd::as_fd)).map_err(failed)?;
        let Some(child) = born else {
            drop(ours);
            // No directory of the host stays open: an image could name it as its working directory (CVE-2024-21626).
            drop(group);
            for (stream, fd) in descriptor::STREAMS.into_iter().zip(streams.into_iter().flatten()) {
                let _ = stream.replace(fd.as_fd());
            }
            init::walk(&plan.inside, number + 1, walk, &theirs, told.is_some(), egress.is_some());
        };
        if let Some(client) = told {
            did(client, number, begun.elapsed(), None);
        }
        walk.agent.iter_mut().for_each(Agent::leave_to_child);
        let born = Born { pid: child.pid, pidfd: child.pidfd, terminal: None, agent: walk.agent.take() };
        // No mount of the host is held for longer than the container needs it.
        drop((theirs, walk));
        Ok(Self { plan, born, end: ours, told, egress })
    }

    /// Follows it until it has become the payload, or ends it.
    pub(super) fn follow(mut self) -> Result<Born, Failure> {
        match self.hear() {
            Ok(()) => Ok(self.born),
            Err(failure) => {
                self.kill();
                Err(failure)
            }
        }
    }

    pub(super) fn kill(&self) {
        let _ = process::kill_pidfd(self.born.pidfd.as_fd(), libc::SIGKILL);
        let _ = process::wait(self.born.pid);
    }

    /// Hears it until it closes its end of the conversation, as it becomes the payload.
    fn hear(&mut self) -> Result<(), Failure> {
        let last = self.plan.steps().count() as u32 - 1;
        let lost = |error: SysError| Task::WatchFirstProcess.failed(&error);
        let no_answer = |errno| Failure { stage: Stage::Task(Task::WatchFirstProcess), call: Call::Recvmsg, errno };
        let mut going = None;
        loop {
            match self.end.receive().map_err(lost)? {
                Some((Message::Did { step, micros, skipped }, _)) => {
                    if let Some(client) = self.told {
                        let _ = client.send(&Message::Did { step, micros, skipped });
                    }
                }
                Some((Message::Born { pid }, _)) => {
                    let ended = std::mem::replace(&mut self.born.pid, pid as i32);
                    self.born.pidfd = process::pidfd_open(self.born.pid).map_err(lost)?;
                    process::wait(ended).map_err(lost)?;
                }
                Some((Message::Terminal, mut descriptors)) => {
                    self.born.terminal = descriptors.pop().map(Pty::new).transpose().map_err(lost)?;
                }
                Some((Message::Ready, _)) => {
                    if let Some(client) = self.egress {
                        let Ok(Some((Message::EgressUp, _))) = client.receive() else {
                            return Err(no_answer(libc::ECANCELED));
                        };
                        let _ = crate::network::CONTAINER.ensure_addresses();
                    }
                    going = Some(Instant::now());
                    if self.egress.is_some() {
                        self.end.send(&Message::Go).map_err(lost)?;
                    }
                }
                Some((Message::Failed(failure), _)) => return Err(failure),
                Some(_) => return Err(no_answer(libc::EPROTO)),
                None => match going {
                    Some(begun) => {
                        if let Some(client) = self.told {
                            did(client, last, begun.elapsed(), None);
                        }
                        return Ok(());
                    }
                    // It died in set-up without a word: killed from outside.
                    None => {
                        let stage = Stage::Task(Task::LostFirstProcess);
                        return Err(Failure { stage, call: Call::Recvmsg, errno: libc::ECONNRESET });
                    }
                },
            }
        }
    }
}

/// Whether the client makes the way out before the payload starts.
pub(super) fn awaits_egress(job: &Job) -> bool {
    job.egress.as_ref().is_some_and(Way::is_awaited)
}

/// Tells the client of a step that was carried out.
pub(super) fn did(client: &End, step: u32, took: Duration, skipped: Option<i32>) {
    let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
    let _ = client.send(&Message::Did { step, micros, skipped: skipped.map_or(0, i32::unsigned_abs) });
}

pub(super) fn open_group(job: &Job) -> Result<Option<File>, Failure> {
    let group = job.cgroup.as_ref().map(|path| File::open(path).on("open", path)).transpose();
    group.map_err(|error| Task::OpenCgroup.failed(&error))
}

pub(super) fn read_job(file: &File) -> Result<Job, SysError> {
    let text = memfd::read(file.try_clone().on("dup", "job")?, "job")?;
    serde_json::from_slice(&text).map_err(|_| SysError { call: "read", subject: "job".into(), errno: libc::EPROTO })
}

/// All that a container's next process is made from, kept by its monitor.
pub(super) struct Supplies {
    job: File,
    streams: Option<[OwnedFd; 3]>,
    outputs: Vec<(OwnedFd, Stream)>,
    trees: Vec<Attached>,
}

impl Supplies {
    /// Keeps what every start takes. `runtime`: a directory for mount points.
    pub(super) fn new(
        job: File,
        streams: Option<&Streams>,
        trees: VecDeque<OwnedFd>,
        runtime: &Path,
    ) -> Result<Self, SysError> {
        let copy = |fd: &OwnedFd| fd.try_clone().on("dup", "a stream");
        let (mut ends, mut outputs) = (None, Vec::new());
        if let Some(streams) = streams {
            let [input, output, errors] = &streams.theirs;
            ends = Some([copy(input)?, copy(output)?, copy(errors)?]);
            for (fd, stream) in &streams.outputs {
                outputs.push((copy(fd)?, *stream));
            }
        }
        let trees = trees.into_iter().enumerate();
        let attached = trees.map(|(number, tree)| Attached::new(tree, &runtime.join("trees").join(number.to_string())));
        Ok(Self { job, streams: ends, outputs, trees: attached.collect::<Result<_, _>>()? })
    }

    /// Returns copies of the mounts that the host's root has made, which a start uses up.
    pub(super) fn trees(&self) -> Result<VecDeque<OwnedFd>, SysError> {
        self.trees.iter().map(Attached::copy).collect()
    }

    /// Returns the read ends of the process's output.
    pub(super) fn outputs(&self) -> Result<Vec<(OwnedFd, Stream)>, SysError> {
        self.outputs.iter().map(|(fd, stream)| Ok((fd.try_clone().on("dup", "a stream")?, *stream))).collect()
    }

    /// Starts the container's process again.
    pub(super) fn start(&self) -> Result<Born, StepFailed> {
        let read = read_job(&self.job);
        let nothing = Plan { outside: Vec::new(), inside: Vec::new() };
        let job = read.map_err(|error| nothing.failure(Task::ReadJob.failed(&error)))?;
        let again = || {
            for fd in self.streams.iter().flatten() {
                // The flags of a pipe outlive the process that has set them.
                let _ = rustix::io::ioctl_fionbio(fd, false);
            }
            let trees = self.trees().map_err(|error| Task::OpenStore.failed(&error))?;
            let mut walk = Walk { size: job.size, trees, ..Walk::default() };
            for (number, step) in (0..).zip(&job.plan.outside) {
                if matches!(step, Step::UserNamespace { .. } | Step::Agent) {
                    step.apply(&mut walk).map_err(|error| Failure::of_step(number, &error))?;
                }
            }
            Unborn::clone(&job, walk, open_group(&job)?, self.streams.as_ref(), None)?.follow()
        };
        again().map_err(|failure| job.plan.failure(failure))
    }
}

/// A mount that is attached in the monitor's mount namespace, because only such a mount can be copied.
struct Attached {
    tree: OwnedFd,
    place: PathBuf,
}

impl Attached {
    fn new(tree: OwnedFd, place: &Path) -> Result<Self, SysError> {
        let above = place.parent().unwrap_or(place);
        fs::create_dir_all(above).on("mkdir", above)?;
        let mode = rustix::fs::fstat(&tree).on("fstat", place)?.st_mode;
        if mode & libc::S_IFMT == libc::S_IFDIR {
            fs::create_dir(place).on("mkdir", place)?;
        } else {
            File::create(place).on("open", place)?;
        }
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&tree, "", rustix::fs::CWD, place, flags).on("move_mount", place)?;
        Ok(Self { tree, place: place.to_owned() })
    }

    fn copy(&self) -> Result<OwnedFd, SysError> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        open_tree(&self.tree, "", flags).on("open_tree", &self.place)
    }
}

impl Drop for Attached {
    /// The directory can be removed only when nothing is mounted on it.
    fn drop(&mut self) {
        let _ = unmount(&self.place, UnmountFlags::DETACH);
    }
}
