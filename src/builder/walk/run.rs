//! RUN: a container of the engine itself, whose process this build follows and whose upper directory it keeps.

use super::cache;
use super::cache::Inputs;
use super::engine::Builder;
use super::layers::Made;
use super::state::argv;
use crate::builder::files::glob::{Ignore, clean};
use crate::builder::files::tree::Laying;
use crate::builder::read::instruction::Run;
use crate::builder::read::mount::{InvalidMount, Kind, Mount, Sharing, mount};
use crate::builder::{BuildError, StepError};
use crate::container::decide::create;
use crate::container::decide::spec;
use crate::container::decide::spec::{Bind, Facts};
use crate::container::live::cgroup;
use crate::container::live::job::Job;
use crate::container::live::launch;
use crate::container::live::launch::Silent;
use crate::container::plan::{Plan, Surroundings};
use crate::container::protocol::End;
use crate::container::request::capability;
use crate::container::request::id::ContainerId;
use crate::container::request::{Network, Request, Tmpfs};
use crate::container::rootfs::layering::{Layering, Overlay};
use crate::container::rootfs::root::Root;
use crate::container::rootfs::shift;
use crate::image::name::digest::Digest;
use crate::image::overlay::owner::Stat;
use crate::network::egress;
use crate::network::resolv::HostEntry;
use crate::store::Lock;
use crate::sys::{On, process};
use crate::userns::Place;
use rustix::fs::{CWD, OFlags};
use rustix::mount::{MoveMountFlags, UnmountFlags};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What every build may be given without an ARG, and what does not count as an input.
pub(crate) const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// What a RUN's machine is called, as with BuildKit: the host's name is none of its business.
const HOSTNAME: &str = "buildkitsandbox";

/// A RUN's `/etc/hosts`, which has nothing of the host's.
fn hosts(request: &Request) -> String {
    // In the host's own network the way to the host is short.
    let gateway = match request.network {
        Network::Private => crate::network::CONTAINER.gateway_v4,
        Network::Host | Network::None => Ipv4Addr::LOCALHOST,
    };
    let mut text = format!("127.0.0.1\tlocalhost {HOSTNAME}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for HostEntry { name, address } in &request.hosts {
        text += &format!("{}\t{name}\n", address.resolve(gateway));
    }
    text
}

/// Programs read one spelling or the other: whichever is given counts for both.
fn proxy<'a>(build_args: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let other = if name.starts_with(|c: char| c.is_ascii_uppercase()) {
        name.to_ascii_lowercase()
    } else {
        name.to_ascii_uppercase()
    };
    build_args.get(name).or_else(|| build_args.get(&other)).map(String::as_str)
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RunNetwork {
    /// Its own with a way out, as a container of `run` has it; the host's where there is no program for such a way.
    #[default]
    Own,
    /// The host's: all services on its loopback are within reach, and all abstract sockets.
    Host,
    None,
}

/// A RUN with its variables replaced.
pub(crate) struct Prepared {
    argv: Vec<String>,
    script: Option<(String, String)>,
    pub mounts: Vec<Mount>,
    pub network: RunNetwork,
    /// What the history says of it.
    pub row: String,
}

pub(crate) fn prepare(builder: &mut Builder, number: usize, run: &Run) -> Result<Prepared, StepError> {
    let escape = builder.plan.source.directives.escape;
    let network = match run.network.as_deref() {
        None | Some("default") => builder.options.network,
        Some("host") if builder.options.allows_host_network => RunNetwork::Host,
        Some("host") => return Err(InvalidMount::HostNetwork.into()),
        Some("none") => RunNetwork::None,
        Some(other) => return Err(InvalidMount::Network(other.into()).into()),
    };
    let state = builder.state(number);
    let mut mounts = Vec::new();
    for text in state.words(escape, &mut run.mounts.iter().map(String::as_str))? {
        mounts.push(mount(&text)?);
    }
    let argv = argv(&run.command, &state.shell());
    // As Docker counts them: those that the command sees.
    let seen: Vec<String> = state.args().map(|(name, value)| format!("{name}={value}")).collect();
    let arguments = if seen.is_empty() { String::new() } else { format!("|{} {} ", seen.len(), seen.join(" ")) };
    let mounted: String = run.mounts.iter().map(|mount| format!("--mount={mount} ")).collect();
    let row = format!("RUN {arguments}{mounted}{}", argv.join(" "));
    Ok(Prepared { argv, script: run.script.clone(), mounts, network, row })
}

