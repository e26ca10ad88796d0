//! RUN: a container of the engine itself, whose process the build watches and whose upper directory becomes the layer.

use super::cache::Inputs;
use super::layers::NewLayer;
use super::mounts;
use super::mounts::Beside;
use super::shared::Shared;
use super::stage::Stage;
use crate::builder::error::{BuildError, StepError};
use crate::builder::files::glob::Ignore;
use crate::builder::options::RunNetwork;
use crate::builder::read::instruction::Run;
use crate::builder::read::mount::{InvalidMount, Mount, MountKind, mount};
use crate::builder::read::state::argv;
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
use crate::container::request::{Network, Request};
use crate::container::rootfs::layering::Overlay;
use crate::container::rootfs::shift;
use crate::network::CONTAINER;
use crate::network::egress;
use crate::network::resolv::HostEntry;
use crate::store::Lock;
use crate::sys::On;
use crate::userns::{Outside, Place};
use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Build arguments that need no ARG and are not part of a step's inputs.
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

/// The host name in a RUN, as with BuildKit, so that the result does not depend on the host's.
const HOSTNAME: &str = "buildkitsandbox";

/// Returns a RUN's `/etc/hosts`, which has no entries of the host's.
fn hosts(request: &Request) -> String {
    // In the host's network, the host is at the loopback address.
    let gateway = match request.network {
        Network::Private => CONTAINER.gateway_v4,
        Network::Host | Network::None | Network::Container(_) => Ipv4Addr::LOCALHOST,
    };
    let mut text = format!("127.0.0.1\tlocalhost {HOSTNAME}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for HostEntry { name, address } in &request.hosts {
        text += &format!("{}\t{name}\n", address.resolve(gateway));
    }
    text
}

/// Returns a proxy in either spelling: programs read only one of them.
fn proxy<'a>(build_args: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let other = if name.starts_with(|c: char| c.is_ascii_uppercase()) {
        name.to_ascii_lowercase()
    } else {
        name.to_ascii_uppercase()
    };
    build_args.get(name).or_else(|| build_args.get(&other)).map(String::as_str)
}

/// A RUN with its variables replaced.
pub(crate) struct Prepared {
    argv: Vec<String>,
    script: Option<(String, String)>,
    pub mounts: Vec<Mount>,
    pub network: RunNetwork,
    /// Its row in the image's history.
    pub row: String,
}

pub(crate) fn prepare(shared: &mut Shared, stage: &Stage, run: &Run) -> Result<Prepared, StepError> {
    let escape = shared.plan.source.directives.escape;
    let network = match run.network.as_deref() {
        None | Some("default") => shared.options.network,
        Some("host") if shared.options.allows_host_network => RunNetwork::Host,
        Some("host") => return Err(InvalidMount::HostNetwork.into()),
        Some("none") => RunNetwork::None,
        Some(other) => return Err(InvalidMount::Network(other.into()).into()),
    };
    let state = &stage.state;
    let mut mounts = Vec::new();
    for text in state.words(escape, &mut run.mounts.iter().map(String::as_str))? {
        mounts.push(mount(&text)?);
    }
    let argv = argv(&run.command, &state.shell());
    // Docker's history lists the ARGs that the command sees.
    let seen: Vec<String> = state.args().map(|(name, value)| format!("{name}={value}")).collect();
    let arguments = if seen.is_empty() { String::new() } else { format!("|{} {} ", seen.len(), seen.join(" ")) };
    let mounted: String = run.mounts.iter().map(|mount| format!("--mount={mount} ")).collect();
    let row = format!("RUN {arguments}{mounted}{}", argv.join(" "));
    Ok(Prepared { argv, script: run.script.clone(), mounts, network, row })
}

/// Returns everything that the result depends on; secrets and caches do not count.
pub(crate) fn inputs(shared: &mut Shared, stage: &Stage, prepared: &Prepared) -> Result<Inputs, BuildError> {
    let mounted: String = prepared.mounts.iter().map(|mount| format!("--mount={} ", mount.text)).collect();
    let mut what = format!("RUN {mounted}{}", prepared.argv.join(" "));
    if let Some((_, script)) = &prepared.script {
        what = format!("{what}\n{script}");
    }
    if prepared.network == RunNetwork::None {
        what = format!("{what} (without network)");
    }
    let mut inputs = shared.inputs(stage, what);
    let state = &stage.state;
    inputs.values.extend(state.args().map(|(name, value)| (format!("ARG {name}"), value.to_owned())));
    inputs.values.extend(state.env().map(|(name, value)| (format!("ENV {name}"), value.to_owned())));
    for (name, value) in [("USER", state.user()), ("WORKDIR", state.working_directory())] {
        inputs.values.insert(name.to_owned(), value.to_owned());
    }
    for mount in prepared.mounts.iter().filter(|mount| mount.kind == MountKind::Bind) {
        match &mount.from {
            Some(from) if shared.plan.named.files(from).is_none() => {
                let chain = shared.chain_of(stage.id, from)?;
                inputs.values.insert(format!("stage {from}"), chain.to_string());
            }
            from => {
                let found = shared.tree(stage.id, from.as_deref());
                let found = found.and_then(|tree| Ok(tree.select(&mount.source, &Ignore::default(), false)?));
                // The mount itself reports missing files.
                for one in found.into_iter().flatten() {
                    if let Ok(digests) = one.digests(&mut shared.memo) {
                        inputs.files.extend(digests);
                    }
                }
            }
        }
    }
    Ok(inputs)
}

