//! The parsers of the options of `run`, `create` and `build`, one for each option.

use super::capability::Selected;
use super::error::RequestError;
use super::fields::{LogOptions, Ulimit};
use super::limit;
use super::signal::Signal;
use super::size::size;
use crate::network::ports::Published;
use crate::network::resolv::HostEntry;
use crate::store::is_name;
use std::net::IpAddr;

/// `--name`'s argument.
pub(crate) fn name(text: &str) -> Result<String, RequestError> {
    if is_name(text) { Ok(text.to_owned()) } else { Err(RequestError::Name(text.to_owned())) }
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

/// `--expose`'s argument.
pub(crate) fn expose(text: &str) -> Result<Published, RequestError> {
    if text.contains(':') { Err(RequestError::Expose(text.to_owned())) } else { publish(text) }
}

/// The argument of `--dns-search` and `--dns-option`.
pub(crate) fn resolver_word(text: &str) -> Result<String, RequestError> {
    let is_word = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#');
    if is_word { Ok(text.to_owned()) } else { Err(RequestError::ResolverWord(text.to_owned())) }
}

/// `--annotation`'s argument.
pub(crate) fn annotation(text: &str) -> Result<(String, String), RequestError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(RequestError::Annotation(text.to_owned())),
    }
}

/// The argument of `--cap-add` and `--cap-drop`.
pub(crate) fn selected_capability(text: &str) -> Result<Selected, RequestError> {
    Ok(text.parse()?)
}

/// `--umask`'s argument.
pub(crate) fn umask(text: &str) -> Result<u32, RequestError> {
    let mask = u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777);
    mask.ok_or_else(|| RequestError::Umask(text.to_owned()))
}

/// `--tz`'s argument: the host's file that describes the zone.
pub(crate) fn timezone(text: &str) -> Result<String, RequestError> {
    let is_name = !text.is_empty() && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    let file = if text == "local" { "/etc/localtime".to_owned() } else { format!("/usr/share/zoneinfo/{text}") };
    match std::fs::canonicalize(file) {
        Ok(file) if is_name && file.is_file() => Ok(file.to_string_lossy().into_owned()),
        _ => Err(RequestError::TimeZone(text.to_owned())),
    }
}

/// `--domainname`'s argument.
pub(crate) fn domainname(text: &str) -> Result<String, RequestError> {
    let is_domain = text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    if is_domain { Ok(text.to_owned()) } else { Err(RequestError::DomainName(text.to_owned())) }
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

/// `--cpus`' argument.
pub(crate) fn cpus(text: &str) -> Result<f64, RequestError> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| RequestError::Cpus(text.to_owned()))
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