/// All that the result depends on: secrets and caches do not count.
pub(crate) fn inputs(builder: &mut Builder, number: usize, prepared: &Prepared) -> Result<Inputs, BuildError> {
    let mounted: String = prepared.mounts.iter().map(|mount| format!("--mount={} ", mount.text)).collect();
    let mut what = format!("RUN {mounted}{}", prepared.argv.join(" "));
    if let Some((_, script)) = &prepared.script {
        what = format!("{what}\n{script}");
    }
    if prepared.network == RunNetwork::None {
        what = format!("{what} (without network)");
    }
    let mut inputs = builder.inputs(number, what);
    let state = builder.state(number);
    inputs.values.extend(state.args().map(|(name, value)| (format!("ARG {name}"), value.to_owned())));
    inputs.values.extend(state.env().map(|(name, value)| (format!("ENV {name}"), value.to_owned())));
    for (name, value) in [("USER", state.user()), ("WORKDIR", state.working_directory())] {
        inputs.values.insert(name.to_owned(), value.to_owned());
    }
    for mount in prepared.mounts.iter().filter(|mount| mount.kind == Kind::Bind) {
        match &mount.from {
            Some(from) if builder.plan.named.files(from).is_none() => {
                let chain = builder.chain_of(number, from)?;
                inputs.values.insert(format!("stage {from}"), chain.to_string());
            }
            from => {
                let found = builder.tree(number, from.as_deref());
                let found = found.and_then(|tree| Ok(tree.select(&mount.source, &Ignore::default(), false)?));
                // What is missing, the mount itself will tell.
                for one in found.into_iter().flatten() {
                    if let Ok(digests) = one.digests(&mut builder.memo) {
                        inputs.files.extend(digests);
                    }
                }
            }
        }
    }
    Ok(inputs)
}

/// A RUN that goes on.
pub(crate) struct Running {
    pub end: End,
    pub made: Made,
    /// It has limits.
    group: Option<Group>,
    _beside: Beside,
    _locks: Vec<Lock>,
}

impl Running {
    /// Whether a process of it was killed for want of memory.
    pub(crate) fn lacked_memory(&self) -> bool {
        self.group.as_ref().is_some_and(|group| cgroup::was_out_of_memory(&group.0))
    }
}

/// A control group, gone with the RUN that it limits.
struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        cgroup::remove(&self.0);
    }
}

/// What a RUN sees beside the stage's files.
#[derive(Default)]
struct Beside {
    /// Source, target, read-only.
    binds: Vec<Bind>,
    tmpfs: Vec<Tmpfs>,
    env: Vec<String>,
    /// Mounted for it, and let go of afterwards.
    views: Vec<PathBuf>,
    locks: Vec<Lock>,
}

impl Drop for Beside {
    fn drop(&mut self) {
        for view in &self.views {
            let _ = rustix::mount::unmount(view, UnmountFlags::DETACH);
        }
    }
}

/// With a failure comes back what it was to be made of.
pub(crate) fn start(
    builder: &mut Builder,
    number: usize,
    prepared: &Prepared,
    mut made: Made,
    locks: &mut Vec<Lock>,
) -> Result<Running, (StepError, Box<Made>)> {
    match launch(builder, number, prepared, &mut made) {
        Ok((end, group, beside)) => Ok(Running { end, made, group, _beside: beside, _locks: std::mem::take(locks) }),
        Err(error) => Err((error, Box::new(made))),
    }
}

