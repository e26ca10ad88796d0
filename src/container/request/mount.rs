//! The parsers of `-v`, `--mount`, `--tmpfs` and `--volumes-from`.

use super::fields::{Source, Tmpfs, Volume, VolumesFrom};
use super::size::size;
use crate::diag::Diagnose;
use crate::store::is_name;
use crate::volume::{self, Backing, VolumeError};
use std::collections::BTreeMap;
use std::path::{Component, Path};

#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    #[error("invalid {flag} {text:?}: {why}")]
    Invalid { flag: &'static str, text: String, why: String },
    #[error("two mounts have the target {0}")]
    Duplicate(String),
    #[error(transparent)]
    Option(#[from] VolumeError),
}

impl Diagnose for MountError {
    fn hint(&self) -> Option<String> {
        let forms = match self {
            Self::Invalid { flag: "volume", .. } => {
                "forms: -v /HOST/DIR:/IN/CONTAINER[:ro], -v NAME:/IN/CONTAINER, -v /IN/CONTAINER"
            }
            Self::Invalid { flag: "tmpfs", .. } => "as in: --tmpfs /run:size=64m",
            Self::Invalid { flag: "mount", .. } => {
                "as in: --mount type=bind,src=/HOST/DIR,dst=/IN/CONTAINER,readonly; types: bind, volume, tmpfs"
            }
            Self::Invalid { .. } => "as in: --volumes-from CONTAINER:ro",
            Self::Duplicate(_) => "leave out one of -v, --mount and --tmpfs",
            Self::Option(error) => return error.hint(),
        };
        Some(forms.into())
    }
}

/// A mount as `--mount` describes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mounted {
    Volume(Volume),
    Tmpfs(Tmpfs),
}

/// Files of /proc that show a container its limits instead of the host's resources, as LXCFS mounts them.
pub(crate) const MOUNTABLE_IN_PROC: [&str; 7] =
    ["/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime"];

/// Returns a target without what changes nothing (`//`, `.`), and with each `..` resolved.
///
/// # Errors
/// The reason why nothing can be mounted there.
pub(crate) fn target(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("the path in the container must be absolute".into());
    }
    let mut names: Vec<String> = Vec::new();
    for component in Path::new(text).components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => drop(names.pop()),
            _ => {}
        }
    }
    let target = format!("/{}", names.join("/"));
    if target == "/" {
        return Err("it would hide the whole image".into());
    }
    if Path::new(&target).starts_with("/proc") && !MOUNTABLE_IN_PROC.contains(&target.as_str()) {
        return Err("it would hide the container's own /proc, and what is masked there".into());
    }
    Ok(target)
}

/// `-v`'s argument. A relative host path must begin with a dot, as with Docker.
pub(crate) fn volume(text: &str) -> Result<Volume, MountError> {
    parse_volume(text).map_err(|why| MountError::Invalid { flag: "volume", text: text.into(), why })
}

fn parse_volume(text: &str) -> Result<Volume, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, place, options) = match parts[..] {
        [place] => (None, place, ""),
        [source, place] => (Some(source), place, ""),
        [source, place, options] => (Some(source), place, options),
        _ => return Err("it has more than three parts".into()),
    };
    let place = target(place)?;
    let source = match source {
        None => Source::Anonymous,
        Some("") => return Err("its source is empty".into()),
        Some(path) if path.starts_with(['/', '.', '~']) => host(path)?,
        Some(name) => named(name)?,
    };
    let mut volume = Volume::new(source, place);
    volume.mode = options.to_owned();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        flag(&mut volume, option)?;
    }
    Ok(volume)
}

