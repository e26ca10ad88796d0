//! A service becomes the request that `run` would make of the same wishes. Its values go through the parsers of `run`, and what
//! those refuse is a fault at its place.

use super::fault::Fault;
use super::label;
use super::place::Place;
use super::project::Project;
use super::read::Node;
use super::service::Service;
use crate::container::decide::seccomp;
use crate::container::request::mount;
use crate::container::request::{
    self, Devices, HealthCheck, Joined, Limits, Network, PERIOD, Request, RestartPolicy, Security, Source, Tmpfs,
    Volume,
};
use crate::diag::{Diagnose, in_one_line};
use crate::network::ports::{PortSpec, Protocol, Published};
use crate::network::resolv::HostAddress;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

/// A container that a project wants.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub service: String,
    pub number: usize,
    pub request: Request,
    /// Files that it gets before it is started.
    pub files: Vec<GivenFile>,
}

/// A secret or config that is not mounted, but written to the container.
#[derive(Debug, Clone)]
pub(crate) struct GivenFile {
    /// The path in the container.
    pub target: String,
    pub contents: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
}

/// What of a service has no effect, for a note each.
pub(crate) fn idle(service: &Service) -> Vec<String> {
    const IDLE: [(&str, &str); 17] = [
        ("cgroup_parent", "a container with limits has a group below one that the caller may divide"),
        ("cpu_count", "it is for Windows"),
        ("cpu_percent", "it is for Windows"),
        ("cpu_rt_period", "cgroup v2 has no limit of real-time processor time"),
        ("cpu_rt_runtime", "cgroup v2 has no limit of real-time processor time"),
        ("credential_spec", "it is for Windows"),
        ("device_cgroup_rules", "an ordinary user cannot limit devices"),
        ("external_links", "containers of one network know each other by name"),
        ("gpus", "name its nodes as devices: /dev/dri, or /dev/nvidia0"),
        ("isolation", "it is for Windows"),
        ("mem_swappiness", "cgroup v2 has no such limit"),
        ("models", "there is no runner of models"),
        ("oom_kill_disable", "cgroup v2 has no such limit"),
        ("provider", "there are no providers"),
        ("runtime", "minirun starts containers itself"),
        ("storage_opt", "the writable layer is a directory"),
        ("use_api_socket", "there is no daemon, and so no socket"),
    ];
    const CLUSTER: [&str; 4] = ["endpoint_mode", "placement", "rollback_config", "update_config"];
    let name = &service.name;
    let given = IDLE.iter().filter(|(key, _)| service.node.get(key).is_some());
    let mut notes: Vec<String> = given.map(|(key, why)| format!("{name}: {key} has no effect: {why}")).collect();
    if let Some(deploy) = service.node.get("deploy") {
        let given = CLUSTER.iter().filter(|key| deploy.get(key).is_some());
        notes.extend(
            given.map(|key| format!("{name}: deploy.{key} has no effect: it is for a cluster, not for one machine")),
        );
    }
    notes
}

