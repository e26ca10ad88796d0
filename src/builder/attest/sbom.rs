//! The packages of an image as its package managers list them, as an SPDX document.

use crate::container::rootfs::root::Root;
use crate::image::attestation::Attestation;
use crate::image::name::digest::Digest;
use crate::image::name::purl;
use crate::sys::{On, SysError};
use rustix::fs::OFlags;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::os::fd::AsRawFd;

pub(crate) const PREDICATE_TYPE: &str = "https://spdx.dev/Document";

const APK: &str = "/lib/apk/db/installed";
const DPKG: &str = "/var/lib/dpkg/status";
/// The directory with one file for each package, in images without dpkg itself.
const DPKG_PARTS: &str = "/var/lib/dpkg/status.d";
/// The databases of rpm, which are not read.
const RPM: [&str; 6] = [
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages.db",
    "/var/lib/rpm/Packages",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/usr/lib/sysimage/rpm/Packages",
];
/// The size limit for a database; none of a distribution with all its packages is as large.
const LARGEST: u64 = 256 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    /// The type of its purl: `apk` or `deb`.
    kind: &'static str,
    name: String,
    version: String,
    architecture: String,
    /// The source package, if its name differs.
    source: Option<String>,
    supplier: Option<String>,
    homepage: Option<String>,
    /// The licenses as the package states them.
    licenses: Vec<String>,
}

/// The distribution in `os-release`.
#[derive(Debug, Default)]
struct Distribution {
    id: String,
    version: String,
}

/// Makes the document of a root file system, for an image called `name`.
pub(crate) fn attestation(name: &str, root: &Root, epoch: Option<i64>) -> Result<Attestation, SysError> {
    let distribution = distribution(&read(root, "/etc/os-release")?.or(read(root, "/usr/lib/os-release")?));
    let (mut packages, mut comments) = (Vec::new(), Vec::new());
    let apk = read(root, APK)?;
    packages.extend(apk.iter().flat_map(|text| of_apk(text)));
    let mut dpkg: Vec<String> = read(root, DPKG)?.into_iter().collect();
    let has_dpkg = !dpkg.is_empty();
    for name in list(root, DPKG_PARTS)?.iter().filter(|name| !name.ends_with(".md5sums")) {
        dpkg.extend(read(root, &format!("{DPKG_PARTS}/{name}"))?);
    }
    let has_parts = dpkg.len() > usize::from(has_dpkg);
    for mut package in dpkg.iter().flat_map(|text| of_dpkg(text)) {
        let copyright = read(root, &format!("/usr/share/doc/{}/copyright", package.name))?;
        package.licenses = copyright.iter().flat_map(|text| copyright_licenses(text)).collect();
        packages.push(package);
    }
    let found = [(apk.is_some(), APK), (has_dpkg, DPKG), (has_parts, DPKG_PARTS)];
    let found: Vec<&str> = found.into_iter().filter(|(is_there, _)| *is_there).map(|(_, path)| path).collect();
    if found.is_empty() {
        comments.push("No database of apk or dpkg was found.".to_owned());
    } else {
        comments.push(format!("The packages are those that {} lists.", found.join(" and ")));
    }
    if let Some(path) = RPM.iter().find(|path| root.resolve(path, OFlags::PATH).is_ok()) {
        comments.push(format!("The packages of {path} are not listed: databases of rpm are not read."));
    }
    comments.push("Files that belong to no package, and libraries of programming languages, are not listed.".into());
    packages.sort_by(|a, b| (a.kind, &a.name, &a.version).cmp(&(b.kind, &b.name, &b.version)));
    let predicate = document(name, &packages, &distribution, &comments.join(" "), epoch);
    Ok(Attestation { predicate_type: PREDICATE_TYPE.into(), predicate })
}

/// Reads a text file of the image; links stay within it. `None`: the file does not exist.
fn read(root: &Root, path: &str) -> Result<Option<String>, SysError> {
    let Ok(file) = root.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK) else { return Ok(None) };
    let file = File::from(file);
    if !file.metadata().on("fstat", path)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).on("read", path)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn list(root: &Root, path: &str) -> Result<BTreeSet<String>, SysError> {
    let Ok(directory) = root.resolve(path, OFlags::PATH | OFlags::DIRECTORY) else { return Ok(BTreeSet::new()) };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/self/fd/{}/.", directory.as_raw_fd())).on("opendir", path)? {
        names.insert(entry.on("readdir", path)?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn distribution(text: &Option<String>) -> Distribution {
    let lines = text.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_once('='));
    let all: BTreeMap<&str, &str> = lines.map(|(name, value)| (name, value.trim().trim_matches(['"', '\'']))).collect();
    let get = |name| all.get(name).map(|value| (*value).to_owned()).unwrap_or_default();
    Distribution { id: get("ID"), version: get("VERSION_ID") }
}

fn of_apk(text: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    for stanza in text.split("\n\n") {
        // The package's own fields come first; fields of its files use the same letters.
        let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, value) in stanza.lines().filter_map(|line| line.split_once(':')) {
            fields.entry(key).or_insert(value.trim());
        }
        let get = |key| fields.get(key).filter(|value| !value.is_empty()).map(|value| (*value).to_owned());
        let (Some(name), Some(version)) = (get("P"), get("V")) else { continue };
        packages.push(Package {
            kind: "apk",
            source: get("o").filter(|origin| *origin != name),
            architecture: get("A").unwrap_or_default(),
            supplier: get("m"),
            homepage: get("U"),
            licenses: get("L").into_iter().collect(),
            name,
            version,
        });
    }
    packages
}