/// Reads one option of `-v`.
fn flag(volume: &mut Volume, option: &str) -> Result<(), String> {
    match option {
        "ro" => volume.read_only = true,
        "rw" => volume.read_only = false,
        // Nothing here confines a container by SELinux labels; and a host directory is seen at once on Linux.
        "z" | "Z" | "cached" | "delegated" | "consistent" | "rbind" | "copy" | "noidmap" => {}
        "bind" => volume.is_shallow = true,
        "nocopy" => volume.is_not_filled = true,
        "nosuid" | "nodev" | "noexec" => volume.flags.push(option.to_owned()),
        "suid" | "dev" | "exec" => volume.flags.retain(|flag| *flag != format!("no{option}")),
        "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" => {
            volume.propagation = Some(option.to_owned());
        }
        "U" => return Err("U would change owners on the host; files of yours belong to root in the container".into()),
        "O" => return Err("O is not supported: mount it with :ro, or copy it: minirun cp".into()),
        _ => return Err(format!("it has the unknown option {option:?}")),
    }
    Ok(())
}

fn host(path: &str) -> Result<Source, String> {
    let path = std::path::absolute(path).map_err(|_| "its source is not a path")?;
    Ok(Source::Host(path.to_string_lossy().into_owned()))
}

fn named(name: &str) -> Result<Source, String> {
    if is_name(name) {
        return Ok(Source::Named(name.to_owned()));
    }
    Err("a volume's name has letters, digits, _ . and - only; a directory begins with / or .".into())
}

/// `--tmpfs`'s argument.
pub(crate) fn tmpfs(text: &str) -> Result<Tmpfs, MountError> {
    let (place, options) = text.split_once(':').unwrap_or((text, ""));
    let place = target(place).map_err(|why| MountError::Invalid { flag: "tmpfs", text: text.to_owned(), why })?;
    Ok(Tmpfs { target: place, options: options.to_owned() })
}

/// `--volumes-from`'s argument.
pub(crate) fn volumes_from(text: &str) -> Result<VolumesFrom, MountError> {
    let wrong = |why: &str| MountError::Invalid { flag: "--volumes-from", text: text.to_owned(), why: why.to_owned() };
    let (container, mode) = text.split_once(':').unwrap_or((text, ""));
    if container.is_empty() {
        return Err(wrong("it names no container"));
    }
    let mut is_read_only = false;
    for word in mode.split(',').filter(|word| !word.is_empty()) {
        match word {
            "ro" => is_read_only = true,
            "rw" | "z" | "Z" => {}
            _ => return Err(wrong("its options are ro and rw")),
        }
    }
    Ok(VolumesFrom { container: container.to_owned(), is_read_only })
}

