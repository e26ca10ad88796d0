//! A project: its services and what they use, complete and consistent.

use super::fault::{ComposeError, Fault, Sources};
use super::order;
use super::place::Place;
use super::read::interpolate::Variables;
use super::read::load::env_file;
use super::read::{Entry, Loaded, Map, Node, Value};
use super::service::Service;
use crate::builder::read::vocabulary::guess;
use crate::store;
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Project {
    pub name: String,
    pub directory: PathBuf,
    pub files: Vec<PathBuf>,
    /// The enabled services.
    pub services: IndexMap<String, Service>,
    /// Those whose profiles are not enabled.
    pub disabled: IndexMap<String, Service>,
    pub networks: IndexMap<String, Resource>,
    pub volumes: IndexMap<String, Resource>,
    pub secrets: IndexMap<String, Resource>,
    pub configs: IndexMap<String, Resource>,
    /// Keys of its own, `x-…`.
    extensions: Map,
    pub variables: Variables,
    pub notes: Vec<String>,
    pub sources: Sources,
}

/// A network, volume, secret or config of a project.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// The name in the file.
    pub key: String,
    /// The name for everybody.
    pub name: String,
    /// Somebody else makes it.
    pub is_external: bool,
    pub node: Node,
}

/// The kinds of resources, and how a message calls one.
const KINDS: [(&str, &str); 4] =
    [("networks", "network"), ("volumes", "volume"), ("secrets", "secret"), ("configs", "config")];

impl Project {
    /// Makes the project of what was read.
    pub(crate) fn new(loaded: Loaded) -> Result<Self, ComposeError> {
        let Loaded { mut node, name, directory, files, profiles, variables, notes, sources } = loaded;
        let completed = complete(&mut node, &name, &directory, &variables);
        if let Err(fault) = completed {
            return Err(sources.error(fault));
        }
        let resources = |kind: &str| -> IndexMap<String, Resource> {
            node.entries(kind)
                .filter(|(key, _)| !key.starts_with("x-"))
                .map(|(key, node)| (key.clone(), resource(key, node)))
                .collect()
        };
        let (networks, volumes) = (resources("networks"), resources("volumes"));
        let (secrets, configs) = (resources("secrets"), resources("configs"));
        let extensions = node.map().into_iter().flatten().filter(|(key, _)| key.starts_with("x-"));
        let extensions = extensions.map(|(key, entry)| (key.clone(), entry.clone())).collect();
        let all = node.entries("services").filter(|(key, _)| !key.starts_with("x-"));
        let all = all.map(|(name, node)| Service::new(name.clone(), node.clone()));
        let (mut services, mut disabled) = (IndexMap::new(), IndexMap::new());
        for service in all {
            let is_enabled = service.is_of(&profiles);
            let place = if is_enabled { &mut services } else { &mut disabled };
            place.insert(service.name.clone(), service);
        }
        let project = Self {
            name,
            directory,
            files,
            services,
            disabled,
            networks,
            volumes,
            secrets,
            configs,
            extensions,
            variables,
            notes,
            sources,
        };
        project.check()?;
        Ok(project)
    }

    /// Finds an enabled service.
    pub(crate) fn service(&self, name: &str) -> Result<&Service, ComposeError> {
        self.services.get(name).ok_or_else(|| {
            let known = self.services.keys().chain(self.disabled.keys()).map(String::as_str);
            ComposeError::NoService { name: name.to_owned(), meant: guess(name, known).map(str::to_owned) }
        })
    }

    /// Enables services whose profiles are not enabled, because they are named.
    pub(crate) fn enable(&mut self, names: &[String]) -> Result<(), ComposeError> {
        for name in names {
            if let Some(service) = self.disabled.shift_remove(name) {
                self.services.insert(name.clone(), service);
            }
        }
        self.check()
    }

    /// Returns the names of services, and of those that they depend on, in the order of a start. No names: all.
    pub(crate) fn selected(&self, names: &[String], with_dependencies: bool) -> Result<Vec<String>, ComposeError> {
        for name in names {
            self.service(name)?;
        }
        let order = order::of(&self.services)?;
        if names.is_empty() {
            return Ok(order);
        }
        let mut wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        if with_dependencies {
            for name in order.iter().rev() {
                if let Some(service) = self.services.get(name).filter(|_| wanted.contains(name.as_str())) {
                    let of_service = service.node.entries("depends_on").map(|(name, _)| name.as_str());
                    wanted.extend(of_service.collect::<Vec<_>>());
                }
            }
        }
        Ok(order.iter().filter(|name| wanted.contains(name.as_str())).cloned().collect())
    }

