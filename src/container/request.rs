//! What somebody asked for: `run`'s and `create`'s flags with their meaning, before any image is looked at.

use crate::network::ports::PortSpec;
use serde::{Deserialize, Serialize};

/// Everything `create` decides. Kept with the container, so that `inspect` can say what was asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    pub image: String,
    pub name: Option<String>,
    pub command: Vec<String>,
    /// `--entrypoint`; empty resets the image's.
    pub entrypoint: Option<String>,
    pub env: Vec<String>,
    pub workdir: Option<String>,
    pub user: Option<String>,
    pub groups: Vec<String>,
    pub hostname: Option<String>,
    pub labels: Vec<(String, String)>,
    pub volumes: Vec<Volume>,
    pub tmpfs: Vec<(String, String)>,
    pub ports: Vec<PortSpec>,
    pub network: Network,
    pub hosts: Vec<(String, String)>,
    pub dns: Vec<String>,
    pub read_only: bool,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub privileged: bool,
    pub no_new_privileges: bool,
    pub seccomp_unconfined: bool,
    pub init: bool,
    pub terminal: bool,
    pub stdin: bool,
    pub auto_remove: bool,
    pub limits: Limits,
    pub ulimits: Vec<(String, u64, u64)>,
    pub shm_size: Option<u64>,
    pub stop_signal: Option<String>,
    pub stop_timeout: Option<u32>,
    pub log: LogOptions,
    /// `--userns=host`: root's containers have root's ids.
    pub host_ids: bool,
}

/// `--log-driver`, `--log-opt`: what is kept of what it prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogOptions {
    /// `--log-driver none`.
    pub is_off: bool,
    /// Bytes of a file; `None`: as many as there are.
    pub max_size: Option<u64>,
    pub max_files: u32,
}

impl Default for LogOptions {
    /// As Docker's driver `local`: its `json-file` fills the disk.
    fn default() -> Self {
        Self { is_off: false, max_size: Some(20 << 20), max_files: 5 }
    }
}

/// `-v SOURCE:TARGET[:ro]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub source: Source,
    pub target: String,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A part of the host's tree, made as a directory if missing.
    Host(String),
    /// A volume with a name, made if missing.
    Named(String),
    /// A volume of this container's own, gone with it.
    Anonymous,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Its own namespace, with a way out.
    #[default]
    Private,
    /// Its own namespace, with nothing but its loopback.
    None,
    Host,
}

/// Seconds that `stop` waits before SIGKILL, unless somebody says otherwise; Docker's too.
pub const STOP_TIMEOUT: u32 = 10;

/// What it may use of the host (cgroup v2).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    pub cpus: Option<f64>,
    pub pids: Option<i64>,
}

impl Limits {
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("{text:?} is no volume: {why}")]
    Volume { text: String, why: &'static str },
    #[error("{text:?} is no size")]
    Size { text: String },
    #[error("{text:?} is no limit")]
    Ulimit { text: String },
    #[error("there is no network {0:?}")]
    Network(String),
    #[error("{0:?} is no signal")]
    Signal(String),
    #[error("there is no log driver {0:?}")]
    LogDriver(String),
    #[error("{0:?} is no option of a log")]
    LogOption(String),
    #[error("{0:?} is no variable: its name is empty")]
    Variable(String),
}

impl crate::diag::Diagnose for RequestError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Volume { .. } => {
                "forms: -v /HOST/DIR:/IN/CONTAINER[:ro], -v NAME:/IN/CONTAINER, -v /IN/CONTAINER".into()
            }
            Self::Size { .. } => "a number with b, k, m or g: --memory 64m".into(),
            Self::Ulimit { .. } => {
                "NAME=SOFT[:HARD], as nofile=1024:2048; the hard one is not below the soft one".into()
            }
            Self::Network(_) => "networks: bridge (the default), none, host".into(),
            Self::Signal(_) => "a name or a number, as in signal(7): TERM, SIGKILL, 9".into(),
            Self::LogDriver(_) => {
                "drivers: json-file (the default) and local, which are the same here, and none".into()
            }
            Self::LogOption(_) => "options: max-size=20m (or -1: no limit), max-file=5".into(),
            Self::Variable(_) => "forms: -e NAME=VALUE, or -e NAME to pass on your own".into(),
        })
    }
}