/// A RUN in progress.
pub(crate) struct Running {
    pub end: End,
    pub layer: NewLayer,
    /// Its control group, if it has limits.
    group: Option<Group>,
    _beside: Beside,
    _locks: Vec<Lock>,
}

impl Running {
    /// Whether the kernel killed a process of it at its memory limit.
    pub(crate) fn lacked_memory(&self) -> bool {
        self.group.as_ref().is_some_and(|group| cgroup::killed_without_intent(&group.0) > 0)
    }
}

/// A control group that is removed when the RUN ends.
struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        cgroup::remove(&self.0);
    }
}

/// Starts a RUN. An error returns the layer's directory for another attempt.
pub(crate) fn start(
    shared: &mut Shared,
    stage: &Stage,
    prepared: &Prepared,
    mut layer: NewLayer,
    locks: &mut Vec<Lock>,
) -> Result<Running, (StepError, Box<NewLayer>)> {
    match launch(shared, stage, prepared, &mut layer) {
        Ok((end, group, beside)) => Ok(Running { end, layer, group, _beside: beside, _locks: std::mem::take(locks) }),
        Err(error) => Err((error, Box::new(layer))),
    }
}

fn launch(
    shared: &mut Shared,
    stage: &Stage,
    prepared: &Prepared,
    layer: &mut NewLayer,
) -> Result<(End, Option<Group>, Beside), StepError> {
    let mut beside = Beside::default();
    for mount in &prepared.mounts {
        mounts::add(shared, stage, mount, &mut beside)?;
    }
    if let Some((path, text)) = &prepared.script {
        let file = shared.store.path(&layer.directory).join("script");
        fs::write(&file, text).on("write", &file)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).on("chmod", &file)?;
        let source = file.to_string_lossy().into_owned();
        beside.binds.push(Bind { source, target: path.clone(), read_only: true, ..Bind::default() });
    }
    let state = &stage.state;
    let image = state.as_image()?;
    let proxies = PROXIES.iter().filter_map(|name| Some((*name, proxy(&shared.options.build_args, name)?)));
    let mut env: Vec<String> = proxies.chain(state.args()).map(|(name, value)| format!("{name}={value}")).collect();
    env.append(&mut beside.env);
    let egress = match prepared.network {
        RunNetwork::Own => egress::Way::find(&shared.options.way_out, CONTAINER).ok(),
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
        hosts: shared.options.hosts.clone(),
        limits: shared.options.limits.clone(),
        ulimits: shared.options.ulimits.clone(),
        shm_size: shared.options.shm_size,
        ..Request::default()
    };
    let mut layers = shared.layer_directories(&state.layers);
    if layers.is_empty() {
        // An overlay needs a lower directory.
        let empty = shared.new_directory()?.join("upper");
        layers.push(empty.to_string_lossy().into_owned());
    }
    let user = create::user(shared.store, &request, image.config(), &layers)?;
    let capabilities = capability::choose(&[], &[], false);
    let directory = shared.store.path(&layer.directory);
    let id = ContainerId::random();
    // An agent answers only its own user, by the id that the host sees.
    let asks_agent = prepared.mounts.iter().any(|mount| mount.kind == MountKind::Ssh);
    let ids = shift::ids(shared.store, asks_agent)?;
    let facts = Facts {
        id: &id,
        directory: &directory.to_string_lossy(),
        user: &user,
        capabilities: &capabilities,
        binds: &beside.binds,
        ids: &ids,
        sets_apt: create::sets_apt(shared.store, &layers),
        shared_name: None,
    };
    let spec = spec::build(&request, image.config(), &facts).map_err(create::CreateError::from)?;
    for (name, text) in create::own_files(&spec, &request, None) {
        let text = if name == "hosts" { hosts(&request) } else { text };
        fs::write(directory.join(name), text).on("write", directory.join(name))?;
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(directory.join(name), mode).on("chmod", directory.join(name))?;
    }
    layer.creator = (user.uid != 0).then_some((user.uid, user.gid));
    layer.leave_out = spec.mounts().iter().flatten().map(|mount| mount.destination().clone()).collect();
    let (single_id, shifted) = (ids.is_single(), launch::shifted(shared.store, &ids));
    let monitor = launch::prepare(shared.store, "build", ids, Place::Shared)?;
    let placed = cgroup::place(&request.limits, &id, monitor.pid());
    if !std::mem::replace(&mut shared.has_told_limits, true) {
        placed.notes.iter().for_each(|note| shared.listener.note(note));
    }
    let group = placed.group.map(Group);
    let cgroup = group.as_ref().map(|group| group.0.to_string_lossy().into_owned());
    let part = |name: &str| layer.directory.join(name).to_string_lossy().into_owned();
    let around = Surroundings {
        overlay: Overlay {
            lower: layers,
            upper: part("upper"),
            work: part("work"),
            target: part("rootfs"),
            // The files are removed, or become a layer, which is flushed then.
            volatile: true,
        },
        layering: shared.room()?.layering,
        new_volumes: Vec::new(),
        has_address: request.network == Network::Private,
        members: Vec::new(),
        cgroup: cgroup.clone(),
        single_id,
        shifted,
        reaping_init: false,
        joined: BTreeMap::new(),
    };
    let mut plan = Plan::of_container(&spec, &around).map_err(launch::LaunchError::from)?;
    if let Some(way) = &egress {
        plan.lead_out(way);
    }
    let job = Job {
        outside: Outside::of(shared.store),
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
        last_event: None,
    };
    let end = launch::converse(monitor, &job, Vec::new(), "build", &mut Silent)?;
    Ok((end, group, beside))
}