/// Makes the request of a service's container.
pub(crate) fn of(project: &Project, service: &Service, number: usize) -> Result<Wanted, Fault> {
    let node = &service.node;
    let read = Reader { project, service, node };
    let text = |key: &str| node.text(key).map(str::to_owned);
    let (entrypoint, mut command) = (node.get("entrypoint"), node.texts("command"));
    let mut words = entrypoint.map(|_| node.texts("entrypoint")).unwrap_or_default().into_iter();
    let first = entrypoint.map(|_| words.next().unwrap_or_default());
    command = words.chain(command).collect();
    let environment =
        node.entries("environment").filter_map(|(name, value)| Some(format!("{name}={}", value.scalar()?)));
    let (volumes, tmpfs) = read.mounts()?;
    let mut request = Request {
        image: service.image(&project.name),
        name: Some(service.container_name(&project.name, number)),
        command,
        entrypoint: first,
        env: environment.collect(),
        workdir: text("working_dir"),
        user: text("user"),
        groups: node.texts("group_add"),
        hostname: text("hostname"),
        domainname: read.one("domainname", request::domainname)?,
        labels: label::of_container(project, service, number),
        volumes,
        volumes_from: read.all("volumes_from", |text| {
            let (name, mode) = text.split_once(':').map_or((text, ""), |(name, mode)| (name, mode));
            let text = match (name, project.services.get(name)) {
                ("container", _) => mode.to_owned(),
                (_, Some(other)) => format!("{}:{mode}", other.container_name(&project.name, 1)),
                (name, None) => format!("{name}:{mode}"),
            };
            mount::volumes_from(&text)
        })?,
        tmpfs,
        ports: read.ports()?,
        exposed: read.all("expose", request::expose)?.into_iter().flat_map(|Published(ports)| ports).collect(),
        hosts: read.all("extra_hosts", |text| request::host(&text.replacen('=', ":", 1)))?,
        dns: read.all("dns", request::dns)?,
        dns_search: read.all("dns_search", request::resolver_word)?,
        dns_options: read.all("dns_opt", request::resolver_word)?,
        annotations: pairs(node, "annotations"),
        read_only: node.is_set("read_only"),
        cap_add: read.all("cap_add", request::selected_capability)?,
        cap_drop: read.all("cap_drop", request::selected_capability)?,
        privileged: node.is_set("privileged"),
        devices: read.devices()?,
        init: node.is_set("init"),
        terminal: node.is_set("tty"),
        stdin: node.is_set("stdin_open"),
        keeps_stdin: node.is_set("stdin_open"),
        limits: read.limits()?,
        ulimits: read.ulimits()?,
        oom_score_adj: text("oom_score_adj").and_then(|text| text.parse().ok()),
        shm_size: text("shm_size").and_then(|text| text.parse().ok()),
        stop_signal: read.one("stop_signal", request::stop_signal)?,
        stop_timeout: text("stop_grace_period").and_then(|time| request::duration(&time)).map(seconds),
        log: read.log()?,
        restart: read.restart()?,
        health: read.health()?,
        ..Request::default()
    };
    request.sysctls = read.pairs_of("sysctls", request::sysctl)?;
    // A service that asks for services on the host's loopback.
    request.way_out.host_loopback |= request.hosts.iter().any(|entry| entry.address == HostAddress::HostGateway);
    let options = read.all("security_opt", request::security_option)?;
    let (security, _) = Security::of(&options);
    (request.no_new_privileges, request.masks) = (security.no_new_privileges, security.masks);
    request.filter_by(security.seccomp);
    read.namespaces(&mut request)?;
    let at = node.place;
    let whole = |error: &dyn Diagnose| refused(at, &format!("services.{}", service.name), error);
    request.check().map_err(|error| whole(&error))?;
    seccomp::check(&request).map_err(|error| whole(&error))?;
    let files = read.grants(&mut request)?;
    mount::check_targets(&request.volumes, &request.tmpfs).map_err(|error| whole(&error))?;
    Ok(Wanted { service: service.name.clone(), number, request, files })
}