    /// The networks that enabled services use.
    pub(crate) fn used_networks(&self) -> Vec<&Resource> {
        self.used(&self.networks, |service| service.node.entries("networks").map(|(key, _)| key.clone()).collect())
    }

    /// The volumes that enabled services use.
    pub(crate) fn used_volumes(&self) -> Vec<&Resource> {
        self.used(&self.volumes, Service::volume_keys)
    }

    fn used<'a>(
        &'a self,
        all: &'a IndexMap<String, Resource>,
        of: impl Fn(&Service) -> Vec<String>,
    ) -> Vec<&'a Resource> {
        let keys: BTreeSet<String> = self.services.values().flat_map(of).collect();
        all.values().filter(|resource| keys.contains(&resource.key)).collect()
    }

    /// What tells whether a service is as it was: its settings, and what it is given from files.
    pub(crate) fn hash_of(&self, service: &Service) -> String {
        let mut node = service.node.clone();
        for key in ["build", "depends_on", "develop", "profiles", "pull_policy", "scale"] {
            node.remove(key);
        }
        if let Some(deploy) = node.get_mut("deploy") {
            deploy.remove("replicas");
        }
        let mut document = serde_json::json!({ "service": node.json(), "names": self.link_names(&service.name) });
        let of_file = |kind: &str, all: &IndexMap<String, Resource>| -> Vec<serde_json::Value> {
            let used = service.node.get(kind).map_or(&[][..], Node::list);
            let used = used.iter().filter_map(|grant| all.get(grant.text("source")?));
            used.map(|one| serde_json::json!([one.key, self.contents(one).unwrap_or_default()])).collect()
        };
        document["secrets"] = of_file("secrets", &self.secrets).into();
        document["configs"] = of_file("configs", &self.configs).into();
        let digest = crate::image::name::digest::Digest::of(document.to_string().as_bytes()).to_string();
        digest.strip_prefix("sha256:").map(str::to_owned).unwrap_or(digest)
    }

    /// Returns the names by which links of other services call this one.
    pub(super) fn link_names(&self, service: &str) -> Vec<String> {
        let all = self.services.values().flat_map(|other| other.node.texts("links"));
        let named = |link: String| {
            let (other, name) = link.split_once(':')?;
            (other == service).then(|| name.to_owned())
        };
        all.filter_map(named).collect()
    }

    /// Returns what a secret or config holds. `None`: what it comes from is not there.
    pub(crate) fn contents(&self, resource: &Resource) -> Option<Vec<u8>> {
        if let Some(content) = resource.node.text("content") {
            return Some(content.as_bytes().to_vec());
        }
        if let Some(variable) = resource.node.text("environment") {
            return self.variables.get(variable).map(|value| value.as_bytes().to_vec());
        }
        std::fs::read(resource.node.text("file")?).ok()
    }

    /// Returns the project as one document, as `config` prints it.
    pub(crate) fn document(&self) -> Node {
        let nowhere = Place::default();
        let mut document = Node::map_at(nowhere, [("name", Node::text_at(&self.name, nowhere))]);
        let map = |entries: Vec<(String, Node)>| {
            let entry = |(key, node): (String, Node)| (key, Entry { key: nowhere, node });
            Node::new(Value::Map(entries.into_iter().map(entry).collect()), nowhere)
        };
        let services = self.services.values().map(|service| (service.name.clone(), service.node.clone()));
        document.put("services", map(services.collect()));
        let granted = |kind: &'static str| {
            move |service: &Service| {
                let all = service.node.get(kind).map_or(&[][..], Node::list);
                all.iter().filter_map(|grant| grant.text("source").map(str::to_owned)).collect::<Vec<_>>()
            }
        };
        let resources = [
            ("networks", self.used_networks()),
            ("volumes", self.used_volumes()),
            ("secrets", self.used(&self.secrets, granted("secrets"))),
            ("configs", self.used(&self.configs, granted("configs"))),
        ];
        for (kind, all) in resources.into_iter().filter(|(_, all)| !all.is_empty()) {
            document.put(kind, map(all.into_iter().map(|one| (one.key.clone(), one.node.clone())).collect()));
        }
        for (key, entry) in &self.extensions {
            document.put(key, entry.node.clone());
        }
        document
    }

    /// Checks what enabled services say of each other.
    fn check(&self) -> Result<(), ComposeError> {
        for service in self.services.values() {
            self.check_service(service).map_err(|fault| self.sources.error(fault))?;
        }
        order::of(&self.services).map(drop)
    }

    fn check_service(&self, service: &Service) -> Result<(), Fault> {
        let name = &service.name;
        let node = &service.node;
        for (wanted, entry) in node.get("depends_on").and_then(Node::map).into_iter().flatten() {
            let is_required = entry.node.text("required") != Some("false");
            if self.services.contains_key(wanted) || !is_required {
                continue;
            }
            if let Some(other) = self.disabled.get(wanted) {
                let profiles = other.node.texts("profiles");
                let what = format!("service {name:?} depends on {wanted:?}, whose profiles are not enabled");
                let fault = Fault::new(entry.key, what);
                return Err(fault.hint(format!("enable one: minirun compose --profile {}", profiles.join(" | "))));
            }
            let known = self.services.keys().map(String::as_str).filter(|other| other != name);
            return Err(undefined(entry.key, name, "service", wanted, known));
        }
        let given = |kind: &'static str| {
            let all = node.get(kind).map_or(&[][..], Node::list);
            all.iter().filter_map(|one| Some((one.text("source")?.to_owned(), one.place)))
        };
        let networks = node.get("networks").and_then(Node::map).into_iter().flatten();
        let networks: Vec<_> = networks.map(|(key, entry)| (key.clone(), entry.key)).collect();
        let volumes = node.get("volumes").map_or(&[][..], Node::list).iter();
        let volumes = volumes.filter(|mount| mount.text("type") == Some("volume"));
        let volumes = volumes.filter_map(|mount| Some((mount.text("source")?.to_owned(), mount.place))).collect();
        let all = [
            ("network", networks, &self.networks),
            ("volume", volumes, &self.volumes),
            ("secret", given("secrets").collect(), &self.secrets),
            ("config", given("configs").collect(), &self.configs),
        ];
        for (kind, used, known) in all {
            if let Some((key, at)) = used.iter().find(|(key, _)| !known.contains_key(key) && !key.contains('$')) {
                return Err(undefined(*at, name, kind, key, known.keys().map(String::as_str)));
            }
        }
        Ok(())
    }
}