fn launch(
    builder: &mut Builder,
    number: usize,
    prepared: &Prepared,
    made: &mut Made,
) -> Result<(End, Option<Group>, Beside), StepError> {
    let mut beside = Beside::default();
    for mount in &prepared.mounts {
        add(builder, number, mount, &mut beside)?;
    }
    if let Some((path, text)) = &prepared.script {
        let file = builder.store.path(&made.directory).join("script");
        fs::write(&file, text).on("write", &file)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).on("chmod", &file)?;
        let source = file.to_string_lossy().into_owned();
        beside.binds.push(Bind { source, target: path.clone(), read_only: true });
    }
    let state = builder.state(number).clone();
    let image = state.as_image()?;
    let proxies = PROXIES.iter().filter_map(|name| Some((*name, proxy(&builder.options.build_args, name)?)));
    let mut env: Vec<String> = proxies.chain(state.args()).map(|(name, value)| format!("{name}={value}")).collect();
    env.append(&mut beside.env);
    let egress = match prepared.network {
        RunNetwork::Own => egress::Way::find().ok(),
        RunNetwork::Host | RunNetwork::None => None,
    };
    let network = match prepared.network {
        RunNetwork::Own if egress.is_some() => Network::Private,
        RunNetwork::Own | RunNetwork::Host => Network::Host,
        RunNetwork::None => Network::None,
    };
    let request = Request {
        hostname: Some(HOSTNAME.into()),
        command: prepared.argv.clone(),
        entrypoint: Some(String::new()),
        env,
        tmpfs: std::mem::take(&mut beside.tmpfs),
        network,
        hosts: builder.options.hosts.clone(),
        limits: builder.options.limits.clone(),
        ulimits: builder.options.ulimits.clone(),
        shm_size: builder.options.shm_size,
        ..Request::default()
    };
    let mut layers = builder.layer_directories(&state.layers);
    if layers.is_empty() {
        // An overlay needs something below.
        let empty = builder.directory_alone()?.join("upper");
        layers.push(empty.to_string_lossy().into_owned());
    }
    let user = create::user(builder.store, &request, image.config(), &layers)?;
    let capabilities = capability::choose(&[], &[], false);
    let directory = builder.store.path(&made.directory);
    let id = ContainerId::random();
    // An agent answers its own user only, and knows him by the id that the host sees.
    let asks_agent = prepared.mounts.iter().any(|mount| mount.kind == Kind::Ssh);
    let ids = shift::ids(builder.store, asks_agent)?;
    let facts = Facts {
        id: &id,
        directory: &directory.to_string_lossy(),
        user: &user,
        capabilities: &capabilities,
        binds: &beside.binds,
        ids: &ids,
        sets_apt: create::sets_apt(builder.store, &layers),
    };
    let spec = spec::build(&request, image.config(), &facts).map_err(create::CreateError::from)?;
    for (name, text) in create::own_files(&spec, &request) {
        let text = if name == "hosts" { hosts(&request) } else { text };
        fs::write(directory.join(name), text).on("write", directory.join(name))?;
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(directory.join(name), mode).on("chmod", directory.join(name))?;
    }
    made.leave_out = spec.mounts().iter().flatten().map(|mount| mount.destination().clone()).collect();
    let (single_id, shifted) = (ids.is_single(), launch::shifted(builder.store, &ids));
    // Those that have hashed and unpacked.
    process::await_threads();
    let monitor = launch::prepare(builder.store, "build", ids, Place::Shared)?;
    let placed = cgroup::place(&request.limits, &id, monitor.pid());
    if !std::mem::replace(&mut builder.limits_told, true) {
        // By the name that `build` has for it.
        placed.notes.iter().for_each(|note| builder.listener.note(&note.replace("--cpus", "--cpu-quota")));
    }
    let group = placed.group.map(Group);
    let cgroup = group.as_ref().map(|group| group.0.to_string_lossy().into_owned());
    let part = |name: &str| made.directory.join(name).to_string_lossy().into_owned();
    let around = Surroundings {
        overlay: Overlay {
            lower: layers,
            upper: part("upper"),
            work: part("work"),
            target: part("rootfs"),
            // All of it goes, or becomes a layer, which is flushed as it does.
            volatile: true,
        },
        layering: builder.room()?.layering,
        new_volumes: Vec::new(),
        cgroup: cgroup.clone(),
        single_id,
        shifted,
        reaping_init: false,
    };
    let mut plan = Plan::of_container(&spec, &around).map_err(launch::LaunchError::from)?;
    if let Some(way) = &egress {
        plan.lead_out(way);
    }
    let job = Job {
        plan,
        container: None,
        terminal: false,
        size: None,
        stdin: false,
        ports: Vec::new(),
        egress,
        runtime: directory.clone(),
        cgroup,
        told: false,
        leashed: true,
    };
    let end = launch::converse(monitor, &job, Vec::new(), "build", &mut Silent)?;
    Ok((end, group, beside))
}

