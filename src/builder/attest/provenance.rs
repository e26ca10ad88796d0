//! The SLSA provenance of a build, in BuildKit's form, from what the build noted as it went on.

use crate::builder::error::BuildError;
use crate::builder::files::material::Material;
use crate::builder::options::{Options, Provenance, ProvenanceMode, RunNetwork, SlsaVersion};
use crate::builder::read::instruction::{Instruction, Step};
use crate::builder::read::mount::Asked;
use crate::builder::read::stage::{Base, Plan, StageId};
use crate::image;
use crate::image::Image;
use crate::image::attestation::Attestation;
use crate::image::name::digest::Digest;
use crate::image::name::platform::Platform;
use crate::image::name::purl;
use crate::image::name::reference::Reference;
use crate::image::stored::manifest;
use crate::image::stored::{index, layer, names};
use crate::store;
use crate::store::Store;
use base64::Engine;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn predicate_type(version: SlsaVersion) -> &'static str {
    match version {
        SlsaVersion::V02 => "https://slsa.dev/provenance/v0.2",
        SlsaVersion::V1 => "https://slsa.dev/provenance/v1",
    }
}

/// The meaning of parameters and materials: that of BuildKit's frontend `dockerfile.v0`.
const BUILD_TYPE_V02: &str = "https://mobyproject.org/buildkit@v1";
const BUILD_TYPE_V1: &str = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";

/// What a build notes for its provenance as it goes on.
pub(crate) struct Record {
    begun: Timestamp,
    /// By URI, so that each build has the same order.
    materials: BTreeMap<String, Material>,
    /// The names of directories of this machine.
    locals: BTreeSet<String>,
    /// The secrets that RUNs ask for, and whether they are optional.
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

    /// Notes the use of a directory of this machine.
    pub(crate) fn local(&mut self, name: &str) {
        self.locals.insert(name.to_owned());
    }

    /// Notes the use of an image, which the Dockerfile calls `name`.
    pub(crate) fn image(
        &mut self,
        store: &Store,
        name: &str,
        platform: &Platform,
        image: &Image,
    ) -> Result<(), BuildError> {
        let reference = name.parse::<Reference>().ok().map(Reference::or_latest);
        let known = match &reference {
            Some(reference) => names::resolve(store, reference)?
                .filter(|name| name.image == image.id || index::holding(store, &image.id).contains(&name.manifest)),
            None => None,
        };
        // The Dockerfile may give its id.
        let known = match known {
            None => names::of_image(store, &image.id)?.into_iter().next(),
            known => known,
        };
        let manifest = match &known {
            Some(known) => known.manifest,
            None => image::manifests(store, &image.id)?.first().copied().unwrap_or(image.id),
        };
        let uri = match reference.filter(|reference| reference.digest.is_some()).or(known.map(|known| known.reference))
        {
            Some(reference) => purl::of_image(&reference, platform),
            None => format!("pkg:docker/{}?digest={manifest}", image.id.short()),
        };
        self.material(Material { uri, digest: Some(("sha256".into(), manifest.hex())) });
        Ok(())
    }

    /// Notes a download.
    pub(crate) fn material(&mut self, material: Material) {
        self.materials.insert(material.uri.clone(), material);
    }

    /// Notes a RUN.
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

    /// Whether every source is identified by its content.
    fn is_complete(&self) -> bool {
        self.locals.is_empty() && self.materials.values().all(|material| material.digest.is_some())
    }
}

/// A stage of a finished build.
pub(crate) struct FinishedStage<'a> {
    pub id: StageId,
    pub steps: &'a [Step],
    /// The number of layers after each step.
    pub depths: &'a [usize],
    pub layers: &'a [Digest],
}

/// Makes the provenance of a finished build. `stages` are those that the target needs, in order.
pub(crate) fn attestation(
    wanted: &Provenance,
    store: &Store,
    options: &Options,
    plan: &Plan,
    record: &Record,
    stages: &[FinishedStage],
) -> Result<Attestation, BuildError> {
    Describer { store, options, plan, record, stages }.provenance(wanted)
}

impl Attestation {
    pub(crate) fn is_provenance(&self) -> bool {
        self.predicate_type.starts_with("https://slsa.dev/provenance/")
    }
}

struct Describer<'a> {
    store: &'a Store,
    options: &'a Options,
    plan: &'a Plan,
    record: &'a Record,
    stages: &'a [FinishedStage<'a>],
}