fn undefined<'a>(at: Place, service: &str, kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Fault {
    let fault = Fault::new(at, format!("service {service:?} refers to the {kind} {name:?}, which is not defined"));
    match guess(name, known) {
        Some(meant) => fault.hint(format!("did you mean {meant}?")),
        None if kind == "service" => fault,
        None => fault.hint(format!("define it at the end of the file: {kind}s: {{{name}: }}")),
    }
}

fn resource(key: &str, node: &Node) -> Resource {
    let name = node.text("name").unwrap_or(key).to_owned();
    Resource { key: key.to_owned(), name, is_external: node.is_set("external"), node: node.clone() }
}

/// Fills in what is not said.
fn complete(file: &mut Node, project: &str, directory: &Path, variables: &Variables) -> Result<(), Fault> {
    let mut uses_default = false;
    let services = file.get_mut("services").and_then(Node::map_mut).into_iter().flatten();
    for (name, entry) in services.filter(|(name, _)| !name.starts_with("x-")) {
        complete_service(name, entry, directory, variables)?;
        uses_default |= entry.node.get("networks").and_then(Node::map).is_some_and(|map| map.contains_key("default"));
    }
    if file.get("services").is_none_or(|services| services.map().is_none_or(Map::is_empty)) {
        let fault = Fault::new(file.place, "there are no services");
        return Err(fault.hint("name one at least: services: {web: {image: nginx}}"));
    }
    let at = file.place;
    if uses_default {
        let mut networks = file.remove("networks").unwrap_or_else(|| Node::map_at(at, []));
        if networks.get("default").is_none() {
            networks.put("default", Node::new(Value::Null, at));
        }
        file.put("networks", networks);
    }
    for (kind, called) in KINDS {
        for (key, entry) in file.get_mut(kind).and_then(Node::map_mut).into_iter().flatten() {
            if key.starts_with("x-") {
                continue;
            }
            complete_resource(called, key, entry, project)?;
        }
    }
    Ok(())
}