fn of_dpkg(text: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    for stanza in text.split("\n\n") {
        let lines = stanza.lines().filter(|line| !line.starts_with([' ', '\t']));
        let fields: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once(':')).collect();
        let get = |key| fields.get(key).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let (Some(name), Some(version)) = (get("Package"), get("Version")) else { continue };
        // A removed package keeps its entry if its configuration stays.
        if get("Status").is_some_and(|status| !status.ends_with(" installed")) {
            continue;
        }
        let source = get("Source").and_then(|source| source.split(' ').next().map(str::to_owned));
        packages.push(Package {
            kind: "deb",
            source: source.filter(|source| *source != name),
            architecture: get("Architecture").unwrap_or_default(),
            supplier: get("Maintainer"),
            homepage: get("Homepage"),
            licenses: Vec::new(),
            name,
            version,
        });
    }
    packages
}

/// Returns the license names of a machine-readable copyright file (DEP 5); none of any other.
fn copyright_licenses(text: &str) -> BTreeSet<String> {
    if !text.lines().next().is_some_and(|line| line.starts_with("Format:")) {
        return BTreeSet::new();
    }
    let names = text.lines().filter_map(|line| line.strip_prefix("License:")).map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl Package {
    /// Returns the package URL, such as `pkg:apk/alpine/busybox@1.36.1-r29?arch=x86_64&distro=alpine-3.20.3`.
    fn purl(&self, distribution: &Distribution) -> String {
        let mut qualifiers = Vec::new();
        if !self.architecture.is_empty() {
            qualifiers.push(format!("arch={}", purl::part(&self.architecture)));
        }
        let distro = [distribution.id.as_str(), distribution.version.as_str()];
        let distro: Vec<&str> = distro.into_iter().filter(|part| !part.is_empty()).collect();
        if !distro.is_empty() {
            qualifiers.push(format!("distro={}", purl::part(&distro.join("-"))));
        }
        qualifiers.extend(self.source.as_ref().map(|source| format!("upstream={}", purl::part(source))));
        let fallback = if self.kind == "apk" { "alpine" } else { "debian" };
        let namespace = if distribution.id.is_empty() { fallback } else { &distribution.id };
        let (name, version) = (purl::part(&self.name), purl::part(&self.version));
        let whole = format!("pkg:{}/{}/{name}@{version}?{}", self.kind, purl::part(namespace), qualifiers.join("&"));
        whole.trim_end_matches('?').to_owned()
    }

    /// Returns the license expression. Names that SPDX does not know become references into `extracted`.
    fn license(&self, extracted: &mut BTreeMap<String, String>) -> String {
        let known = spdx::ParseMode { allow_deprecated: true, ..spdx::ParseMode::STRICT };
        let mut expression = |text: &String| match spdx::Expression::parse_mode(text, known) {
            Ok(_) if self.licenses.len() > 1 && text.contains(' ') => format!("({text})"),
            Ok(_) => text.clone(),
            Err(_) => {
                let id = format!("LicenseRef-{}", license_name(text));
                extracted.insert(id.clone(), text.clone());
                id
            }
        };
        let all: Vec<String> = self.licenses.iter().map(&mut expression).collect();
        if all.is_empty() { "NOASSERTION".into() } else { all.join(" AND ") }
    }
}

/// Returns the text with only the characters that an SPDX id may have.
fn plain(text: &str) -> String {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Returns a unique license id: distinct names may have the same characters that SPDX allows.
fn license_name(text: &str) -> String {
    let plain = plain(text);
    if plain == text { plain } else { format!("{plain}-{:.8}", Digest::of(text.as_bytes()).hex()) }
}

fn document(name: &str, packages: &[Package], distribution: &Distribution, comment: &str, epoch: Option<i64>) -> Value {
    let mut extracted = BTreeMap::new();
    let root = "SPDXRef-DocumentRoot-Image";
    let mut all = vec![json!({
        "SPDXID": root,
        "name": name,
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    })];
    let relation = |from: &str, kind: &str, to: &str| json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to });
    let mut relations = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", root)];
    let mut seen = BTreeSet::new();
    for package in packages {
        let purl = package.purl(distribution);
        if !seen.insert(purl.clone()) {
            continue;
        }
        let digest = Digest::of(purl.as_bytes()).hex();
        let id = format!("SPDXRef-Package-{}-{}-{digest:.12}", package.kind, plain(&package.name));
        relations.push(relation(root, "CONTAINS", &id));
        let mut entry = json!({
            "SPDXID": id,
            "name": package.name,
            "versionInfo": package.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": package.license(&mut extracted),
            "copyrightText": "NOASSERTION",
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl,
            }],
        });
        if let Some(supplier) = &package.supplier {
            // `NAME <ADDRESS>` is `NAME (ADDRESS)` in SPDX.
            let who = supplier.replace('<', "(").replace('>', ")");
            entry["supplier"] = json!(format!("Person: {who}"));
        }
        if let Some(source) = &package.source {
            entry["sourceInfo"] = json!(format!("built from {source}"));
        }
        if let Some(homepage) = package.homepage.as_ref().filter(|page| page.contains("://")) {
            entry["homepage"] = json!(homepage);
        }
        all.push(entry);
    }
    let licenses = extracted.iter().map(|(id, text)| json!({ "licenseId": id, "name": text, "extractedText": text }));
    let licenses: Vec<Value> = licenses.collect();
    let created = epoch.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let created = created.unwrap_or_else(jiff::Timestamp::now).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "comment": comment,
        "creationInfo": {
            "created": created,
            "creators": [format!("Tool: minirun-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": all,
        "relationships": relations,
    });
    if !licenses.is_empty() {
        document["hasExtractedLicensingInfos"] = json!(licenses);
    }
    // The namespace is derived from the document, so that the same document always has the same one.
    document["documentNamespace"] = json!(format!("urn:uuid:{}", uuid(&Digest::of(document.to_string().as_bytes()))));
    document
}

