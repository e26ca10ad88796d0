//! The parsers of the options of `run`, `create` and `build`, one for each option.

use super::capability::{Selected, UnknownCapability};
use super::fields::{LogOptions, Network, SecurityOption, Ulimit};
use super::limit;
use super::signal::{InvalidSignal, Signal};
use crate::network::ports::{PortError, Published};
use crate::network::resolv::{HostEntry, InvalidHostEntry};
use crate::store::is_name;
use crate::sys::SysError;
use std::net::IpAddr;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("invalid container name {0:?}")]
    Name(String),
    #[error("invalid size {0:?}")]
    Size(String),
    #[error("invalid number of processors {0:?}")]
    Cpus(String),
    #[error("invalid limit {0:?}")]
    Ulimit(String),
    #[error("unknown network {0:?}")]
    Network(String),
    #[error("unknown log driver {0:?}")]
    LogDriver(String),
    #[error("invalid log option {0:?}")]
    LogOption(String),
    #[error("unknown security option {0:?}")]
    SecurityOption(String),
    #[error("invalid variable {0:?}: its name is empty")]
    Variable(String),
    #[error("invalid label {0:?}: its name is empty")]
    Label(String),
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
            Self::Ulimit(_) => "NAME=SOFT[:HARD], as nofile=1024:2048; the hard one is not below the soft one".into(),
            Self::Network(_) => "networks: bridge (the default), none, host".into(),
            Self::LogDriver(_) => {
                "drivers: json-file (the default) and local, which are the same here, and none".into()
            }
            Self::LogOption(_) => "options: max-size=20m (or -1: no limit), max-file=5".into(),
            Self::SecurityOption(_) => "options: no-new-privileges, seccomp=unconfined".into(),
            Self::Variable(_) => "forms: -e NAME=VALUE, or -e NAME to pass on your own".into(),
            Self::Label(_) => "as in: --label NAME=VALUE".into(),
            Self::Dns(_) => "as in: --dns 9.9.9.9".into(),
            Self::EnvFile(_) => return None,
            Self::Signal(error) => return error.hint(),
            Self::Capability(error) => return error.hint(),
            Self::Host(error) => return error.hint(),
            Self::Port(error) => return error.hint(),
        })
    }
}

/// `--name`'s argument.
pub(crate) fn name(text: &str) -> Result<String, RequestError> {
    if is_name(text) { Ok(text.to_owned()) } else { Err(RequestError::Name(text.to_owned())) }
}

/// `--network`'s argument.
pub(crate) fn network(text: &str) -> Result<Network, RequestError> {
    match text {
        "bridge" | "default" | "private" => Ok(Network::Private),
        "none" => Ok(Network::None),
        "host" => Ok(Network::Host),
        other => Err(RequestError::Network(other.to_owned())),
    }
}

/// `--add-host`'s argument.
pub(crate) fn host(text: &str) -> Result<HostEntry, RequestError> {
    Ok(text.parse()?)
}

/// `--dns`'s argument.
pub(crate) fn dns(text: &str) -> Result<IpAddr, RequestError> {
    text.parse().map_err(|_| RequestError::Dns(text.to_owned()))
}

/// `--publish`'s argument.
pub(crate) fn publish(text: &str) -> Result<Published, RequestError> {
    Ok(text.parse()?)
}

/// The argument of `--cap-add` and `--cap-drop`.
pub(crate) fn selected_capability(text: &str) -> Result<Selected, RequestError> {
    Ok(text.parse()?)
}

/// `--stop-signal`'s argument.
pub(crate) fn stop_signal(text: &str) -> Result<Signal, RequestError> {
    Ok(text.parse()?)
}

/// `-e`'s argument: `NAME` is passed on if it is set here, and left alone if not.
pub(crate) fn variable(entry: &str) -> Result<Option<String>, RequestError> {
    match entry.split_once('=') {
        None if !entry.is_empty() => Ok(std::env::var(entry).ok().map(|value| format!("{entry}={value}"))),
        None | Some(("", _)) => Err(RequestError::Variable(entry.to_owned())),
        Some(_) => Ok(Some(entry.to_owned())),
    }
}

/// `--label`'s argument.
pub(crate) fn label(text: &str) -> Result<(String, String), RequestError> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() { Err(RequestError::Label(text.to_owned())) } else { Ok((name.to_owned(), value.to_owned())) }
}

/// `--security-opt`'s argument.
pub(crate) fn security_option(text: &str) -> Result<SecurityOption, RequestError> {
    match text.replace(':', "=").as_str() {
        "no-new-privileges" | "no-new-privileges=true" => Ok(SecurityOption::NoNewPrivileges),
        "seccomp=unconfined" => Ok(SecurityOption::SeccompUnconfined),
        // Neither is confined by minirun.
        "label=disable" | "apparmor=unconfined" | "no-new-privileges=false" => Ok(SecurityOption::NoEffect),
        _ => Err(RequestError::SecurityOption(text.to_owned())),
    }
}

/// `--cpus`' argument.
pub(crate) fn cpus(text: &str) -> Result<f64, RequestError> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| RequestError::Cpus(text.to_owned()))
}

/// Parses a size in bytes: `64m`, `1.5g`, `1024`; units are powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, RequestError> {
    let wrong = || RequestError::Size(text.into());
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
pub(crate) fn log(driver: Option<&str>, options: &[String]) -> Result<LogOptions, RequestError> {
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

/// `--ulimit`'s argument: `nofile=1024:2048`.
pub(crate) fn ulimit(text: &str) -> Result<Ulimit, RequestError> {
    let wrong = || RequestError::Ulimit(text.into());
    let (name, values) = text.split_once('=').ok_or_else(wrong)?;
    let name = format!("RLIMIT_{}", name.to_uppercase());
    if !limit::LIMITS.iter().any(|(known, _)| *known == name) {
        return Err(wrong());
    }
    let number = |t: &str| if t == "-1" || t == "unlimited" { Ok(u64::MAX) } else { t.parse().map_err(|_| wrong()) };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if soft <= hard { Ok(Ulimit { name, soft, hard }) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::request::Request;

    #[test]
    fn sizes_and_limits() {
        assert_eq!(size("64m").unwrap(), 64 << 20);
        assert_eq!(size("1.5G").unwrap(), 3 << 29);
        assert!(size("lots").is_err() && size("-1").is_err() && size("5x").is_err());
        assert_eq!(ulimit("nofile=10:20").unwrap(), ("RLIMIT_NOFILE".into(), 10, 20).into());
        assert!(ulimit("nofile").is_err() && ulimit("wings=2").is_err());
        assert!(ulimit("nofile=20:10").is_err());
    }

    #[test]
    fn what_an_earlier_version_took_unseen_is_left_out() {
        let old = r#"{"image":"x","hosts":[["db","garbage"],["up","host-gateway"]],"dns":["not an ip","9.9.9.9"],
            "cap_drop":["mknod","ALL"],"stop_signal":"INT","ulimits":[["RLIMIT_NOFILE",1,2]]}"#;
        let request: Request = serde_json::from_str(old).unwrap();
        assert_eq!(request.hosts, ["up:host-gateway".parse().unwrap()]);
        assert_eq!(request.dns, [IpAddr::from([9, 9, 9, 9])]);
        let new = serde_json::to_value(&request).unwrap();
        assert_eq!(new["cap_drop"], serde_json::json!(["CAP_MKNOD", "ALL"]));
        assert_eq!(new["stop_signal"], "SIGINT");
        assert_eq!(new["hosts"], serde_json::json!([["up", "host-gateway"]]));
    }
}