/// A fault for what a parser of `run` has refused.
fn refused(at: Place, path: &str, error: &dyn Diagnose) -> Fault {
    let fault = Fault::new(at, format!("{path}: {}", in_one_line(error)));
    match error.hint() {
        // Its hint speaks of options; what it says of a value still helps.
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

fn pairs(node: &Node, key: &str) -> Vec<(String, String)> {
    node.entries(key).map(|(name, value)| (name.clone(), value.scalar().unwrap_or_default().to_owned())).collect()
}

fn seconds(nanoseconds: i64) -> u32 {
    u32::try_from(nanoseconds.saturating_add(999_999_999) / 1_000_000_000).unwrap_or(u32::MAX)
}

struct Reader<'a> {
    project: &'a Project,
    service: &'a Service,
    node: &'a Node,
}

impl Reader<'_> {
    fn path(&self, key: &str) -> String {
        format!("services.{}.{key}", self.service.name)
    }

    fn fault(&self, at: &Node, key: &str, why: impl std::fmt::Display) -> Fault {
        Fault::new(at.place, format!("{}: {why}", self.path(key)))
    }

    fn parsed<T, E: Diagnose>(&self, node: &Node, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<T, Fault> {
        parse(node.scalar().unwrap_or_default()).map_err(|error| refused(node.place, &self.path(key), &error))
    }

    fn one<T, E: Diagnose>(&self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<Option<T>, Fault> {
        self.node.get(key).map(|node| self.parsed(node, key, parse)).transpose()
    }

    fn all<T, E: Diagnose>(&self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, Fault> {
        let list = self.node.get(key).map_or(&[][..], Node::list);
        list.iter().map(|node| self.parsed(node, key, &parse)).collect()
    }

    fn pairs_of<T, E: Diagnose>(&self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, Fault> {
        let one = |(name, node): (&String, &Node)| {
            let text = format!("{name}={}", node.scalar().unwrap_or_default());
            parse(&text).map_err(|error| refused(node.place, &self.path(key), &error))
        };
        self.node.entries(key).map(one).collect()
    }

    fn mounts(&self) -> Result<(Vec<Volume>, Vec<Tmpfs>), Fault> {
        let mut volumes = Vec::new();
        let mut tmpfs = self.all("tmpfs", mount::tmpfs)?;
        for one in self.node.get("volumes").map_or(&[][..], Node::list) {
            let wrong = |why: &str| self.fault(one, "volumes", why);
            let target = mount::target(one.text("target").unwrap_or_default()).map_err(|why| wrong(&why))?;
            let source = one.text("source");
            let source = match (one.text("type").unwrap_or_default(), source) {
                ("volume", None) => Source::Anonymous,
                ("volume", Some(key)) => {
                    Source::Named(self.project.volumes.get(key).map_or(key, |volume| &volume.name).to_owned())
                }
                ("bind", Some(path)) => {
                    let makes = one.get("bind").is_none_or(|bind| bind.text("create_host_path") != Some("false"));
                    if !makes && !Path::new(path).exists() {
                        return Err(
                            wrong(&format!("{path} does not exist")).hint("make it, or leave out create_host_path")
                        );
                    }
                    Source::Host(path.to_owned())
                }
                ("tmpfs", _) => {
                    let option = |key: &str| one.get("tmpfs")?.text(key);
                    let mut words: Vec<String> =
                        option("size").map(|size| format!("size={size}")).into_iter().collect();
                    words.extend(option("mode").map(|mode| format!("mode={}", octal(mode))));
                    words.extend(one.is_set("read_only").then(|| "ro".to_owned()));
                    tmpfs.push(Tmpfs { target, options: words.join(",") });
                    continue;
                }
                (other, _) => {
                    return Err(
                        wrong(&format!("the type {other:?} is not supported")).hint("types: volume, bind, tmpfs")
                    );
                }
            };
            let mut volume = Volume::new(source, target);
            volume.is_of_mount = true;
            volume.read_only = one.is_set("read_only");
            if let Some(bind) = one.get("bind") {
                volume.is_shallow = bind.text("recursive") == Some("disabled");
                volume.propagation = bind.text("propagation").map(str::to_owned);
            }
            if let Some(of_volume) = one.get("volume") {
                volume.is_not_filled = of_volume.is_set("nocopy");
                volume.subpath = of_volume.text("subpath").map(str::to_owned);
            }
            volumes.push(volume);
        }
        Ok((volumes, tmpfs))
    }

    fn ports(&self) -> Result<Vec<PortSpec>, Fault> {
        let mut all = Vec::new();
        for one in self.node.get("ports").map_or(&[][..], Node::list) {
            let wrong = |why: String| self.fault(one, "ports", why);
            let target = one.text("target").and_then(|text| text.parse().ok()).filter(|port: &u16| *port > 0);
            let container_port = target.ok_or_else(|| wrong("the port has no target from 1 to 65535".into()))?;
            let host_ip = one.text("host_ip").filter(|text| !text.is_empty());
            let host_ip =
                host_ip.map(|text| text.parse().map_err(|_| wrong(format!("invalid address {text:?}")))).transpose()?;
            let protocol = match one.text("protocol").unwrap_or("tcp") {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                other => return Err(wrong(format!("{other:?} cannot be published, only tcp and udp"))),
            };
            let mut port = PortSpec { host_ip, host_port: 0, container_port, protocol };
            if let Some(text) = one.text("published").filter(|text| !text.is_empty()) {
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                let range =
                    first.parse::<u16>().ok().zip(last.parse::<u16>().ok()).filter(|(first, last)| first <= last);
                let (first, last) = range.ok_or_else(|| wrong(format!("invalid published port {text:?}")))?;
                let mut free = (first..=last).filter(|number| first == last || is_free(&port, *number));
                port.host_port = free.next().ok_or_else(|| wrong(format!("no port of {text} is free")))?;
            }
            all.push(port);
        }
        Ok(all)
    }

    fn devices(&self) -> Result<Vec<request::Device>, Fault> {
        let mut all = Vec::new();
        for one in self.node.get("devices").map_or(&[][..], Node::list) {
            let part = |key: &str| one.text(key);
            let source = part("source").unwrap_or_default();
            let text = [source, part("target").unwrap_or(source), part("permissions").unwrap_or("rwm")].join(":");
            let parsed = request::device(&text).map_err(|error| refused(one.place, &self.path("devices"), &error))?;
            let Devices(devices) = parsed;
            all.extend(devices);
        }
        Ok(all)
    }

    fn limits(&self) -> Result<Limits, Fault> {
        let amount = |kind: &str, key: &str| self.node.get("deploy")?.get("resources")?.get(kind)?.text(key);
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok()).filter(|number| *number > 0);
        let or = |key: &str, kind: &str, of: &str| self.node.text(key).or_else(|| amount(kind, of));
        let decimal = or("cpus", "limits", "cpus").and_then(|text| text.parse::<f64>().ok());
        let own = |key: &str| self.node.text(key);
        let mut limits = Limits {
            memory: number(or("mem_limit", "limits", "memory")),
            reservation: number(or("mem_reservation", "reservations", "memory")),
            cpus: decimal.filter(|cpus| *cpus > 0.0),
            cpu_shares: number(own("cpu_shares")),
            cpuset_cpus: self.one("cpuset", request::cpuset)?,
            io_weight: self
                .node
                .get("blkio_config")
                .and_then(|io| io.text("weight")?.parse().ok())
                .filter(|weight| *weight > 0),
            pids: number(or("pids_limit", "limits", "pids")).and_then(|number| i64::try_from(number).ok()),
            ..Limits::default()
        };
        let of_limits =
            |error: &dyn Diagnose| refused(self.node.place, &format!("services.{}", self.service.name), error);
        limits.limit_swap(self.one("memswap_limit", request::swap)?).map_err(|error| of_limits(&error))?;
        let signed = |key: &str| own(key).and_then(|text| text.parse::<i64>().ok());
        let period = signed("cpu_period").and_then(|period| u64::try_from(period).ok());
        if let Some(quota) = signed("cpu_quota") {
            limits.limit_quota(Some(quota), period.or(Some(PERIOD))).map_err(|error| of_limits(&error))?;
        }
        limits.check().map_err(|error| of_limits(&error))?;
        Ok(limits)
    }

    fn ulimits(&self) -> Result<Vec<request::Ulimit>, Fault> {
        let one = |(name, node): (&String, &Node)| {
            let soft = node.scalar().or_else(|| node.text("soft")).unwrap_or_default();
            let hard = node.scalar().or_else(|| node.text("hard")).unwrap_or(soft);
            request::ulimit(&format!("{name}={soft}:{hard}"))
                .map_err(|error| refused(node.place, &self.path("ulimits"), &error))
        };
        self.node.entries("ulimits").map(one).collect()
    }

    fn log(&self) -> Result<request::LogOptions, Fault> {
        let Some(logging) = self.node.get("logging") else { return Ok(request::LogOptions::default()) };
        let options: Vec<String> =
            pairs(logging, "options").into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        request::log(logging.text("driver"), &options)
            .map_err(|error| refused(logging.place, &self.path("logging"), &error))
    }

    fn restart(&self) -> Result<RestartPolicy, Fault> {
        if let Some(node) = self.node.get("restart") {
            return self.parsed(node, "restart", |text| text.parse());
        }
        let Some(policy) = self.node.get("deploy").and_then(|deploy| deploy.get("restart_policy")) else {
            return Ok(RestartPolicy::No);
        };
        Ok(match policy.text("condition") {
            Some("none") => RestartPolicy::No,
            Some("on-failure") => {
                RestartPolicy::OnFailure { most: policy.text("max_attempts").and_then(|text| text.parse().ok()) }
            }
            _ => RestartPolicy::Always,
        })
    }

    fn health(&self) -> Result<HealthCheck, Fault> {
        let Some(check) = self.node.get("healthcheck") else { return Ok(HealthCheck::default()) };
        if check.is_set("disable") {
            return Ok(HealthCheck { test: vec!["NONE".into()], ..HealthCheck::default() });
        }
        let test = check.texts("test");
        if let (Some(first), Some(at)) = (test.first(), check.get("test"))
            && !["NONE", "CMD", "CMD-SHELL"].contains(&first.as_str())
        {
            let fault =
                self.fault(at, "healthcheck.test", format!("a list begins with CMD, CMD-SHELL or NONE, not {first:?}"));
            return Err(fault.hint("as in: test: [CMD, pg_isready]; or in one line: test: pg_isready"));
        }
        let time = |key: &str| check.text(key).and_then(request::duration).unwrap_or_default();
        Ok(HealthCheck {
            test,
            interval: time("interval"),
            timeout: time("timeout"),
            start_period: time("start_period"),
            start_interval: time("start_interval"),
            retries: check.text("retries").and_then(|text| text.parse().ok()).unwrap_or_default(),
        })
    }

    fn namespaces(&self, request: &mut Request) -> Result<(), Fault> {
        let container = |text: &str| match text.strip_prefix("service:") {
            Some(name) => {
                let other = self.project.services.get(name).map(|other| other.container_name(&self.project.name, 1));
                format!("container:{}", other.unwrap_or_else(|| name.to_owned()))
            }
            None => text.to_owned(),
        };
        let joined = match self.one("network_mode", |text| request::network(&container(text)))? {
            Some(joined) => vec![joined],
            None => self.joined_networks()?,
        };
        request.network = if joined.is_empty() { Network::None } else { Network::Private };
        for Joined { network, way_out, endpoint } in joined {
            request.network = network;
            request.way_out.host_loopback |= way_out.host_loopback;
            request.way_out.program = way_out.program;
            request.endpoints.extend(endpoint);
        }
        let namespaces = &mut request.namespaces;
        namespaces.pid = self.one("pid", |text| request::pid(&container(text)))?.unwrap_or_default();
        namespaces.ipc = self.one("ipc", |text| request::ipc(&container(text)))?.unwrap_or_default();
        namespaces.uts_of_host = self.one("uts", request::of_host)?.unwrap_or_default();
        namespaces.cgroup_of_host = self.one("cgroup", request::of_host)?.unwrap_or_default();
        request.host_ids = self.node.text("userns_mode") == Some("host");
        Ok(())
    }

    /// Returns the networks of the project that it is on, the one that leads out first.
    fn joined_networks(&self) -> Result<Vec<Joined>, Fault> {
        let mut all: Vec<(&String, &Node)> = self.node.entries("networks").collect();
        let rank =
            |node: &Node, key: &str| node.text(key).and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
        all.sort_by_key(|(key, node)| (-rank(node, "gw_priority"), -rank(node, "priority"), (*key).clone()));
        let mut joined = Vec::new();
        for (key, node) in all {
            let name = self.project.networks.get(key).map_or(key, |network| &network.name);
            let wrong = |error: &dyn Diagnose| refused(node.place, &self.path("networks"), error);
            let mut one = request::network(name).map_err(|error| wrong(&error))?;
            if let Some(endpoint) = &mut one.endpoint {
                let address = |key: &str| {
                    node.text(key).map(|text| (text, self.fault(node, "networks", format!("invalid address {text:?}"))))
                };
                endpoint.v4 =
                    address("ipv4_address").map(|(text, fault)| text.parse().map_err(|_| fault)).transpose()?;
                endpoint.v6 =
                    address("ipv6_address").map(|(text, fault)| text.parse().map_err(|_| fault)).transpose()?;
                let mac = node.text("mac_address").or_else(|| self.node.text("mac_address"));
                endpoint.mac = mac.map(request::mac).transpose().map_err(|error| wrong(&error))?;
                let names = [self.service.name.clone()].into_iter().chain(node.texts("aliases"));
                let names = names.chain(self.project.link_names(&self.service.name));
                // A name that no resolver asks for, as one with an underscore at its beginning, is found by nobody.
                endpoint.aliases = names.filter(|name| request::alias(name).is_ok()).collect();
                endpoint.aliases.sort();
                endpoint.aliases.dedup();
            }
            joined.push(one);
        }
        if let [_, _, ..] = joined[..]
            && let Some(alone) = joined.iter().find(|one| one.endpoint.is_none())
        {
            let why = format!("{} and other networks exclude each other", alone.network);
            return Err(self.fault(self.node, "networks", why));
        }
        Ok(joined)
    }

    /// Mounts the secrets and configs that are files. Returns the others, to be written.
    fn grants(&self, request: &mut Request) -> Result<Vec<GivenFile>, Fault> {
        let mut files = Vec::new();
        for (kind, all, root) in
            [("secrets", &self.project.secrets, "/run/secrets/"), ("configs", &self.project.configs, "/")]
        {
            for grant in self.node.get(kind).map_or(&[][..], Node::list) {
                let source = grant.text("source").unwrap_or_default();
                let Some(resource) = all.get(source) else { continue };
                let target = grant.text("target").unwrap_or(source);
                let target = if target.starts_with('/') { target.to_owned() } else { format!("{root}{target}") };
                let target = mount::target(&target).map_err(|why| self.fault(grant, kind, why))?;
                if resource.is_external {
                    return Err(self
                        .fault(grant, kind, format!("{source:?} is external, and there is no store of secrets"))
                        .hint(format!("give it as a file: {kind}: {{{source}: {{file: ./{source}}}}}")));
                }
                let missing = |what: String| self.fault(grant, kind, format!("{source:?} is not there: {what}"));
                if let Some(file) = resource.node.text("file") {
                    std::fs::metadata(file).map_err(|error| missing(format!("{file}: {error}")))?;
                    let mut volume = Volume::new(Source::Host(file.to_owned()), target);
                    (volume.read_only, volume.is_of_mount) = (true, true);
                    request.volumes.push(volume);
                    continue;
                }
                let contents = self.project.contents(resource).ok_or_else(|| {
                    let variable = resource.node.text("environment").unwrap_or_default();
                    missing(format!("the variable {variable} is not set"))
                })?;
                let number = |key: &str| grant.text(key).and_then(|text| text.parse().ok()).unwrap_or_default();
                let mode =
                    grant.text("mode").and_then(|text| u32::from_str_radix(&octal(text), 8).ok()).unwrap_or(0o444);
                files.push(GivenFile { target, contents, mode, uid: number("uid"), gid: number("gid") });
            }
        }
        Ok(files)
    }
}

/// The digits of a mode: `0440` and `0o440` are octal in YAML, and `440` is taken as it is meant.
fn octal(text: &str) -> String {
    text.trim_start_matches("0o").to_owned()
}

/// Whether a port of the host can be listened on now.
fn is_free(port: &PortSpec, number: u16) -> bool {
    let address = SocketAddr::new(port.host_ip.unwrap_or([0, 0, 0, 0].into()), number);
    match port.protocol {
        Protocol::Tcp => TcpListener::bind(address).is_ok(),
        Protocol::Udp => UdpSocket::bind(address).is_ok(),
    }
}