/// Returns a UUID of version 8 (RFC 9562), whose content the maker chooses.
fn uuid(digest: &Digest) -> String {
    let hex = digest.hex();
    let variant = ['8', '9', 'a', 'b'][usize::from(hex.as_bytes()[16] & 3)];
    let part = |range: Range<usize>| hex.get(range).unwrap_or_default();
    format!("{}-{}-8{}-{variant}{}-{}", part(0..8), part(8..12), part(13..16), part(17..20), part(20..32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTALLED: &str = "C:Q1abc=\nP:busybox-extras\nV:1.36.1-r29\nA:x86_64\nS:1\nU:https://busybox.net/\nL:GPL-2.0-only\no:busybox\nm:A B <a@b>\nF:etc\nR:P\n\nP:odd\nV:1~git+2\nA:x86_64\nL:MIT custom/thing\no:odd\n";

    #[test]
    fn packages_of_apk() {
        let all = of_apk(INSTALLED);
        assert_eq!(all.len(), 2);
        let distribution = distribution(&Some("ID=alpine\nVERSION_ID=\"3.20.3\"\n".into()));
        let purl = "pkg:apk/alpine/busybox-extras@1.36.1-r29?arch=x86_64&distro=alpine-3.20.3&upstream=busybox";
        assert_eq!(all[0].purl(&distribution), purl);
        assert_eq!(all[1].purl(&Distribution::default()), "pkg:apk/alpine/odd@1~git%2B2?arch=x86_64");
        let mut extracted = BTreeMap::new();
        assert_eq!(all[0].license(&mut extracted), "GPL-2.0-only");
        assert!(extracted.is_empty());
        let id = all[1].license(&mut extracted);
        assert!(id.starts_with("LicenseRef-MIT-custom-thing-"), "{id}");
        assert_eq!(extracted[&id], "MIT custom/thing");
        assert_ne!(license_name("GPL-2+"), license_name("GPL-2"));
    }

    #[test]
    fn packages_of_dpkg() {
        let text = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36-8)\nVersion: 2.36-9+deb12u4\nDescription: a\n Package: no\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: part\nVersion: 1:2\n";
        let all = of_dpkg(text);
        let names: Vec<&str> = all.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["libc6", "part"]);
        let purl = all[0].purl(&Distribution { id: "debian".into(), version: "12".into() });
        assert_eq!(purl, "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12&upstream=glibc");
        let copyright = "Format: https://example.org\n\nFiles: *\nLicense: GPL-2+\n text\nLicense: MIT\n";
        assert_eq!(copyright_licenses(copyright).into_iter().collect::<Vec<_>>(), ["GPL-2+", "MIT"]);
        assert!(copyright_licenses("License: MIT\n").is_empty());
    }

    #[test]
    fn a_document_has_a_name_of_its_own() {
        let of = |text: &str, epoch| document("a", &of_apk(text), &Distribution::default(), "", Some(epoch));
        assert_eq!(of(INSTALLED, 1), of(INSTALLED, 1));
        let name = of(INSTALLED, 1)["documentNamespace"].clone();
        assert_ne!(name, of(INSTALLED, 2)["documentNamespace"]);
        assert_ne!(name, of("", 1)["documentNamespace"]);
        assert_eq!(name.as_str().unwrap().len(), "urn:uuid:".len() + 36);
    }
}
