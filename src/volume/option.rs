//! The options of a volume, as Docker's driver `local` has them: `type`, `device` and `o`.

use super::error::VolumeError;
use std::collections::BTreeMap;

pub(crate) type Options = BTreeMap<String, String>;

/// Where the files of a volume are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backing {
    /// In its directory in the store.
    Store,
    /// In a directory of the host, which is mounted with these options.
    Host { directory: String, options: Vec<String> },
    /// In memory, with these options of a tmpfs; each container has its own.
    Memory { options: Vec<String> },
}

/// Parses the argument of `--opt`.
pub(crate) fn option(text: &str) -> Result<(String, String), VolumeError> {
    let wrong = |why| VolumeError::Option { text: text.to_owned(), why };
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("it has the form NAME=VALUE"))?;
    match name {
        "type" | "device" | "o" => Ok((name.to_owned(), value.to_owned())),
        "size" => Err(wrong("a directory has no size limit; a tmpfs has one, as o=size=100m")),
        _ => Err(wrong("options are type, device and o")),
    }
}

/// Parses the argument of `--label`.
pub(crate) fn label(text: &str) -> Result<(String, String), VolumeError> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() { Err(VolumeError::Label(text.to_owned())) } else { Ok((name.to_owned(), value.to_owned())) }
}

impl Backing {
    pub(crate) fn of(options: &Options) -> Result<Self, VolumeError> {
        let get = |name: &str| options.get(name).map(String::as_str).unwrap_or_default();
        let wrong = |name: &str, why| VolumeError::Option { text: format!("{name}={}", get(name)), why };
        let words: Vec<&str> = get("o").split(',').filter(|word| !word.is_empty()).collect();
        let binds = words.iter().any(|word| matches!(*word, "bind" | "rbind"));
        let others = words.iter().filter(|word| !matches!(**word, "bind" | "rbind" | "defaults" | "rw"));
        let others: Vec<String> = others.map(|word| (*word).to_owned()).collect();
        match get("type") {
            "tmpfs" => Ok(Self::Memory { options: others }),
            "" | "none" | "bind" if binds => {
                let device = get("device");
                if !device.starts_with('/') {
                    return Err(wrong("device", "it is an absolute path of the host"));
                }
                if let Some(word) = others.iter().find(|word| !is_flag(word)) {
                    let text = format!("o={word}");
                    return Err(VolumeError::Option { text, why: "a bind has no such option" });
                }
                Ok(Self::Host { directory: device.to_owned(), options: others })
            }
            "" if options.is_empty() => Ok(Self::Store),
            "" | "none" | "bind" => Err(wrong("o", "a device without a file system is mounted with o=bind")),
            _ => Err(wrong(
                "type",
                "only the host's root can mount that; mount it on the host, and use its directory with type=none, o=bind",
            )),
        }
    }
}

fn is_flag(word: &str) -> bool {
    matches!(word, "ro" | "nosuid" | "nodev" | "noexec" | "suid" | "dev" | "exec" | "noatime")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backing(texts: &[&str]) -> Result<Backing, String> {
        let options: Options = texts.iter().map(|text| option(text).unwrap()).collect();
        Backing::of(&options).map_err(|error| error.to_string())
    }

    #[test]
    fn where_the_files_are() {
        assert_eq!(backing(&[]), Ok(Backing::Store));
        let memory = Backing::Memory { options: vec!["size=100m".into(), "uid=1000".into()] };
        assert_eq!(backing(&["type=tmpfs", "device=tmpfs", "o=size=100m,uid=1000"]), Ok(memory));
        let host = Backing::Host { directory: "/srv".into(), options: vec!["ro".into()] };
        assert_eq!(backing(&["type=none", "device=/srv", "o=bind,ro"]), Ok(host));
        for wrong in [&["type=nfs", "device=:/x"][..], &["device=/srv"], &["o=bind", "device=srv"], &["o=bind"]] {
            assert!(backing(wrong).is_err(), "{wrong:?}");
        }
        assert!(option("size=10m").is_err() && option("type").is_err() && option("=x").is_err());
    }
}