fn complete_resource(kind: &str, key: &str, entry: &mut Entry, project: &str) -> Result<(), Fault> {
    let at = entry.key;
    if entry.node.is_null() {
        entry.node = Node::map_at(at, []);
    }
    let node = &mut entry.node;
    // `external: {name: …}` is the older form.
    let older = node.get("external").and_then(|external| external.text("name").map(str::to_owned));
    if let Some(name) = older {
        node.put("name", Node::text_at(name, at));
        node.put("external", Node::new(Value::Bool(true), at));
    }
    if node.get("external").is_some_and(|external| external.value == Value::Bool(false)) {
        node.remove("external");
    }
    let is_external = node.is_set("external");
    if is_external
        && let Some(other) = ["driver", "driver_opts", "file", "ipam"].into_iter().find(|key| node.get(key).is_some())
    {
        let fault = Fault::new(at, format!("{kind} {key:?} is external, and so has no {other}"));
        return Err(fault.hint("who makes it decides about that"));
    }
    let is_given = kind == "secret" || kind == "config";
    let sources = ["file", "environment", "content"].into_iter().filter(|key| node.get(key).is_some()).count();
    if is_given && !is_external && sources != 1 && node.get("driver").is_none() {
        let fault = Fault::new(at, format!("{kind} {key:?} needs one of file and environment"));
        return Err(fault.hint(format!("as in: {kind}s: {{{key}: {{file: ./{key}.txt}}}}")));
    }
    if node.get("name").is_none() {
        let name = if is_external { key.to_owned() } else { format!("{project}_{key}") };
        node.put("name", Node::text_at(name, at));
    }
    if kind == "volume"
        && let Some(name) = node.get("name")
        && let Some(text) = name.scalar()
        && !store::is_name(text)
        && !text.contains('$')
    {
        return Err(Fault::new(name.place, format!("invalid name {text:?} of a volume")));
    }
    Ok(())
}

fn complete_service(name: &str, entry: &mut Entry, directory: &Path, variables: &Variables) -> Result<(), Fault> {
    let at = entry.key;
    let service = &mut entry.node;
    if service.get("image").is_none() && service.get("build").is_none() && service.get("provider").is_none() {
        let fault = Fault::new(at, format!("service {name:?} has neither an image nor a build"));
        return Err(fault.hint("name an image, as in: image: nginx; or a directory with a Dockerfile: build: ."));
    }
    if let Some(build) = service.get_mut("build") {
        if build.get("context").is_none() {
            build.put("context", Node::text_at(directory.to_string_lossy(), at));
        }
        if build.get("dockerfile").is_none() && build.get("dockerfile_inline").is_none() {
            build.put("dockerfile", Node::text_at("Dockerfile", at));
        }
        if let Some(twice) = build.get("dockerfile").filter(|_| build.get("dockerfile_inline").is_some()) {
            return Err(Fault::new(twice.place, "dockerfile and dockerfile_inline exclude each other"));
        }
    }
    if let (Some(mode), Some(networks)) = (service.get("network_mode"), service.get("networks"))
        && networks.map().is_some_and(|map| !map.is_empty())
    {
        let fault =
            Fault::new(mode.place, format!("service {name:?} has network_mode and networks, which exclude each other"));
        return Err(fault.hint("leave one out"));
    }
    if service.get("network_mode").is_none() && service.get("networks").is_none() {
        let default = Node::map_at(at, [("default", Node::new(Value::Null, at))]);
        service.put("networks", default);
    }
    read_environment(service, variables)?;
    read_labels(service, variables)?;
    depend(service);
    let replicas = [service.text("scale"), service.get("deploy").and_then(|deploy| deploy.text("replicas"))];
    if let (Some(one), Some(other)) = (replicas[0], replicas[1])
        && one != other
        && let Some(scale) = service.get("scale")
    {
        return Err(Fault::new(scale.place, "scale and deploy.replicas differ").hint("leave one out"));
    }
    let number = replicas.into_iter().flatten().next().and_then(|text| text.parse::<u32>().ok()).unwrap_or(1);
    if let Some(own) = service.get("container_name").filter(|_| number > 1) {
        let fault =
            Fault::new(own.place, format!("service {name:?} has {number} containers, which cannot share one name"));
        return Err(fault.hint("leave out container_name, or scale and replicas"));
    }
    check_mounts(service)
}