/// `--mount`'s argument.
pub(crate) fn mount(text: &str) -> Result<Mounted, MountError> {
    let wrong = |why: String| MountError::Invalid { flag: "mount", text: text.to_owned(), why };
    let mut fields: BTreeMap<&str, String> = BTreeMap::new();
    let (mut options, mut labels) = (Vec::new(), Vec::new());
    for field in csv(text) {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (field.clone(), String::new()),
        };
        let key = known_key(&key).ok_or_else(|| wrong(format!("unknown key {key:?}")))?;
        let is_switch = matches!(key, "readonly" | "volume-nocopy" | "bind-nonrecursive");
        match (key, field.contains('=')) {
            (_, false) if !is_switch => return Err(wrong(format!("{key} has no value"))),
            ("volume-opt", _) => options.push(volume::option(&value)?),
            ("volume-label", _) => labels.push(volume::label(&value)?),
            _ => drop(fields.insert(key, value)),
        }
    }
    let kind = fields.remove("type").unwrap_or_else(|| "volume".into());
    let fits = |key: &&str| match key.split_once('-') {
        Some((of, _)) => of == kind,
        None => true,
    };
    let all_keys = fields.keys().copied();
    let foreign = all_keys
        .chain((!options.is_empty()).then_some("volume-opt"))
        .chain((!labels.is_empty()).then_some("volume-label"));
    if let Some(key) = foreign.into_iter().find(|key| !fits(key)) {
        return Err(wrong(format!("{key} is not for type {kind}")));
    }
    let place = fields.remove("target").ok_or_else(|| wrong("it has no target".into()))?;
    let place = target(&place).map_err(wrong)?;
    let source = fields.remove("source").filter(|source| !source.is_empty());
    let is_on = |fields: &BTreeMap<&str, String>, key: &str| match fields.get(key).map(String::as_str) {
        None => Ok(false),
        Some("" | "true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(wrong(format!("{key} is true or false, not {other:?}"))),
    };
    let source = match (kind.as_str(), source) {
        ("bind", Some(path)) => {
            let source = host(&path).map_err(wrong)?;
            if let Source::Host(path) = &source
                && !Path::new(path).exists()
            {
                return Err(wrong(format!("its source {path} does not exist")));
            }
            source
        }
        ("bind", None) => return Err(wrong("a bind has a source".into())),
        ("volume", Some(name)) => named(&name).map_err(wrong)?,
        ("volume", None) => Source::Anonymous,
        ("tmpfs", None) => {
            let mut words = Vec::new();
            if let Some(text) = fields.get("tmpfs-size") {
                words.push(format!("size={}", size(text).map_err(|error| wrong(error.to_string()))?));
            }
            if let Some(mode) = fields.get("tmpfs-mode") {
                let number = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
                words.push(format!(
                    "mode={:o}",
                    number.ok_or_else(|| wrong(format!("tmpfs-mode is octal, not {mode:?}")))?
                ));
            }
            if is_on(&fields, "readonly")? {
                words.push("ro".into());
            }
            return Ok(Mounted::Tmpfs(Tmpfs { target: place, options: words.join(",") }));
        }
        ("tmpfs", Some(_)) => return Err(wrong("a tmpfs has no source".into())),
        ("image", _) => {
            return Err(wrong("images cannot be mounted; copy their files: COPY --from, or minirun cp".into()));
        }
        (other, _) => return Err(wrong(format!("unknown type {other:?}"))),
    };
    let mut volume = Volume::new(source, place);
    volume.is_of_mount = true;
    volume.read_only = is_on(&fields, "readonly")?;
    volume.is_not_filled = is_on(&fields, "volume-nocopy")?;
    volume.is_shallow = is_on(&fields, "bind-nonrecursive")?;
    match fields.get("bind-recursive").map(String::as_str) {
        None | Some("enabled") => {}
        // Every mount below is made read-only with it, always.
        Some("writable" | "readonly") => {}
        Some("disabled") => volume.is_shallow = true,
        Some(other) => return Err(wrong(format!("unknown bind-recursive {other:?}"))),
    }
    if let Some(word) = fields.remove("bind-propagation") {
        if !matches!(word.trim_start_matches('r'), "private" | "slave" | "shared") {
            return Err(wrong(format!("unknown bind-propagation {word:?}")));
        }
        volume.propagation = Some(word);
    }
    if let Some(driver) = fields.get("volume-driver").filter(|driver| *driver != "local") {
        return Err(wrong(format!("unknown volume driver {driver:?}; there is local")));
    }
    volume.subpath = fields.remove("volume-subpath").filter(|path| !path.is_empty());
    if volume.subpath.as_ref().is_some_and(|path| {
        !Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    }) {
        return Err(wrong("volume-subpath is a relative path without ..".into()));
    }
    volume.driver_options = options.into_iter().collect();
    Backing::of(&volume.driver_options)?;
    volume.labels = labels.into_iter().collect();
    Ok(Mounted::Volume(volume))
}

/// Returns the one name of a key.
fn known_key(key: &str) -> Option<&'static str> {
    const KEYS: [&str; 16] = [
        "type",
        "source",
        "target",
        "readonly",
        "consistency",
        "bind-propagation",
        "bind-nonrecursive",
        "bind-recursive",
        "volume-nocopy",
        "volume-driver",
        "volume-opt",
        "volume-label",
        "volume-subpath",
        "tmpfs-size",
        "tmpfs-mode",
        "image-subpath",
    ];
    let key = match key {
        "src" => "source",
        "dst" | "destination" => "target",
        "ro" => "readonly",
        other => other,
    };
    KEYS.into_iter().find(|known| *known == key)
}

/// Splits fields at commas, unless they are in quotation marks (RFC 4180).
fn csv(text: &str) -> Vec<String> {
    let (mut fields, mut is_quoted) = (vec![String::new()], false);
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            c => fields.last_mut().into_iter().for_each(|field| field.push(c)),
        }
    }
    fields
}

