//! Platforms: `os/architecture[/variant]`, and the choice among those an index offers.

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, Platform as Offered};
use serde_json::{Value, json};
use std::fmt;
use std::str::FromStr;

/// BuildKit's mark of an attestation.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const UNKNOWN: &str = "unknown";
/// The most platforms that are listed in a message; an index may have thousands.
const MOST_OFFERED: usize = 30;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a platform of the form os/architecture[/variant], such as linux/arm64")]
pub struct InvalidPlatform(String);

impl Platform {
    /// Returns the platform of this machine.
    pub fn here() -> Self {
        Self { os: "linux".into(), architecture: architecture().into(), variant: None }
    }

    /// Writes the platform into a config.
    pub fn describe(&self, config: &mut Value) {
        config["os"] = json!(self.os);
        config["architecture"] = json!(self.architecture);
        if let Some(variant) = &self.variant {
            config["variant"] = json!(variant);
        }
    }

    /// Returns whether an image for the other platform runs on this one.
    pub fn takes(&self, other: &Self) -> bool {
        self.takes_parts(&other.os, &other.architecture, other.variant.as_deref())
    }

    fn takes_parts(&self, os: &str, architecture: &str, variant: Option<&str>) -> bool {
        self.os == os && self.architecture == architecture && self.takes_variant(variant.filter(|v| !v.is_empty()))
    }

    fn takes_variant(&self, offered: Option<&str>) -> bool {
        match (self.variant.as_deref(), offered) {
            (Some(wanted), Some(offered)) => wanted == offered,
            // A variant higher than the base needs processors that may not be there.
            (None, Some(offered)) => self.base_variant().is_none_or(|base| base == offered),
            (Some(wanted), None) => self.base_variant().is_none_or(|base| base == wanted),
            (None, None) => true,
        }
    }

    /// Returns the variant that an architecture has where none is named.
    fn base_variant(&self) -> Option<&'static str> {
        match self.architecture.as_str() {
            "amd64" => Some("v1"),
            "arm64" => Some("v8"),
            "arm" => Some("v7"),
            _ => None,
        }
    }

    pub fn takes_offered(&self, offered: &Offered) -> bool {
        let variant = offered.variant().as_deref();
        self.takes_parts(&offered.os().to_string(), &offered.architecture().to_string(), variant)
    }

    pub fn takes_config(&self, config: &ImageConfiguration) -> bool {
        let variant = config.variant().as_deref();
        self.takes_parts(&config.os().to_string(), &config.architecture().to_string(), variant)
    }
}

/// Returns the architecture of this machine as Go names it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// Returns the entries of an index that may be the image for a platform: first those that name it, then those that name none.
/// Passes over attestations and artifacts.
pub fn candidates<'a>(index: &'a ImageIndex, wanted: &Platform) -> Vec<&'a Descriptor> {
    let named = |d: &&Descriptor| d.platform().as_ref().is_some_and(|offered| wanted.takes_offered(offered));
    let unnamed = |d: &&Descriptor| d.platform().is_none();
    let images = || index.manifests().iter().filter(|descriptor| is_image(descriptor));
    images().filter(named).chain(images().filter(unnamed)).collect()
}

/// Returns whether nothing says that an entry is something else than an image.
pub(crate) fn is_image(descriptor: &Descriptor) -> bool {
    let marked = |name| descriptor.annotations().as_ref().is_some_and(|all| all.contains_key(name));
    descriptor.artifact_type().is_none() && !marked(REFERENCE_TYPE)
}

/// Returns the platforms that an index has images for, as many as a message can list.
pub fn offered<'a>(descriptors: impl Iterator<Item = &'a Descriptor>) -> Vec<String> {
    let mut offered: Vec<String> = Vec::new();
    // Attestations have the platform `unknown`.
    for platform in descriptors.filter_map(of_descriptor).filter(|platform| platform.os != UNKNOWN) {
        let platform = platform.to_string();
        if offered.len() == MOST_OFFERED {
            offered.push("…".into());
            break;
        }
        if !offered.contains(&platform) {
            offered.push(platform);
        }
    }
    offered
}

/// Returns the platform in an entry of an index.
pub(crate) fn of_descriptor(descriptor: &Descriptor) -> Option<Platform> {
    let offered = descriptor.platform().as_ref()?;
    Some(Platform {
        os: offered.os().to_string(),
        architecture: offered.architecture().to_string(),
        variant: offered.variant().clone(),
    })
}

/// Returns the platform in a config.
pub fn of_config(config: &ImageConfiguration) -> Platform {
    Platform {
        os: config.os().to_string(),
        architecture: config.architecture().to_string(),
        variant: config.variant().clone().filter(|v| !v.is_empty()),
    }
}

crate::store::record_as_text!(Platform);

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let parts = [Some(&self.os), Some(&self.architecture), self.variant.as_ref()];
        for (number, part) in parts.into_iter().flatten().enumerate() {
            if number > 0 {
                f.write_str("/")?;
            }
            // An index of a stranger may hold characters that change a terminal.
            part.chars().filter(|c| !c.is_control()).take(64).try_for_each(|c| write!(f, "{c}"))?;
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let invalid = || InvalidPlatform(text.to_owned());
        let mut parts = text.split('/').map(str::to_ascii_lowercase);
        let (os, architecture) = (parts.next().ok_or_else(invalid)?, parts.next().ok_or_else(invalid)?);
        let variant = parts.next();
        let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        let all_words = is_word(&os) && is_word(&architecture) && variant.as_deref().is_none_or(is_word);
        if os.is_empty() || architecture.is_empty() || parts.next().is_some() || !all_words {
            return Err(invalid());
        }
        // The names that uname prints.
        let architecture = match architecture.as_str() {
            "x86_64" | "x86-64" => "amd64".into(),
            "aarch64" => "arm64".into(),
            _ => architecture,
        };
        Ok(Self { os, architecture, variant })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_takes_its_own_base_variant() {
        let takes = |wanted: &str, os: &str, architecture: &str, variant| {
            wanted.parse::<Platform>().unwrap().takes_parts(os, architecture, variant)
        };
        assert!(takes("linux/amd64", "linux", "amd64", None));
        assert!(takes("linux/x86_64", "linux", "amd64", Some("v1")));
        assert!(!takes("linux/amd64", "linux", "amd64", Some("v3")));
        assert!(takes("linux/arm64/v8", "linux", "arm64", None));
        assert!(takes("linux/arm/v6", "linux", "arm", Some("v6")));
        assert!(!takes("linux/arm/v6", "linux", "arm", None));
        assert!(!takes("linux/arm64", "linux", "amd64", None));
        assert!("linux".parse::<Platform>().is_err());
        assert!("linux/amd64,linux/arm64".parse::<Platform>().is_err());
    }
}