fn add(builder: &mut Builder, number: usize, mount: &Mount, beside: &mut Beside) -> Result<(), StepError> {
    let target = |default: String| match &mount.target {
        Some(target) => target.clone(),
        None => default,
    };
    let absolute = |builder: &mut Builder, target: &str| absolute(builder, number, target);
    match mount.kind {
        Kind::Tmpfs => {
            let target = absolute(builder, &target(String::new()));
            let options = mount.size.as_ref().map(|size| format!("size={size}")).unwrap_or_default();
            beside.tmpfs.push(Tmpfs { target, options });
        }
        Kind::Cache => {
            let target = absolute(builder, &target(String::new()));
            let source = shared(builder, number, mount, &target, beside)?;
            beside.binds.push(Bind { source, target, read_only: !mount.writable });
        }
        Kind::Secret => {
            let id = mount.id()?;
            let Some(secret) = builder.options.secrets.iter().find(|secret| secret.id == id) else {
                return if mount.required { Err(InvalidMount::NoSecret(id).into()) } else { Ok(()) };
            };
            if let Some(name) = &mount.env {
                beside.env.push(format!("{name}={}", String::from_utf8_lossy(&secret.contents)));
                if mount.target.is_none() {
                    return Ok(());
                }
            }
            let contents = secret.contents.clone();
            let directory = builder.directory_alone()?;
            let file = builder.store.path(directory).join("upper").join("secret");
            fs::write(&file, contents).on("write", &file)?;
            let stat = Stat { uid: mount.owner.0, gid: mount.owner.1, mode: mount.mode.unwrap_or(0o400) };
            give(builder, &file, stat, false)?;
            let target = target(format!("/run/secrets/{id}"));
            let target = absolute(builder, &target);
            let source = file.to_string_lossy().into_owned();
            beside.binds.push(Bind { source, target, read_only: true });
        }
        Kind::Ssh => {
            let id = mount.id()?;
            let Some((_, socket)) = builder.options.agents.iter().find(|(name, _)| *name == id) else {
                return if mount.required { Err(InvalidMount::NoAgent(id).into()) } else { Ok(()) };
            };
            let socket = socket.to_string_lossy().into_owned();
            let place = format!("/run/buildkit/ssh_agent.{}", beside.env.len());
            let target = absolute(builder, &target(place));
            beside.env.push(format!("SSH_AUTH_SOCK={target}"));
            beside.binds.push(Bind { source: socket, target, read_only: false });
        }
        Kind::Bind => {
            let target = absolute(builder, &target(String::new()));
            let source = match &mount.from {
                // What is written there is thrown away.
                _ if mount.writable => copied(builder, number, mount)?,
                Some(from) if builder.plan.named.files(from).is_none() => {
                    stage(builder, number, from, &mount.source, beside)?
                }
                _ => context(builder, number, mount)?,
            };
            beside.binds.push(Bind { source, target, read_only: !mount.writable });
        }
    }
    Ok(())
}

fn absolute(builder: &mut Builder, number: usize, target: &str) -> String {
    let whole = Path::new(builder.state(number).working_directory()).join(target);
    format!("/{}", clean(&whole.to_string_lossy()))
}

fn give(builder: &mut Builder, path: &Path, stat: Stat, is_directory: bool) -> Result<(), StepError> {
    let owners = builder.room()?.owners.clone();
    let file = File::open(path).on("open", path)?;
    owners.give(&file, stat, is_directory).map_err(|error| crate::builder::files::tree::not_given(error, path).into())
}

/// Where a cache lies that later builds find as this one leaves it.
fn place(builder: &mut Builder, number: usize, mount: &Mount, target: &str) -> Result<PathBuf, StepError> {
    let mounts = builder.store.path(cache::DIRECTORY).join("mounts");
    fs::create_dir_all(&mounts).on("mkdir", &mounts)?;
    let id = mount.id.as_deref().unwrap_or(target);
    // What began as something else is another directory.
    let origin = match &mount.from {
        None => String::new(),
        Some(from) => match builder.plan.named.files(from) {
            Some(files) => format!("\n{}\n{}", files.directory.display(), clean(&mount.source)),
            None => format!("\n{}\n{}", builder.chain_of(number, from)?, clean(&mount.source)),
        },
    };
    // Whoever it was made for must be able to write there.
    let Mount { owner: (uid, gid), mode, .. } = mount;
    let made = match (uid, gid, mode) {
        (0, 0, None) => String::new(),
        (uid, gid, mode) => format!("\n{uid}:{gid}:{:o}", mode.unwrap_or(0o755)),
    };
    Ok(mounts.join(Digest::of(format!("{id}{origin}{made}").as_bytes()).hex()))
}