/// `-v`'s argument. A relative host path must begin with a dot, as with Docker.
pub fn volume(text: &str) -> Result<Volume, RequestError> {
    let wrong = |why| RequestError::Volume { text: text.into(), why };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(wrong("it has more than three parts")),
    };
    if !target.starts_with('/') {
        return Err(wrong("the path in the container must be absolute"));
    }
    if std::path::Path::new(target).components().count() == 1 {
        return Err(wrong("it would hide the whole image"));
    }
    let mut read_only = false;
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" => read_only = true,
            // SELinux labels and copying are the host's and the engine's business here.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            _ => return Err(wrong("it has an unknown option")),
        }
    }
    let source = match source {
        None => Source::Anonymous,
        Some("") => return Err(wrong("its source is empty")),
        Some(path) if path.starts_with(['/', '.', '~']) => {
            let path = std::path::absolute(path).map_err(|_| wrong("its source is no path"))?;
            Source::Host(path.to_string_lossy().into_owned())
        }
        Some(name) if is_name(name) => Source::Named(name.into()),
        Some(_) => return Err(wrong("a volume's name has letters, digits, _ . and - only")),
    };
    Ok(Volume { source, target: target.into(), read_only })
}

/// What Docker allows as a name of a container or a volume.
pub fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && name.len() > 1
        && chars.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// `64m`, `1.5g`, `1024`: bytes, by powers of 1024.
pub fn size(text: &str) -> Result<u64, RequestError> {
    let wrong = || RequestError::Size { text: text.into() };
    let lower = text.to_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match lower.strip_prefix(digits).unwrap_or_default() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    if number.is_finite() && number >= 0.0 { Ok((number * factor as f64) as u64) } else { Err(wrong()) }
}

/// `--log-driver`'s argument, and those of `--log-opt`.
pub fn log(driver: Option<&str>, options: &[String]) -> Result<LogOptions, RequestError> {
    let mut log = LogOptions::default();
    match driver {
        None | Some("json-file" | "local") => {}
        Some("none") => log.is_off = true,
        Some(other) => return Err(RequestError::LogDriver(other.into())),
    }
    for text in options {
        let wrong = || RequestError::LogOption(text.clone());
        match text.split_once('=').ok_or_else(wrong)? {
            ("max-size", "-1") => log.max_size = None,
            ("max-size", most) => log.max_size = Some(size(most).ok().filter(|most| *most > 0).ok_or_else(wrong)?),
            ("max-file", most) => log.max_files = most.parse().ok().filter(|most| *most > 0).ok_or_else(wrong)?,
            _ => return Err(wrong()),
        }
    }
    Ok(log)
}

/// `nofile=1024:2048`.
pub fn ulimit(text: &str) -> Result<(String, u64, u64), RequestError> {
    let wrong = || RequestError::Ulimit { text: text.into() };
    let (name, values) = text.split_once('=').ok_or_else(wrong)?;
    let name = format!("RLIMIT_{}", name.to_uppercase());
    if !super::step::LIMITS.iter().any(|(known, _)| *known == name) {
        return Err(wrong());
    }
    let number = |t: &str| if t == "-1" || t == "unlimited" { Ok(u64::MAX) } else { t.parse().map_err(|_| wrong()) };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if soft <= hard { Ok((name, soft, hard)) } else { Err(wrong()) }
}

/// `TERM`, `SIGTERM`, `15`.
pub fn signal(text: &str) -> Result<i32, RequestError> {
    let wrong = || RequestError::Signal(text.into());
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=64).contains(&number) { Ok(number) } else { Err(wrong()) };
    }
    let upper = text.to_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    if let Some(offset) = name.strip_prefix("SIGRTMIN+") {
        return offset.parse::<i32>().ok().map(|n| 34 + n).filter(|n| *n <= 64).ok_or_else(wrong);
    }
    name.parse::<nix::sys::signal::Signal>().map(|s| s as i32).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes() {
        let host = volume("/srv/www:/usr/share/nginx/html:ro").unwrap();
        assert_eq!(host.source, Source::Host("/srv/www".into()));
        assert!(host.read_only);
        assert_eq!(volume("data:/var/lib").unwrap().source, Source::Named("data".into()));
        assert_eq!(volume("/cache").unwrap().source, Source::Anonymous);
        for bad in ["data:relative", "/a:/", ":/x", "a b:/x", "/a:/b:c:d", "/a:/b:frob"] {
            assert!(volume(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_signals_limits() {
        assert_eq!(size("64m").unwrap(), 64 << 20);
        assert_eq!(size("1.5G").unwrap(), 3 << 29);
        assert!(size("lots").is_err() && size("-1").is_err() && size("5x").is_err());
        assert_eq!(signal("term").unwrap(), 15);
        assert_eq!(signal("SIGKILL").unwrap(), 9);
        assert_eq!(signal("RTMIN+3").unwrap(), 37);
        assert!(signal("0").is_err() && signal("NOPE").is_err());
        assert_eq!(ulimit("nofile=10:20").unwrap(), ("RLIMIT_NOFILE".into(), 10, 20));
        assert!(ulimit("nofile").is_err() && ulimit("wings=2").is_err());
        assert!(ulimit("nofile=20:10").is_err());
    }
}
