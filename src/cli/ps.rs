//! `ps`: the list of containers.

use super::flags::{Condition, LabelFilter, boolean, filter, passes};
use super::format::Format;
use super::listing::{Fields, Listing, Row};
use super::{Context, human, published};
use crate::container::request::Network;
use crate::container::stored::health::HealthStatus;
use crate::container::stored::record::{Container, Phase, State};
use crate::diag::Failure;
use crate::image;
use crate::image::name::digest::Digest;
use crate::image::stored::usage::bytes;
use crate::image::{Image, ImageError};
use crate::store::Store;
use clap::Args;
use regex::Regex;
use std::collections::{BTreeMap, HashMap};

#[derive(Args)]
pub(super) struct PsArgs {
    /// List stopped containers too
    #[arg(short, long)]
    all: bool,
    /// Print only container IDs
    #[arg(short, long)]
    quiet: bool,
    /// List only the newest container
    #[arg(short, long)]
    latest: bool,
    /// List only the newest containers, this many; -1 lists all
    #[arg(
        short = 'n',
        long,
        value_name = "NUMBER",
        default_value = "-1",
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    last: i64,
    /// Print the sizes of the containers' changes
    #[arg(short, long)]
    size: bool,
    /// Do not shorten IDs and commands
    #[arg(long)]
    no_trunc: bool,
    /// List only what matches, such as status=exited, name=web, label=KEY
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = filter::<ContainerFilter>)]
    filters: Vec<ContainerFilter>,
    /// Print through a template: json, 'table {{.Names}}\t{{.Status}}', '{{.ID}}'
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
}

/// A condition of `ps --filter`.
#[derive(Debug, Clone)]
enum ContainerFilter {
    Ancestor(String),
    Before(String),
    Since(String),
    Exited(i32),
    Port { is_published: bool, first: u16, last: u16, protocol: String },
    Health(String),
    Id(Regex),
    IsTask(bool),
    Label(LabelFilter),
    Name(Regex),
    Network(String),
    Status(String),
    Volume(String),
}

const STATUSES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];
const HEALTH: [&str; 4] = ["starting", "healthy", "unhealthy", "none"];

impl Condition for ContainerFilter {
    const KEYS: &'static [&'static str] = &[
        "ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "name", "network", "publish",
        "since", "status", "volume",
    ];

    fn of(key: &str, value: &str) -> Result<Self, Option<String>> {
        let one_of = |words: &[&str]| match words.contains(&value) {
            true => Ok(value.to_owned()),
            false => Err(Some(format!("it is one of {}", words.join(", ")))),
        };
        let pattern = |value: &str| Regex::new(value).map_err(|_| Some("it is no regular expression".to_owned()));
        Ok(match key {
            "ancestor" => Self::Ancestor(value.to_owned()),
            "before" => Self::Before(value.to_owned()),
            "since" => Self::Since(value.to_owned()),
            "exited" => Self::Exited(value.parse().map_err(|_| Some("it is an exit code".to_owned()))?),
            "expose" | "publish" => {
                port(value, key == "publish").ok_or(Some("it is PORT[-PORT][/tcp|/udp]".to_owned()))?
            }
            "health" => Self::Health(one_of(&HEALTH)?),
            "id" => Self::Id(pattern(value)?),
            "is-task" => Self::IsTask(boolean(value)?),
            "label" => Self::Label(LabelFilter::new(value)),
            // Names are kept with a slash by Docker, whose users write it or not.
            "name" => Self::Name(pattern(&value.replacen("^/", "^", 1))?),
            "network" => Self::Network(value.to_owned()),
            "status" => Self::Status(one_of(&STATUSES)?),
            "volume" => Self::Volume(value.to_owned()),
            _ => return Err(None),
        })
    }

    fn is_cumulative(&self) -> bool {
        matches!(self, Self::Label(_))
    }
}