/// Takes all caches that one RUN at a time may use. `None`: another has one of them.
pub(crate) fn lock(builder: &mut Builder, number: usize, prepared: &Prepared) -> Result<Option<Vec<Lock>>, StepError> {
    let mut locks = Vec::new();
    for mount in prepared.mounts.iter().filter(|mount| mount.kind == Kind::Cache && mount.sharing == Sharing::Locked) {
        let target = absolute(builder, number, mount.target.as_deref().unwrap_or_default());
        match Lock::attempt(&place(builder, number, mount, &target)?.with_extension("lock"))? {
            Some(lock) => locks.push(lock),
            None => return Ok(None),
        }
    }
    Ok(Some(locks))
}

/// The directory of a cache, made if nobody has used it yet.
fn shared(
    builder: &mut Builder,
    number: usize,
    mount: &Mount,
    target: &str,
    beside: &mut Beside,
) -> Result<String, StepError> {
    let directory = place(builder, number, mount, target)?;
    if mount.sharing == Sharing::Private {
        match Lock::attempt(&directory.with_extension("lock"))? {
            Some(lock) => beside.locks.push(lock),
            // Nobody else may see what is in it while it is used.
            None => return begun(builder, number, mount),
        }
    }
    if !directory.exists() {
        let made = begun(builder, number, mount)?;
        match fs::rename(&made, &directory) {
            // Another build was quicker.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST)) => {}
            other => other.on("rename", &directory)?,
        }
    }
    Ok(directory.to_string_lossy().into_owned())
}

/// A cache that nobody has used yet.
fn begun(builder: &mut Builder, number: usize, mount: &Mount) -> Result<String, StepError> {
    let directory = match &mount.from {
        Some(_) => copied(builder, number, mount)?,
        None => builder.store.path(builder.directory_alone()?).join("upper").to_string_lossy().into_owned(),
    };
    let stat = Stat { uid: mount.owner.0, gid: mount.owner.1, mode: mount.mode.unwrap_or(0o755) };
    give(builder, Path::new(&directory), stat, true)?;
    Ok(directory)
}

/// Files of another stage, laid over each other where the container's mounts can be made from them.
fn stage(
    builder: &mut Builder,
    number: usize,
    from: &str,
    source: &str,
    beside: &mut Beside,
) -> Result<String, StepError> {
    let layers = builder.layers_of(number, from)?;
    let tree = builder.view(&layers)?;
    let directory = builder.directory_alone()?;
    let place = builder.store.path(directory).join("rootfs");
    let tree = if layers.len() > 1 && builder.room()?.layering != Layering::Copy {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&tree, "", CWD, &place, flags).on("move_mount", &place)?;
        beside.views.push(place);
        tree
    } else {
        tree
    };
    inside(tree, source)
}

/// Where a path within a tree really is.
fn inside(tree: OwnedFd, path: &str) -> Result<String, StepError> {
    let root = Root::of(tree);
    let path = format!("/{}", clean(path));
    let found = root.resolve(&path, OFlags::PATH | OFlags::CLOEXEC)?;
    let real = fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).on("readlink", &path)?;
    Ok(real.to_string_lossy().into_owned())
}

/// Files of a context; a copy of them, if not all may be seen.
fn context(builder: &mut Builder, number: usize, mount: &Mount) -> Result<String, StepError> {
    builder.note_context(mount.from.as_deref());
    match builder.context(mount.from.as_deref())? {
        Some((path, ignore)) if ignore.is_empty() => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            inside(rustix::fs::open(path, flags, rustix::fs::Mode::empty()).on("open", path)?, &mount.source)
        }
        _ => copied(builder, number, mount),
    }
}

/// What a mount shows, as files of its own.
fn copied(builder: &mut Builder, number: usize, mount: &Mount) -> Result<String, StepError> {
    let tree = builder.tree(number, mount.from.as_deref())?;
    let directory = builder.directory_alone()?;
    let upper = builder.store.path(directory).join("upper");
    let root = Root::open(&upper.to_string_lossy())?;
    let now = builder.now();
    let owners = builder.room()?.owners.clone();
    let laying = Laying { upper: None, owners: &owners, owner: None, chmod: None, mode: 0o755, now };
    let mut result = upper.clone();
    for one in tree.select(&mount.source, &Ignore::default(), false)? {
        if !one.is_directory {
            result = upper.join(&one.name);
        }
        laying.lay(&root, &one, "/")?;
    }
    Ok(result.to_string_lossy().into_owned())
}
