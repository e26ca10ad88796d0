//! What a build tells of itself: SLSA provenance in BuildKit's words, from what the build noted as it went on.

use crate::builder::files::context;
use crate::builder::read::instruction::Instruction;
use crate::builder::read::mount::Asked;
use crate::builder::read::stage::Base;
use crate::builder::walk::engine::Builder;
use crate::builder::walk::run::RunNetwork;
use crate::builder::{Attestation, BuildError, Options};
use crate::image;
use crate::image::Image;
use crate::image::name::digest::Digest;
use crate::image::name::platform::Platform;
use crate::image::name::purl;
use crate::image::name::reference::Reference;
use crate::image::stored::manifest;
use crate::image::stored::{index, layer, names};
use crate::store;
use base64::Engine;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How much is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Without values of build arguments, secrets' names and the Dockerfile.
    #[default]
    Min,
    Max,
}

/// The schema of SLSA. BuildKit's default is the older one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Version {
    #[default]
    V02,
    V1,
}

impl Version {
    fn predicate_type(self) -> &'static str {
        match self {
            Self::V02 => "https://slsa.dev/provenance/v0.2",
            Self::V1 => "https://slsa.dev/provenance/v1",
        }
    }
}

/// `--provenance`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub mode: Mode,
    pub version: Version,
    /// An address that stands for whoever runs the build.
    pub builder_id: String,
    /// The caller vouches for it.
    pub reproducible: bool,
}

/// What the parameters and materials mean: BuildKit's frontend `dockerfile.v0`, which would read them the same.
const BUILD_TYPE_V02: &str = "https://mobyproject.org/buildkit@v1";
const BUILD_TYPE_V1: &str = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";

/// Something that a build took from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    uri: String,
    /// The algorithm, and the digest in hexadecimal digits.
    digest: Option<(String, String)>,
}

impl Material {
    /// Of an address. A password in it is left out.
    pub fn fetched(address: &str, digest: Option<(&str, &str)>) -> Self {
        let digest = digest.map(|(algorithm, hex)| (algorithm.to_owned(), hex.to_owned()));
        Self { uri: without_credentials(address), digest }
    }

    fn told(&self) -> Value {
        let mut told = json!({ "uri": self.uri });
        if let Some((algorithm, hex)) = &self.digest {
            told["digest"] = json!({ algorithm: hex });
        }
        told
    }
}

fn without_credentials(address: &str) -> String {
    let address = if address.starts_with("github.com/") { format!("https://{address}") } else { address.to_owned() };
    let Some((scheme, rest)) = address.split_once("://") else { return address };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        // Of SSH the user is a part of the address.
        Some(at) if scheme == "ssh" => {
            format!("ssh://{}{}", rest[..at].split(':').next().unwrap_or("git"), &rest[at..])
        }
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => address,
    }
}

/// What a build notes as it goes on.
pub(crate) struct Record {
    begun: Timestamp,
    /// By their addresses, which makes their order the same in each build.
    materials: BTreeMap<String, Material>,
    /// What nobody else can look up: directories of the machine.
    locals: BTreeSet<String>,
    /// What RUNs ask for, and whether they go on without.
    secrets: BTreeMap<String, bool>,
    agents: BTreeMap<String, bool>,
    has_network: bool,
}

impl Record {
    pub(crate) fn of(options: &Options) -> Self {
        let mut record = Self {
            begun: Timestamp::now(),
            materials: BTreeMap::new(),
            locals: BTreeSet::new(),
            secrets: BTreeMap::new(),
            agents: BTreeMap::new(),
            has_network: false,
        };
        if options.origin.is_none() || options.source.name == "-" {
            record.locals.insert("dockerfile".into());
        }
        options.origin.iter().for_each(|origin| record.material(origin.clone()));
        record
    }

    pub(crate) fn material(&mut self, material: Material) {
        self.materials.insert(material.uri.clone(), material);
    }