fn port(value: &str, is_published: bool) -> Option<ContainerFilter> {
    let (ports, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let known = matches!(protocol, "tcp" | "udp" | "sctp") && first <= last;
    known.then(|| ContainerFilter::Port { is_published, first, last, protocol: protocol.to_owned() })
}

const FIELDS: Fields = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("RunningFor", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Status", "STATUS"),
    ("State", "STATE"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Platform", "PLATFORM"),
    ("HealthStatus", "HEALTH STATUS"),
    ("Size", "SIZE"),
];

pub(super) fn ps(arguments: &PsArgs, context: &Context) -> Result<u8, Failure> {
    let mut columns = vec!["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
    if arguments.size {
        columns.push("Size");
    }
    if arguments.quiet {
        columns = vec!["ID"];
    }
    let listing = Listing::new(FIELDS, columns, &arguments.format)?;
    let is_sized = arguments.size || listing.names("Size");
    if is_sized && !arguments.quiet {
        // Only there can all files be read.
        super::inside::enter(&context.store)?;
    }
    let store = &context.store;
    let number = if arguments.latest { 1 } else { arguments.last };
    let asks_stopped = |one: &ContainerFilter| matches!(one, ContainerFilter::Status(_) | ContainerFilter::Exited(_));
    let all = arguments.all || number >= 0 || arguments.filters.iter().any(asks_stopped);
    let found = if all { Container::all(store) } else { Container::running(store) };
    let mut containers: Vec<(Container, State)> =
        found.into_iter().map(|c| (c.state(), c)).map(|(s, c)| (c, s)).collect();
    containers.sort_by(|a, b| b.0.record.created.cmp(&a.0.record.created));
    let mut list = List { store, images: HashMap::new() };
    let bounds = list.resolve(&arguments.filters)?;
    containers.retain(|(container, state)| {
        passes(&arguments.filters, |filter| list.holds(filter, &bounds, container, state))
    });
    if let Ok(number) = usize::try_from(number) {
        containers.truncate(number);
    }
    let id = |c: &Container| if arguments.no_trunc { c.record.id.to_string() } else { c.short_id().to_owned() };
    if arguments.quiet && arguments.format == Format::Default {
        containers.iter().for_each(|(c, _)| println!("{}", id(c)));
        return Ok(0);
    }
    let mut rows = Vec::new();
    for (container, state) in &containers {
        let record = &container.record;
        let mut row = Row::default();
        row.set("ID", id(container));
        row.set("Image", &record.image);
        row.set("RunningFor", human::ago(Some(&record.created)));
        row.set("CreatedAt", human::instant(&record.created));
        row.set("Status", status(state));
        row.set("State", state.status());
        row.set("HealthStatus", "");
        row.set("Names", &record.name);
        row.set("Networks", network(container));
        row.set("Platform", "");
        row.set("Size", if is_sized { list.size(container)? } else { "N/A".into() });
        if listing.wants("Command") {
            row.set("Command", command(container, arguments.no_trunc));
        }
        if listing.wants("Ports") {
            row.set("Ports", list.ports(container, state));
        }
        if listing.wants("Label") {
            row.set_labels(&list.labels(container));
        }
        let mounts: Vec<String> =
            record.volumes.iter().map(|v| v.name.clone().unwrap_or_else(|| v.source.clone())).collect();
        let shorten = |mount: &String| match mount.char_indices().nth(15) {
            Some((end, _)) if !arguments.no_trunc => format!("{}…", mount.get(..end).unwrap_or(mount)),
            _ => mount.clone(),
        };
        row.set("Mounts", mounts.iter().map(shorten).collect::<Vec<_>>().join(","));
        row.set("LocalVolumes", record.volumes.iter().filter(|volume| volume.name.is_some()).count().to_string());
        rows.push(row);
    }
    listing.print(&rows)?;
    Ok(0)
}

/// The column STATUS in Docker's words.
pub(super) fn status(state: &State) -> String {
    match state.phase {
        Phase::Created => "Created".into(),
        Phase::Running if state.is_paused => format!("Up {} (Paused)", human::since(&state.started)),
        Phase::Running => {
            let health = match state.health.as_ref().map(|health| health.status) {
                None => String::new(),
                Some(HealthStatus::Starting) => " (health: starting)".into(),
                Some(status) => format!(" ({status})"),
            };
            format!("Up {}{health}", human::since(&state.started))
        }
        Phase::Restarting => format!("Restarting ({}) {}", state.exit_code, human::ago(Some(&state.finished))),
        Phase::Exited => format!("Exited ({}) {}", state.exit_code, human::ago(Some(&state.finished))),
    }
}

/// The command in quotes, as Docker shortens it.
pub(super) fn command(container: &Container, is_whole: bool) -> String {
    let argv =
        container.spec().ok().and_then(|s| s.process().clone()).and_then(|p| p.args().clone()).unwrap_or_default();
    let quoted = |word: String| if word.contains(' ') { format!("'{word}'") } else { word };
    let mut command = argv.into_iter().map(quoted).collect::<Vec<_>>().join(" ");
    if !is_whole && command.chars().count() > 20 {
        command = command.chars().take(19).chain(['…']).collect();
    }
    format!("{command:?}")
}

fn network(container: &Container) -> String {
    container.record.request.network_names().join(",")
}

/// What the filters name, looked up once.
struct Bounds {
    /// The containers' times.
    before: Vec<(String, String)>,
    ancestors: Vec<(String, Image)>,
}

impl Bounds {
    fn time(&self, name: &str) -> &str {
        self.before.iter().find(|(known, _)| known == name).map_or("", |(_, time)| time)
    }
}

/// The store, and the images that were read.
struct List<'a> {
    store: &'a Store,
    images: HashMap<Digest, Option<Image>>,
}

impl List<'_> {
    fn image(&mut self, container: &Container) -> Option<&Image> {
        let (store, id) = (self.store, container.record.image_id);
        self.images.entry(id).or_insert_with(|| Image::open(store, &id).ok().flatten()).as_ref()
    }

    /// Returns the labels of its image and its own.
    fn labels(&mut self, container: &Container) -> BTreeMap<String, String> {
        let of_image = self.image(container).and_then(|image| image.config().config().as_ref()?.labels().clone());
        let mut labels: BTreeMap<String, String> = of_image.into_iter().flatten().collect();
        labels.extend(container.record.request.labels.iter().cloned());
        labels
    }

    /// Returns the ports that its image exposes: `80/tcp`.
    fn exposed(&mut self, container: &Container) -> Vec<String> {
        let exposed = self.image(container).and_then(|image| image.config().config().as_ref()?.exposed_ports().clone());
        let with_protocol = |port: String| if port.contains('/') { port } else { port + "/tcp" };
        exposed.into_iter().flatten().map(with_protocol).collect()
    }

    fn ports(&mut self, container: &Container, state: &State) -> String {
        if state.phase != Phase::Running || container.record.request.network != Network::Private {
            return String::new();
        }
        let published: Vec<String> =
            state.ports.iter().map(|port| format!("{}/{}", port.container_port, port.protocol)).collect();
        let mut shown: Vec<String> =
            self.exposed(container).into_iter().filter(|port| !published.contains(port)).collect();
        shown.sort();
        if !state.ports.is_empty() {
            shown.push(published::ports(&state.ports));
        }
        shown.join(", ")
    }

    /// `12B (virtual 8.83MB)`: the bytes of the files that it changed, and with those of its image.
    fn size(&mut self, container: &Container) -> Result<String, Failure> {
        let own = bytes(&container.directory.join("upper"))?;
        let store = self.store;
        let below = self.image(container).map_or(Ok(0), |image| image.size(store))?;
        Ok(format!("{} (virtual {})", human::size(own), human::size(own + below)))
    }

    fn resolve(&self, filters: &[ContainerFilter]) -> Result<Bounds, Failure> {
        let mut bounds = Bounds { before: Vec::new(), ancestors: Vec::new() };
        for filter in filters {
            match filter {
                ContainerFilter::Before(name) | ContainerFilter::Since(name) => {
                    bounds.before.push((name.clone(), Container::find(self.store, name)?.record.created));
                }
                ContainerFilter::Ancestor(name) => match image::find(self.store, name) {
                    Ok(image) => bounds.ancestors.push((name.clone(), image)),
                    // As with Docker, nothing descends from an image that is not there.
                    Err(ImageError::NotFound { .. } | ImageError::Reference(_)) => {}
                    Err(error) => return Err(error.into()),
                },
                _ => {}
            }
        }
        Ok(bounds)
    }

    fn holds(&mut self, filter: &ContainerFilter, bounds: &Bounds, container: &Container, state: &State) -> bool {
        let record = &container.record;
        match filter {
            ContainerFilter::Ancestor(name) => {
                bounds.ancestors.iter().filter(|(known, _)| known == name).any(|(_, image)| {
                    let descends = |own: &Image| !image.layers.is_empty() && own.layers.starts_with(&image.layers);
                    record.image_id == image.id || self.image(container).is_some_and(descends)
                })
            }
            ContainerFilter::Before(name) => record.created.as_str() < bounds.time(name),
            ContainerFilter::Since(name) => record.created.as_str() > bounds.time(name),
            ContainerFilter::Exited(code) => state.phase == Phase::Exited && state.exit_code == *code,
            ContainerFilter::Port { is_published, first, last, protocol } => {
                let mut ports: Vec<String> =
                    state.ports.iter().map(|port| format!("{}/{}", port.container_port, port.protocol)).collect();
                if !is_published {
                    ports.extend(self.exposed(container));
                }
                let is_wanted = |port: &String| {
                    let (number, of) = port.split_once('/').unwrap_or((port, "tcp"));
                    of == protocol && number.parse().is_ok_and(|number: u16| (*first..=*last).contains(&number))
                };
                ports.iter().any(is_wanted)
            }
            ContainerFilter::Health(health) => {
                state.health.as_ref().map_or("none".into(), |own| own.status.to_string()) == *health
            }
            ContainerFilter::Id(pattern) => pattern.is_match(record.id.as_str()),
            ContainerFilter::IsTask(is_task) => !is_task,
            ContainerFilter::Label(label) => label.holds(&self.labels(container)),
            ContainerFilter::Name(pattern) => pattern.is_match(&record.name),
            ContainerFilter::Network(name) => container.record.request.network_names().contains(name),
            ContainerFilter::Status(status) => status == state.status(),
            ContainerFilter::Volume(wanted) => record.volumes.iter().any(|volume| {
                volume.name.as_ref() == Some(wanted) || volume.source == *wanted || volume.target == *wanted
            }),
        }
    }
}