impl Describer<'_> {
    fn provenance(&self, wanted: &Provenance) -> Result<Attestation, BuildError> {
        let options = self.options;
        // With a fixed time, the same build has the same provenance on another day.
        let is_fixed = options.epoch.is_some();
        let times = (!is_fixed).then(|| (self.record.begun.to_string(), Timestamp::now().to_string()));
        let id = (!is_fixed).then(|| store::random_hex(32));
        let (request, is_whole) = self.request(wanted.mode);
        let (config, metadata) = match wanted.mode {
            ProvenanceMode::Min => (Value::Null, Value::Null),
            ProvenanceMode::Max => self.build_config()?,
        };
        let origin = options.origin.as_ref();
        let path = self.dockerfile();
        let here = Platform::here().to_string();
        let materials: Vec<Value> = self.record.materials.values().map(Material::to_json).collect();
        let (is_complete, has_network) = (self.record.is_complete(), self.record.has_network);
        let mut source = origin.map_or_else(|| json!({}), Material::to_json);
        let predicate = match wanted.version {
            SlsaVersion::V02 => {
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
            SlsaVersion::V1 => {
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
        Ok(Attestation { predicate_type: predicate_type(wanted.version).into(), predicate: without_nulls(predicate) })
    }

    /// Returns the Dockerfile's name as BuildKit shows it: without its path on this machine.
    fn dockerfile(&self) -> String {
        let name = self.plan.source.name.as_str();
        match self.options.origin {
            _ if name == "-" || name.contains("://") => "Dockerfile".into(),
            Some(_) => name.to_owned(),
            None => name.rsplit('/').next().unwrap_or(name).to_owned(),
        }
    }

    /// Returns the options of the build, and whether they are complete.
    fn request(&self, mode: ProvenanceMode) -> (Value, bool) {
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
        let is_max = mode == ProvenanceMode::Max;
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

    /// Returns for `mode=max` the steps in order, and the lines and layers of each.
    fn build_config(&self) -> Result<(Value, Value), BuildError> {
        // The number of a stage's first step, and of its last one, which other stages take as their input.
        let (mut first, mut last) = (BTreeMap::new(), BTreeMap::new());
        let mut count = 0;
        for stage in self.stages {
            first.insert(stage.id, count);
            count += stage.steps.len();
            last.insert(stage.id, count - 1);
        }
        let (mut steps, mut locations, mut layers) = (Vec::new(), Map::new(), Map::new());
        for FinishedStage { id: stage_id, steps: of_stage, depths, layers: of_layers } in self.stages {
            let (stage, begin, of) = (self.plan.stage(*stage_id), first[stage_id], of_stage.len());
            for (at, step) in of_stage.iter().enumerate() {
                let id = format!("step{}", begin + at);
                let mut inputs: Vec<usize> = match (&step.instruction, &stage.base) {
                    (Instruction::From(_), Base::Stage(base)) => last.get(base).copied().into_iter().collect(),
                    (Instruction::From(_), _) => Vec::new(),
                    _ => vec![begin + at - 1],
                };
                let sources = self.plan.sources_of(*stage_id, step);
                inputs.extend(sources.iter().filter_map(|source| last.get(source)));
                let inputs: Vec<String> = inputs.iter().map(|input| format!("step{input}:0")).collect();
                let name = format!("[{} {}/{of}] {}", stage.name(), at + 1, self.plan.source.text(&step.node));
                steps.push(json!({ "id": id, "name": name, "inputs": inputs }));
                let range = json!({ "start": { "line": step.node.first }, "end": { "line": step.node.last } });
                locations.insert(id.clone(), json!({ "locations": [{ "ranges": [range] }] }));
                let (Some(depth), before) = (depths.get(at), at.checked_sub(1).and_then(|at| depths.get(at))) else {
                    continue;
                };
                // With --squash, one layer replaces all of them.
                if before != Some(depth) && *depth > 0 && !self.options.squash {
                    let chain = of_layers.get(..*depth).unwrap_or_default();
                    let described = chain.iter().map(|one| self.descriptor(one)).collect::<Result<Vec<_>, _>>()?;
                    layers.insert(format!("{id}:0"), json!([described]));
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

/// Removes the fields whose value is unknown.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(all) => {
            let kept = all.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        other => other,
    }
}