    pub(crate) fn run(&mut self, network: RunNetwork, asked: impl Iterator<Item = Asked>) {
        self.has_network |= network != RunNetwork::None;
        for one in asked {
            match one {
                Asked::Secret { id, required } => drop(self.secrets.insert(id, !required)),
                Asked::Agent { id, required } => drop(self.agents.insert(id, !required)),
                Asked::Cache { .. } => {}
            }
        }
    }

    /// Whether every source is named by its content.
    fn is_complete(&self) -> bool {
        self.locals.is_empty() && self.materials.values().all(|material| material.digest.is_some())
    }
}

impl Builder<'_> {
    pub(crate) fn note_image(&mut self, name: &str, platform: &Platform, image: &Image) -> Result<(), BuildError> {
        if self.options.attestations.provenance.is_none() {
            return Ok(());
        }
        let reference = name.parse::<Reference>().ok().map(Reference::or_latest);
        let known = match &reference {
            Some(reference) => names::resolve(self.store, reference)?.filter(|name| {
                name.image == image.id || index::holding(self.store, &image.id).contains(&name.manifest)
            }),
            None => None,
        };
        // It may be meant by its id.
        let known = match known {
            None => names::of_image(self.store, &image.id)?.into_iter().next(),
            known => known,
        };
        let manifest = match &known {
            Some(known) => known.manifest,
            None => image::manifests(self.store, &image.id)?.first().copied().unwrap_or(image.id),
        };
        let uri = match reference.filter(|reference| reference.digest.is_some()).or(known.map(|known| known.reference))
        {
            Some(reference) => purl::of_image(&reference, platform),
            None => format!("pkg:docker/{}?digest={manifest}", image.id.short()),
        };
        self.record.material(Material { uri, digest: Some(("sha256".into(), manifest.hex())) });
        Ok(())
    }

    /// Files of a context are used: the build's own, or one that the command line names.
    pub(crate) fn note_context(&mut self, name: Option<&str>) {
        let origin = match name {
            None => self.options.origin.clone(),
            Some(name) => match self.plan.named.files(name) {
                Some(files) => files.origin.clone(),
                None => return,
            },
        };
        match origin {
            Some(origin) => self.record.material(origin),
            None => drop(self.record.locals.insert(name.unwrap_or("context").to_owned())),
        }
    }

    /// An ADD of an address was found done: what it fetched then is known from what the step was made of.
    pub(crate) fn note_found(&mut self, number: usize, address: &str, checksum: Option<&str>) {
        if let Some(commit) = context::commit(address).filter(|_| context::is_git(address)) {
            return self.record.material(Material::fetched(address, Some(("sha1", commit))));
        }
        let entry = self.work[number].keys.last().and_then(|(_, key)| self.cache.inputs(key));
        let file = entry.as_ref().and_then(|inputs| inputs.files.first());
        let contents = file.and_then(|(_, what)| what.rsplit(' ').next()).filter(|hex| hex.len() == 64);
        let digest = checksum.and_then(|text| text.split_once(':')).or(contents.map(|hex| ("sha256", hex)));
        self.record.material(Material::fetched(address, digest));
    }

    pub(crate) fn provenance(&mut self, wanted: &Wanted) -> Result<Attestation, BuildError> {
        let options = self.options;
        // With a fixed time the same build tells the same, another day too.
        let is_fixed = options.epoch.is_some();
        let times = (!is_fixed).then(|| (self.record.begun.to_string(), Timestamp::now().to_string()));
        let id = (!is_fixed).then(|| store::random_hex(32));
        let (request, is_whole) = self.request(wanted.mode);
        let (config, metadata) = match wanted.mode {
            Mode::Min => (Value::Null, Value::Null),
            Mode::Max => self.config()?,
        };
        let origin = options.origin.as_ref();
        let path = self.dockerfile();
        let here = Platform::here().to_string();
        let materials: Vec<Value> = self.record.materials.values().map(Material::told).collect();
        let (is_complete, has_network) = (self.record.is_complete(), self.record.has_network);
        let mut source = origin.map_or_else(|| json!({}), Material::told);
        let predicate = match wanted.version {
            Version::V02 => {
                source["entryPoint"] = json!(path);
                json!({
                    "builder": { "id": wanted.builder_id },
                    "buildType": BUILD_TYPE_V02,
                    "materials": materials,
                    "invocation": {
                        "configSource": source,
                        "parameters": request,
                        "environment": { "platform": here },
                    },
                    "buildConfig": config,
                    "metadata": {
                        "buildInvocationID": id,
                        "buildStartedOn": times.as_ref().map(|(begun, _)| begun),
                        "buildFinishedOn": times.as_ref().map(|(_, ended)| ended),
                        "completeness": { "parameters": is_whole, "environment": true, "materials": is_complete },
                        "reproducible": wanted.reproducible,
                        "https://mobyproject.org/buildkit@v1#hermetic": is_complete && !has_network,
                        "https://mobyproject.org/buildkit@v1#metadata": metadata,
                    },
                })
            }
            Version::V1 => {
                source["path"] = json!(path);
                json!({
                    "buildDefinition": {
                        "buildType": BUILD_TYPE_V1,
                        "externalParameters": { "configSource": source, "request": request },
                        "internalParameters": { "builderPlatform": here, "buildConfig": config },
                        "resolvedDependencies": materials,
                    },
                    "runDetails": {
                        "builder": { "id": wanted.builder_id, "version": { "minirun": env!("CARGO_PKG_VERSION") } },
                        "metadata": {
                            "invocationId": id,
                            "startedOn": times.as_ref().map(|(begun, _)| begun),
                            "finishedOn": times.as_ref().map(|(_, ended)| ended),
                            "buildkit_hermetic": is_complete && !has_network,
                            "buildkit_completeness": { "request": is_whole, "resolvedDependencies": is_complete },
                            "buildkit_reproducible": wanted.reproducible,
                            "buildkit_metadata": metadata,
                        },
                    },
                })
            }
        };
        Ok(Attestation { predicate_type: wanted.version.predicate_type().into(), predicate: without_nulls(predicate) })
    }

    /// The Dockerfile's name, as BuildKit would get it: never where it lies on this machine.
    fn dockerfile(&self) -> String {
        let name = self.plan.source.name.as_str();
        match self.options.origin {
            _ if name == "-" || name.contains("://") => "Dockerfile".into(),
            Some(_) => name.to_owned(),
            None => name.rsplit('/').next().unwrap_or(name).to_owned(),
        }
    }

    /// What was asked for, and whether that is all of it.
    fn request(&self, mode: Mode) -> (Value, bool) {
        let options = self.options;
        let mut all: Map<String, Value> = Map::new();
        let mut add = |name: &str, value: String| drop(all.insert(name.to_owned(), json!(value)));
        options.target.iter().for_each(|target| add("target", target.clone()));
        if options.platform != Platform::here() {
            add("platform", options.platform.to_string());
        }
        if options.no_cache || !options.no_cache_stages.is_empty() {
            add("no-cache", options.no_cache_stages.join(","));
        }
        if options.pull {
            add("image-resolve-mode", "pull".into());
        }
        match options.network {
            RunNetwork::Own => {}
            RunNetwork::Host => add("force-network-mode", "host".into()),
            RunNetwork::None => add("force-network-mode", "none".into()),
        }
        if !options.hosts.is_empty() {
            let hosts: Vec<String> = options.hosts.iter().map(|one| format!("{}={}", one.name, one.address)).collect();
            add("add-hosts", hosts.join(","));
        }
        if !options.ulimits.is_empty() {
            let limits = options.ulimits.iter().map(|one| format!("{}={}:{}", one.name, one.soft, one.hard));
            add("ulimit", limits.collect::<Vec<_>>().join(","));
        }
        options.shm_size.iter().for_each(|size| add("shm-size", size.to_string()));
        let is_max = mode == Mode::Max;
        if is_max {
            options.build_args.iter().for_each(|(name, value)| add(&format!("build-arg:{name}"), value.clone()));
            options.labels.iter().for_each(|(name, value)| add(&format!("label:{name}"), value.clone()));
        }
        let has_more = !options.build_args.is_empty() || !options.labels.is_empty();
        let has_more = has_more || !self.record.secrets.is_empty() || !self.record.agents.is_empty();
        let mut request = json!({ "frontend": "dockerfile.v0", "args": all });
        if !self.record.locals.is_empty() {
            request["locals"] = self.record.locals.iter().map(|name| json!({ "name": name })).collect();
        }
        let asked = |all: &BTreeMap<String, bool>| -> Value {
            let one = |(id, optional): (&String, &bool)| match optional {
                true => json!({ "id": id, "optional": true }),
                false => json!({ "id": id }),
            };
            all.iter().map(one).collect()
        };
        for (name, all) in [("secrets", &self.record.secrets), ("ssh", &self.record.agents)] {
            if is_max && !all.is_empty() {
                request[name] = asked(all);
            }
        }
        (request, is_max || !has_more)
    }

    /// Of `mode=max`: the steps in order, and where each stands and what layers it came to.
    fn config(&self) -> Result<(Value, Value), BuildError> {
        let mut first = BTreeMap::new();
        let mut count = 0;
        for number in self.needed() {
            first.insert(number, count);
            count += self.work[number].steps.len();
        }
        // What comes last in a stage is what others take from it.
        let last = |number: usize| first.get(&number).map(|at| at + self.work[number].steps.len() - 1);
        let (mut steps, mut locations, mut layers) = (Vec::new(), Map::new(), Map::new());
        for (&number, &begin) in &first {
            let stage = &self.plan.stages[number];
            let of = self.work[number].steps.len();
            for (at, step) in self.work[number].steps.iter().enumerate() {
                let id = format!("step{}", begin + at);
                let mut inputs: Vec<usize> = match (&step.instruction, &stage.base) {
                    (Instruction::From(_), Base::Stage(base)) => last(*base).into_iter().collect(),
                    (Instruction::From(_), _) => Vec::new(),
                    _ => vec![begin + at - 1],
                };
                inputs.extend(self.needs(number, step).into_iter().filter_map(last));
                let inputs: Vec<String> = inputs.iter().map(|input| format!("step{input}:0")).collect();
                let name = format!("[{} {}/{of}] {}", stage.name(), at + 1, self.plan.source.text(&step.node));
                steps.push(json!({ "id": id, "name": name, "inputs": inputs }));
                let range = json!({ "start": { "line": step.node.first }, "end": { "line": step.node.last } });
                locations.insert(id.clone(), json!({ "locations": [{ "ranges": [range] }] }));
                let depths = &self.work[number].depths;
                let (Some(depth), before) = (depths.get(at), at.checked_sub(1).and_then(|at| depths.get(at))) else {
                    continue;
                };
                // One layer takes the place of all with --squash.
                if before != Some(depth) && *depth > 0 && !self.options.squash {
                    let chain =
                        self.work[number].state.as_ref().map(|state| &state.layers[..*depth]).unwrap_or_default();
                    let told = chain.iter().map(|one| self.descriptor(one)).collect::<Result<Vec<_>, _>>()?;
                    layers.insert(format!("{id}:0"), json!([told]));
                }
            }
        }
        let data = base64::engine::general_purpose::STANDARD.encode(&self.options.text);
        let info = json!({ "filename": self.dockerfile(), "language": "Dockerfile", "data": data });
        let metadata = json!({ "source": { "locations": locations, "infos": [info] }, "layers": layers });
        Ok((json!({ "steps": steps }), metadata))
    }

    fn descriptor(&self, diff_id: &Digest) -> Result<Value, BuildError> {
        let blob = manifest::stored(&layer::known(self.store, diff_id)?);
        Ok(json!({ "mediaType": blob.media_type, "digest": blob.digest, "size": blob.size }))
    }
}

/// What is not known is not there.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(all) => {
            let kept = all.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_no_password() {
        for (given, told) in [
            ("https://user:secret@example.org/a.git#main", "https://example.org/a.git#main"),
            ("https://example.org/a@b", "https://example.org/a@b"),
            ("ssh://git:secret@example.org/a", "ssh://git@example.org/a"),
            ("git@example.org:a.git", "git@example.org:a.git"),
            ("github.com/a/b", "https://github.com/a/b"),
        ] {
            assert_eq!(without_credentials(given), told);
        }
    }
}
