//! Request and image → a container on disk, ready to be started. Nothing is copied: the writable layer is empty.

use super::sharing;
use super::sharing::SharingError;
use super::spec;
use super::spec::{Bind, Facts};
use super::users;
use super::users::UserError;
use super::{name, networks};
use crate::container::request::capability;
use crate::container::request::id::ContainerId;
use crate::container::request::mount;
use crate::container::request::{KEPT_GROUPS, Network, Request, Source, Volume};
use crate::container::rootfs::options::SUBDIRECTORY;
use crate::container::rootfs::shift;
use crate::container::stored::record;
use crate::container::stored::record::{Container, MountedVolume, Record, RecordError};
use crate::container::stored::volumes;
use crate::diag::{Diagnose, inner_of};
use crate::image::{Image, ImageError};
use crate::network::CONTAINER;
use crate::network::ports::{PortSpec, Published};
use crate::network::resolv;
use crate::network::resolv::{Answers, NameService};
use crate::store;
use crate::store::{Store, StoreError};
use crate::sys::{On, SysError};
use crate::userns::IdMap;
use crate::volume::{self, Backing, VolumeError};
use oci_spec::runtime::Spec;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Sharing(#[from] SharingError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no command to run: neither the image nor the command line has one")]
    NoCommand,
    #[error("invalid volume {path:?} of the image: {why}")]
    VolumePath { path: String, why: String },
    #[error("the directory {directory} of volume {volume} does not exist")]
    Device { volume: String, directory: String },
    #[error("cannot use a volume")]
    Volume(#[source] VolumeError),
    #[error("the container's specification cannot be made")]
    Spec(#[from] serde_json::Error),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for CreateError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Record, Image, User, Sharing, Store, Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCommand => Some("name one: minirun run IMAGE COMMAND".into()),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}

/// The settings of a container that is not made yet.
pub(crate) struct Decided {
    pub record: Record,
    pub spec: Spec,
}

impl Decided {
    /// `address`: the one that it gets on its first network as it starts.
    pub(crate) fn files(&self, address: Option<Ipv4Addr>) -> Vec<(&'static str, String)> {
        own_files(&self.spec, &self.record.request, address)
    }
}

/// Returns the names and contents of the files that every container gets in its directory. `given`: its address on its first
/// network, once it has one.
pub(crate) fn own_files(spec: &Spec, request: &Request, given: Option<Ipv4Addr>) -> Vec<(&'static str, String)> {
    let hostname = spec.hostname().clone().unwrap_or_else(sharing::of_host);
    let answers = match request.network {
        Network::Host => Answers::Host,
        _ if request.endpoints.is_empty() => Answers::WayOut,
        _ => Answers::Monitor,
    };
    let address = match request.network {
        Network::Private => given.or(Some(CONTAINER.v4)),
        Network::None => Some(Ipv4Addr::LOCALHOST),
        // That of another container has its files.
        Network::Host | Network::Container(_) => None,
    };
    let names = NameService { servers: &request.dns, search: &request.dns_search, options: &request.dns_options };
    let mut files = vec![
        ("hostname", format!("{hostname}\n")),
        ("hosts", hosts(spec, request, address)),
        ("resolv.conf", resolv::resolv_conf(&names, answers)),
    ];
    if spec.mounts().iter().flatten().any(|mount| mount.destination() == Path::new(spec::APT_CONFIG)) {
        files.push(("apt.conf", "APT::Sandbox::User \"root\";\n".to_owned()));
    }
    files
}

fn hosts(spec: &Spec, request: &Request, address: Option<Ipv4Addr>) -> String {
    let hostname = spec.hostname().clone().unwrap_or_else(sharing::of_host);
    let full = match &request.domainname {
        Some(domain) if !hostname.contains('.') => format!("{hostname}.{domain}"),
        _ => hostname,
    };
    resolv::hosts(&full, &request.hosts, address)
}

/// Writes /etc/hosts of a container that gets an address as it starts.
pub(crate) fn write_hosts(container: &Container, address: Ipv4Addr) -> Result<(), RecordError> {
    let text = hosts(container.spec()?, &container.record.request, Some(address));
    let path = container.directory.join("hosts");
    // In place: the file has its owner, and is mounted by its inode.
    Ok(fs::write(&path, text).on("write", path)?)
}

/// Decides the settings of a new container.
pub(crate) fn decide(store: &Store, image: &Image, mut request: Request) -> Result<Decided, CreateError> {
    let id = ContainerId::random();
    let name = request.name.clone().unwrap_or_else(|| name::random(store));
    let config = image.config();
    let layers: Vec<String> = image.layer_dirs().iter().map(|d| d.to_string_lossy().into_owned()).collect();
    let volumes = mounted_volumes(store, &request, config)?;
    request.name = Some(name.clone());
    request.exposed = exposed(&request, config);
    sharing::resolve(store, &mut request)?;
    networks::resolve(store, &mut request)?;
    let of_image = config.config().as_ref().and_then(|c| c.stop_signal().clone());
    request.stop_signal = request.stop_signal.or(of_image.and_then(|signal| signal.parse().ok()));
    let of_image = &image.raw_config()["config"];
    request.health = request.health.over(&of_image["Healthcheck"]);
    let shell = of_image["Shell"].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned));
    let health_command = request.health.command(&shell.collect::<Vec<_>>());
    let record = Record {
        id,
        name,
        image_id: image.id,
        image: request.image.clone(),
        created: jiff::Timestamp::now().to_string(),
        layers,
        request,
        volumes,
        health_command,
    };
    let spec = spec_of(store, image, &record)?;
    Ok(Decided { record, spec })
}

/// Returns the specification of a container.
pub(crate) fn spec_of(store: &Store, image: &Image, record: &Record) -> Result<Spec, CreateError> {
    let (request, config) = (&record.request, image.config());
    let user = user(store, request, config, &record.layers)?;
    let capabilities = capability::choose(&request.cap_add, &request.cap_drop, request.privileged);
    let directory = store.path("containers").join(&record.id);
    let bind = |v: &MountedVolume| Bind {
        source: v.source.clone(),
        target: v.target.clone(),
        read_only: v.read_only,
        is_shallow: v.is_shallow,
        is_in_memory: v.is_in_memory,
        options: v.options.clone(),
    };
    let binds: Vec<_> = record.volumes.iter().map(bind).collect();
    let facts = Facts {
        id: &record.id,
        directory: &directory.to_string_lossy(),
        user: &user,
        capabilities: &capabilities,
        binds: &binds,
        ids: &shift::ids(store, request.host_ids)?,
        sets_apt: sets_apt(store, &record.layers),
        shared_name: sharing::name(store, request)?,
    };
    Ok(spec::build(request, config, &facts)?)
}

/// Makes the container.
pub(crate) fn create(store: &Store, image: &Image, request: Request) -> Result<Container, CreateError> {
    let decided = decide(store, image, request)?;
    if decided.spec.process().as_ref().is_none_or(|process| process.args().as_ref().is_none_or(Vec::is_empty)) {
        return Err(CreateError::NoCommand);
    }
    let record = &decided.record;
    let _mask = crate::sys::fs::Umask::set(0o022);
    let scratch = store.scratch()?;
    let new = scratch.path();
    for part in ["upper", "work", "rootfs"] {
        fs::create_dir(new.join(part)).on("mkdir", new.join(part))?;
    }
    record::note_belongings(new, record)?;
    volumes::hold(store, record).map_err(CreateError::Volume)?;
    let of_host = record.volumes.iter().filter(|volume| volume.name.is_none());
    for path in of_host.map(|volume| Path::new(&volume.source)).filter(|path| !path.exists()) {
        // A missing host directory too, as Docker does; but it belongs to the caller, who is the container's root.
        fs::create_dir_all(path).on("mkdir", path)?;
    }
    like_lowest_root(store, &record.layers, &new.join("upper"));
    let write = |name: &str, bytes: &[u8]| fs::write(new.join(name), bytes).on("write", new.join(name));
    write("config.json", &serde_json::to_vec(&decided.spec)?)?;
    write("container.json", &store::format::to_record(record))?;
    for (name, text) in decided.files(None) {
        write(name, text.as_bytes())?;
    }
    crate::image::hold(store, image, record.id.as_str())?;
    let container = record::publish(store, &scratch, decided.record, decided.spec)?;
    container.record.note(store, "create");
    Ok(container)
}

/// Gives the upper directory the mode of the image's root, because the overlay's root has the mode of the upper directory.
pub(crate) fn like_lowest_root(store: &Store, layers: &[String], upper: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode =
        layers.last().and_then(|l| fs::metadata(store.path(l)).ok()).map_or(0o755, |m| m.permissions().mode() & 0o7777);
    let _ = fs::set_permissions(upper, fs::Permissions::from_mode(mode));
}

/// Whether apt needs settings for a container with one id: a layer has the directory of apt's settings.
pub(crate) fn sets_apt(store: &Store, layers: &[String]) -> bool {
    IdMap::of_caller().is_single() && layers.iter().any(|layer| store.path(layer).join("etc/apt/apt.conf.d").is_dir())
}

/// Returns the user that its process runs as.
pub(crate) fn user(
    store: &Store,
    request: &Request,
    config: &oci_spec::image::ImageConfiguration,
    layers: &[String],
) -> Result<users::User, UserError> {
    let of_image = config.config().as_ref().and_then(|c| c.user().clone()).unwrap_or_default();
    let wanted = request.user.clone().unwrap_or(of_image);
    let mut user = users::resolve(&wanted, |path| {
        // The topmost layer that has the file is the one that will be seen.
        layers.iter().rev().find_map(|layer| users::read_beneath(&store.path(layer), path))
    })?;
    for group in request.groups.iter().filter(|group| *group != KEPT_GROUPS) {
        let with_group = users::resolve(&format!("{}:{group}", user.uid), |path| {
            layers.iter().rev().find_map(|layer| users::read_beneath(&store.path(layer), path))
        })?;
        user.groups.push(with_group.gid);
    }
    Ok(user)
}

/// Returns the ports of `--expose` and of the image's EXPOSE.
fn exposed(request: &Request, config: &oci_spec::image::ImageConfiguration) -> Vec<PortSpec> {
    let of_image = config.config().as_ref().and_then(|c| c.exposed_ports().clone()).unwrap_or_default();
    let of_image = of_image.iter().filter_map(|text| text.parse().ok()).flat_map(|Published(ports)| ports);
    let mut all: Vec<PortSpec> = request.exposed.iter().cloned().chain(of_image).collect();
    all.sort_by_key(|port| (port.container_port, port.protocol));
    all.dedup();
    all
}

/// Returns the volumes of `-v`, `--mount`, `--volumes-from` and of the image's VOLUME.
fn mounted_volumes(
    store: &Store,
    request: &Request,
    config: &oci_spec::image::ImageConfiguration,
) -> Result<Vec<MountedVolume>, CreateError> {
    let mut all = Vec::new();
    for volume in &request.volumes {
        all.push(mounted(store, volume)?);
    }
    let is_taken = |all: &[MountedVolume], target: &str| {
        all.iter().any(|volume| volume.target == target) || request.tmpfs.iter().any(|tmpfs| tmpfs.target == target)
    };
    for from in &request.volumes_from {
        for volume in Container::find(store, &from.container)?.record.volumes {
            if !is_taken(&all, &volume.target) {
                let read_only = volume.read_only || from.is_read_only;
                all.push(MountedVolume { read_only, ..volume });
            }
        }
    }
    let of_image = config.config().as_ref().and_then(|c| c.volumes().clone()).unwrap_or_default();
    for text in of_image {
        let wrong = |why| CreateError::VolumePath { path: text.clone(), why };
        let target = mount::target(&text).map_err(wrong)?;
        if !is_taken(&all, &target) {
            all.push(mounted(store, &Volume::new(Source::Anonymous, target))?);
        }
    }
    // A mount below another comes after it.
    all.sort_by_key(|volume| volume.target.split('/').count());
    Ok(all)
}

fn mounted(store: &Store, wanted: &Volume) -> Result<MountedVolume, CreateError> {
    let (name, own) = match &wanted.source {
        Source::Host(_) => (None, false),
        Source::Named(name) => (Some(name.clone()), false),
        Source::Anonymous => (Some(volume::random_name()), true),
    };
    let mut mounted = MountedVolume {
        source: String::new(),
        target: wanted.target.clone(),
        read_only: wanted.read_only,
        name,
        own,
        mode: wanted.mode.clone(),
        is_not_filled: wanted.is_not_filled || wanted.subpath.is_some(),
        is_shallow: wanted.is_shallow,
        is_in_memory: false,
        options: wanted.flags.clone(),
        labels: wanted.labels.clone(),
        driver_options: wanted.driver_options.clone(),
    };
    let Some(name) = &mounted.name else {
        if let Source::Host(path) = &wanted.source {
            mounted.source.clone_from(path);
        }
        return Ok(mounted);
    };
    let backing = match volume::find(store, name) {
        Ok(volume) => volume.backing(),
        Err(_) => Backing::of(&wanted.driver_options),
    };
    match backing.map_err(CreateError::Volume)? {
        Backing::Store => {
            mounted.source = store.path(volume::data_path(name)).to_string_lossy().into_owned();
            mounted.options.extend(wanted.subpath.as_ref().map(|path| format!("{SUBDIRECTORY}={path}")));
        }
        Backing::Host { directory, options } => {
            if !Path::new(&directory).exists() {
                return Err(CreateError::Device { volume: name.clone(), directory });
            }
            mounted.read_only |= options.iter().any(|option| option == "ro");
            mounted.options.extend(options.into_iter().filter(|option| option != "ro"));
            mounted.options.extend(wanted.subpath.as_ref().map(|path| format!("{SUBDIRECTORY}={path}")));
            mounted.is_not_filled = true;
            mounted.source = directory;
        }
        Backing::Memory { options } => {
            (mounted.source, mounted.is_in_memory, mounted.is_not_filled) = ("tmpfs".into(), true, true);
            mounted.options.extend(options);
        }
    }
    Ok(mounted)
}