fn check_mounts(service: &Node) -> Result<(), Fault> {
    for mount in service.get("volumes").map_or(&[][..], Node::list) {
        if mount.map().is_none() {
            continue;
        }
        let kind = mount.text("type").unwrap_or_default();
        if kind.is_empty() {
            return Err(Fault::new(mount.place, "the volume has no type").hint("types: volume, bind, tmpfs"));
        }
        if mount.get("target").is_none() {
            return Err(Fault::new(mount.place, "the volume has no target").hint("target: /PATH/IN/CONTAINER"));
        }
        if kind == "bind" && mount.get("source").is_none() {
            return Err(Fault::new(mount.place, "the bind has no source").hint("source: ./DIRECTORY"));
        }
    }
    Ok(())
}

/// Makes the variables of `env_file` and of the caller part of `environment`.
fn read_environment(service: &mut Node, variables: &Variables) -> Result<(), Fault> {
    let Some(files) = service
        .remove("env_file")
        .or_else(|| service.get("environment").map(|_| Node::new(Value::Null, Place::default())))
    else {
        return Ok(());
    };
    let mut all = Map::new();
    let mut around = variables.clone();
    for file in files.list() {
        let path = PathBuf::from(file.text("path").unwrap_or_default());
        if file.text("required") == Some("false") && !path.exists() {
            continue;
        }
        for (name, value) in env_file(&path, &around, file.text("format") == Some("raw"), file.place)? {
            let Some(value) = value else { continue };
            if variables.get(&name).is_none() {
                around.0.insert(name.clone(), value.clone());
            }
            all.insert(name, Entry { key: file.place, node: Node::text_at(value, file.place) });
        }
    }
    let own = service.remove("environment").unwrap_or_else(|| Node::map_at(files.place, []));
    let place = own.place;
    if let Value::Map(own) = own.value {
        for (name, mut entry) in own {
            if entry.node.is_null()
                && let Some(value) = variables.get(&name)
            {
                entry.node.value = Value::Text(value.to_owned());
            }
            all.insert(name, entry);
        }
    }
    service.put("environment", Node::new(Value::Map(all), place));
    Ok(())
}

fn read_labels(service: &mut Node, variables: &Variables) -> Result<(), Fault> {
    let Some(files) = service.remove("label_file") else { return Ok(()) };
    let mut all = Map::new();
    for file in files.list() {
        let path = PathBuf::from(file.scalar().unwrap_or_default());
        for (name, value) in env_file(&path, variables, false, file.place)? {
            all.insert(name, Entry { key: file.place, node: Node::text_at(value.unwrap_or_default(), file.place) });
        }
    }
    if let Some(Node { value: Value::Map(own), .. }) = service.remove("labels") {
        all.extend(own);
    }
    service.put("labels", Node::new(Value::Map(all), files.place));
    Ok(())
}

/// Makes a service wait for those whose namespaces, names or volumes it uses.
fn depend(service: &mut Node) {
    let mut used: Vec<(String, Place)> = Vec::new();
    for key in ["network_mode", "ipc", "pid"] {
        if let Some(node) = service.get(key)
            && let Some(name) = node.scalar().and_then(|text| text.strip_prefix("service:"))
        {
            used.push((name.to_owned(), node.place));
        }
    }
    for (key, is_container) in [("links", false), ("volumes_from", true)] {
        for one in service.get(key).map_or(&[][..], Node::list) {
            let text = one.scalar().unwrap_or_default();
            if is_container && text.starts_with("container:") {
                continue;
            }
            let name = text.split(':').next().unwrap_or_default();
            used.push((name.to_owned(), one.place));
        }
    }
    if used.is_empty() {
        return;
    }
    let place = service.place;
    let mut all = service.remove("depends_on").unwrap_or_else(|| Node::map_at(place, []));
    for (name, at) in used {
        if all.get(&name).is_none() {
            let yes = || Node::new(Value::Bool(true), at);
            let condition = Node::text_at("service_started", at);
            all.put(&name, Node::map_at(at, [("condition", condition), ("required", yes()), ("restart", yes())]));
        }
    }
    service.put("depends_on", all);
}