/// Refuses two mounts with one target.
pub(crate) fn check_targets(volumes: &[Volume], tmpfs: &[Tmpfs]) -> Result<(), MountError> {
    let mut targets: Vec<&str> = volumes.iter().map(|volume| volume.target.as_str()).collect();
    targets.extend(tmpfs.iter().map(|tmpfs| tmpfs.target.as_str()));
    targets.sort_unstable();
    match targets.windows(2).find_map(|pair| (pair.first() == pair.last()).then(|| pair.first()).flatten()) {
        Some(twice) => Err(MountError::Duplicate((*twice).to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes() {
        let host = volume("/srv/www:/usr/share/nginx/html:ro").unwrap();
        assert_eq!(host.source, Source::Host("/srv/www".into()));
        assert!(host.read_only);
        assert_eq!(volume("data:/var//lib/./x/..").unwrap().source, Source::Named("data".into()));
        assert_eq!(volume("data:/var//lib/./x/..").unwrap().target, "/var/lib");
        assert_eq!(volume("/cache").unwrap().source, Source::Anonymous);
        let flags = volume("data:/x:ro,noexec,nocopy,z,rslave").unwrap();
        assert!(flags.read_only && flags.is_not_filled && flags.flags == ["noexec"]);
        assert_eq!(flags.propagation.as_deref(), Some("rslave"));
        for bad in
            ["data:relative", "/a:/", "/a:/..", ":/x", "a b:/x", "/a:/b:c:d", "/a:/b:frob", "x:/proc", "x:/proc//sys"]
        {
            assert!(volume(bad).is_err(), "{bad}");
        }
        assert!(volume("/a:/b:U").is_err() && volume("/a:/b:O").is_err());
        assert!(volume("/a:/proc/meminfo").is_ok());
    }

    #[test]
    fn mounts() {
        let Mounted::Volume(bind) = mount("type=bind,src=/,dst=/host,readonly,bind-recursive=disabled").unwrap() else {
            panic!("not a volume")
        };
        assert!(bind.read_only && bind.is_shallow && bind.source == Source::Host("/".into()));
        let text = "type=volume,source=data,destination=/d,volume-nocopy,volume-subpath=a/b,volume-label=x=y,\
                    volume-opt=type=tmpfs,\"volume-opt=o=size=1m,mode=700\"";
        let Mounted::Volume(volume) = mount(text).unwrap() else { panic!("not a volume") };
        assert_eq!((volume.subpath.as_deref(), volume.is_not_filled), (Some("a/b"), true));
        assert_eq!(volume.labels.get("x").map(String::as_str), Some("y"));
        assert_eq!(volume.driver_options.get("o").map(String::as_str), Some("size=1m,mode=700"));
        let Mounted::Tmpfs(tmpfs) = mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap() else {
            panic!("not a tmpfs")
        };
        assert_eq!((tmpfs.target.as_str(), tmpfs.options.as_str()), ("/t", "size=1048576,mode=1770"));
        for bad in [
            "type=bind,dst=/x",
            "type=bind,src=/no/such,dst=/x",
            "type=frob,dst=/x",
            "src=a",
            "type=volume,src=ab,dst=x",
            "type=bind,src=/,dst=/x,volume-nocopy",
            "type=bind,src=/,dst=/x,volume-label=a=b",
            "type=tmpfs,src=/a,dst=/x",
            "dst=/x,readonly=maybe",
            "dst=/x,frob=1",
            "dst",
            "",
            "dst=/x,volume-subpath=../y",
            "dst=/x,volume-driver=nfs",
            "type=tmpfs,dst=/x,tmpfs-mode=9",
        ] {
            assert!(mount(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_target_is_taken_once() {
        let volumes = [volume("ab:/x").unwrap(), volume("cd:/x/").unwrap()];
        assert!(check_targets(&volumes, &[]).is_err());
        assert!(check_targets(&volumes[..1], &[tmpfs("/x/y").unwrap()]).is_ok());
        assert!(check_targets(&volumes[..1], &[tmpfs("/x//").unwrap()]).is_err());
    }
}
