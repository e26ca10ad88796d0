//! What can be wrong with an option of `run`, `create` and `build`.

use super::capability::UnknownCapability;
use super::signal::InvalidSignal;
use crate::network::ports::PortError;
use crate::network::resolv::InvalidHostEntry;
use crate::sys::SysError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    #[error("cannot read the seccomp profile")]
    Open(#[source] SysError),
    #[error("{path} is not a seccomp profile")]
    Parse {
        path: String,
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("invalid container name {0:?}")]
    Name(String),
    #[error("invalid size {0:?}")]
    Size(String),
    #[error("invalid number of processors {0:?}")]
    Cpus(String),
    #[error("invalid set {0:?}")]
    CpuSet(String),
    #[error("invalid limit {0:?}")]
    Ulimit(String),
    #[error("unknown network {0:?}")]
    Network(String),
    #[error("unknown option of the network: {0:?}")]
    NetworkOption(String),
    #[error("a build cannot be on network {0}: each RUN is alone in a network of its own")]
    BuildNetwork(String),
    #[error("invalid network alias {0:?}")]
    Alias(String),
    #[error("invalid hardware address {text:?}: {why}")]
    Mac { text: String, why: &'static str },
    #[error("--network {0} stands alone: its container can be on no other network")]
    NetworkAlone(String),
    #[error("{0} needs one network that the container is on")]
    NetworkFlag(&'static str),
    #[error("unknown log driver {0:?}")]
    LogDriver(String),
    #[error("invalid log option {0:?}")]
    LogOption(String),
    #[error("unknown security option {0:?}")]
    SecurityOption(String),
    #[error("invalid {kind} namespace {text:?}")]
    Namespace { kind: &'static str, text: String },
    #[error("invalid device {text:?}: {why}")]
    Device { text: String, why: &'static str },
    #[error("invalid setting {0:?}")]
    Sysctl(String),
    #[error("{0} is a setting of the whole host")]
    HostSysctl(String),
    #[error("invalid mask {0:?}")]
    Umask(String),
    #[error("this host does not know the time zone {0:?}")]
    TimeZone(String),
    #[error("invalid domain name {0:?}")]
    DomainName(String),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error("invalid variable {0:?}: its name is empty")]
    Variable(String),
    #[error("invalid label {0:?}: its name is empty")]
    Label(String),
    #[error("invalid annotation {0:?}")]
    Annotation(String),
    #[error("invalid port {0:?}")]
    Expose(String),
    #[error("invalid word {0:?} for resolv.conf")]
    ResolverWord(String),
    #[error("cannot read the labels")]
    LabelFile(#[source] SysError),
    #[error("invalid address of a DNS server {0:?}")]
    Dns(String),
    #[error("cannot read the variables")]
    EnvFile(#[source] SysError),
    #[error(transparent)]
    Signal(#[from] InvalidSignal),
    #[error(transparent)]
    Capability(#[from] UnknownCapability),
    #[error(transparent)]
    Host(#[from] InvalidHostEntry),
    #[error(transparent)]
    Port(#[from] PortError),
}

impl crate::diag::Diagnose for RequestError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Name(_) => "letters, digits, _ . and -, beginning with a letter or digit, two at least".into(),
            Self::Size(_) => "a number with b, k, m or g: --memory 64m".into(),
            Self::Cpus(_) => "as in: --cpus 1.5".into(),
            Self::CpuSet(_) => "numbers and ranges: --cpuset-cpus 0-3,6".into(),
            Self::Ulimit(_) => "NAME=SOFT[:HARD], as nofile=1024:2048; the hard one is not below the soft one".into(),
            Self::NetworkOption(_) => {
                "as in: --network NAME:ip=10.89.0.5,alias=db, --network bridge:host-loopback or bridge:out=slirp4netns"
                    .into()
            }
            Self::BuildNetwork(_) => "networks of a build: default, none, host".into(),
            Self::Alias(_) => "words of letters, digits, _ and -, with dots between them".into(),
            Self::Mac { .. } => "as in: --mac-address 02:42:0a:00:00:05".into(),
            Self::NetworkAlone(_) => "leave out the other --network".into(),
            Self::NetworkFlag(_) => "with several, as in: --network NAME:ip=10.89.0.5,alias=db".into(),
            Self::Network(_) => "networks: bridge (the default), none, host, container:NAME; or one of: minirun network ls".into(),
            Self::LogDriver(_) => {
                "drivers: json-file (the default) and local, which are the same here, and none".into()
            }
            Self::LogOption(_) => "options: max-size=20m (or -1: no limit), max-file=5".into(),
            Self::SecurityOption(_) => {
                "options: no-new-privileges, seccomp=FILE, seccomp=unconfined, mask=PATH, unmask=PATH, systempaths=unconfined"
                    .into()
            }
            Self::Namespace { kind: "ipc", .. } => {
                "modes: private (the default), shareable, none, host, container:NAME".into()
            }
            Self::Namespace { kind: "pid", .. } => "modes: private (the default), host, container:NAME".into(),
            Self::Namespace { .. } => "modes: private (the default), host".into(),
            Self::Device { .. } => "forms: --device /dev/DEVICE[:/dev/NAME][:rwm]".into(),
            Self::Sysctl(_) => "as in: --sysctl net.core.somaxconn=1024".into(),
            Self::HostSysctl(name) => format!("as root, for all: sysctl -w {name}=VALUE"),
            Self::Umask(_) => "in octal: --umask 0027".into(),
            Self::TimeZone(_) => "as in: --tz Europe/Berlin; local for the host's own".into(),
            Self::DomainName(_) => "as in: --domainname example.org".into(),
            Self::Profile(_) => "Docker's own profile shows the form: github.com/moby/profiles".into(),
            Self::Variable(_) => "forms: -e NAME=VALUE, or -e NAME to pass on your own".into(),
            Self::Label(_) => "as in: --label NAME=VALUE".into(),
            Self::Annotation(_) => "as in: --annotation NAME=VALUE".into(),
            Self::Expose(_) => "as in: --expose 80, --expose 8000-8010/udp; -p names a port of the host too".into(),
            Self::ResolverWord(_) => "one domain or option each: --dns-search example.org --dns-option ndots:2".into(),
            Self::Dns(_) => "as in: --dns 9.9.9.9".into(),
            Self::EnvFile(_) | Self::LabelFile(_) => return None,
            Self::Signal(error) => return error.hint(),
            Self::Capability(error) => return error.hint(),
            Self::Host(error) => return error.hint(),
            Self::Port(error) => return error.hint(),
        })
    }
}
