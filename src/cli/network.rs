//! `network`: what containers share to reach each other.

use super::confirm::confirm;
use super::flags::LabelFilter;
use super::format::{Format, print_objects};
use super::listing::{Fields, Listing, Row};
use super::{Context, stderr};
use crate::container::live::connect;
use crate::container::request;
use crate::container::stored::record::Container;
use crate::diag::{Diagnose, Failure, inner_of};
use crate::network::shared::{self, Endpoint, Mac, NetworkError, Record, Wanted};
use crate::store::Store;
use clap::{Args, Subcommand};
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a network
    Create(CreateArgs),
    /// List networks
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// Show networks as JSON
    Inspect(InspectArgs),
    /// Remove networks
    #[command(visible_alias = "remove")]
    Rm(RmArgs),
    /// Remove networks that no container is made for
    Prune(PruneArgs),
    /// Put a container on a network
    Connect(ConnectArgs),
    /// Take a container off a network
    Disconnect(DisconnectArgs),
    /// Say by the exit code whether a network exists
    Exists(Name),
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// Set the driver: bridge is the only one
    #[arg(short, long, default_value = "bridge", value_parser = driver, hide_default_value = true)]
    driver: String,
    /// Set the subnet, IPv4 or IPv6
    #[arg(long, value_name = "SUBNET", value_parser = subnet)]
    subnet: Vec<IpNet>,
    /// Set the network's own address
    #[arg(long, value_name = "IP")]
    gateway: Vec<IpAddr>,
    /// Give addresses from this part of the subnet only
    #[arg(long, value_name = "SUBNET", value_parser = subnet)]
    ip_range: Vec<IpNet>,
    /// Give IPv6 addresses, too
    #[arg(long)]
    ipv6: bool,
    /// Give its containers no way out
    #[arg(long)]
    internal: bool,
    /// Set a label
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = shared::label)]
    label: Vec<(String, String)>,
    /// Set an option: broadcast=true lets containers hear each other's broadcasts, for 30 containers at most
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = shared::option)]
    opt: Vec<(String, String)>,
    /// Containers connect to it as they like, as without this flag
    #[arg(long, hide = true)]
    attachable: bool,
    /// Do nothing if the network exists
    #[arg(long, hide = true)]
    ignore: bool,
    name: String,
}

#[derive(Args)]
pub(super) struct LsArgs {
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
    /// Do not shorten IDs
    #[arg(long)]
    no_trunc: bool,
    /// List only some: name=TEXT, id=TEXT, label=NAME[=VALUE], driver=NAME, dangling=BOOL, type=custom or builtin
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<Filter>,
    /// Print through a template: json, 'table {{.Name}}\t{{.Driver}}'
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
}

#[derive(Args)]
pub(super) struct InspectArgs {
    /// Print through a Go template
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
    #[arg(required = true, value_name = "NETWORK")]
    names: Vec<String>,
}

#[derive(Args)]
pub(super) struct RmArgs {
    /// Succeed for a network that does not exist
    #[arg(short, long)]
    force: bool,
    #[arg(required = true, value_name = "NETWORK")]
    names: Vec<String>,
}

#[derive(Args)]
pub(super) struct PruneArgs {
    /// Do not ask for confirmation
    #[arg(short, long)]
    force: bool,
    /// Remove only some: label=NAME[=VALUE], label!=NAME[=VALUE]
    #[arg(long, value_name = "KEY=VALUE", value_parser = prune_filter)]
    filter: Vec<Filter>,
}

#[derive(Args)]
pub(super) struct ConnectArgs {
    /// Set the container's IPv4 address there
    #[arg(long, value_name = "IPV4")]
    ip: Option<Ipv4Addr>,
    /// Set the container's IPv6 address there
    #[arg(long, value_name = "IPV6")]
    ip6: Option<Ipv6Addr>,
    /// Give the container another name there
    #[arg(long, value_name = "NAME", value_parser = request::alias)]
    alias: Vec<String>,
    /// Set the hardware address of its device there
    #[arg(long, value_name = "MAC", value_parser = request::mac)]
    mac_address: Option<Mac>,
    #[arg(value_name = "NETWORK")]
    network: String,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

#[derive(Args)]
pub(super) struct DisconnectArgs {
    /// Succeed for a container that does not exist
    #[arg(short, long)]
    force: bool,
    #[arg(value_name = "NETWORK")]
    network: String,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

#[derive(Args)]
pub(super) struct Name {
    #[arg(value_name = "NETWORK")]
    name: String,
}

/// `--filter`
#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    Name(String),
    Id(String),
    Label(LabelFilter),
    NoLabel(LabelFilter),
    Driver(String),
    Dangling(bool),
    Custom(bool),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("invalid filter {0:?}")]
    Filter(String),
    #[error("invalid filter {0:?}: a prune filters by labels")]
    PruneFilter(String),
    #[error("a network has one subnet, gateway and range for each of IPv4 and IPv6")]
    Several,
    #[error("there is no driver {0:?}: {1}")]
    Driver(String, &'static str),
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl Diagnose for CommandError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Network)
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Filter(_) => {
                "filters: name=TEXT, id=TEXT, label=NAME[=VALUE], driver=bridge, dangling=true, type=custom".into()
            }
            Self::PruneFilter(_) => "filters: label=NAME[=VALUE], label!=NAME[=VALUE]".into(),
            Self::Several => "make two networks, and put containers on both".into(),
            Self::Driver(..) => "leave out --driver".into(),
            Self::Network(_) => return self.inner().and_then(Diagnose::hint),
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

const DRIVER: &str = "bridge";

fn driver(name: &str) -> Result<String, CommandError> {
    let why = match name {
        DRIVER => return Ok(name.to_owned()),
        "host" | "none" => "the networks host and none are there: run --network host",
        "macvlan" | "ipvlan" => "a device of the host's own network is its root's to give",
        "overlay" => "it joins machines, and minirun knows one",
        _ => "bridge is the only one",
    };
    Err(CommandError::Driver(name.to_owned(), why))
}

fn subnet(text: &str) -> Result<IpNet, NetworkError> {
    if text.contains(':') { shared::subnet_v6(text).map(Into::into) } else { shared::subnet_v4(text).map(Into::into) }
}

fn filter(text: &str) -> Result<Filter, CommandError> {
    let unknown = || CommandError::Filter(text.to_owned());
    let (key, value) = text.split_once('=').ok_or_else(unknown)?;
    match (key, value) {
        ("name", value) => Ok(Filter::Name(value.to_owned())),
        ("id", value) => Ok(Filter::Id(value.to_owned())),
        ("driver", value) => Ok(Filter::Driver(value.to_owned())),
        ("dangling", "true" | "1") => Ok(Filter::Dangling(true)),
        ("dangling", "false" | "0") => Ok(Filter::Dangling(false)),
        ("type", "custom") => Ok(Filter::Custom(true)),
        ("type", "builtin") => Ok(Filter::Custom(false)),
        ("label", value) => Ok(Filter::Label(LabelFilter::new(value))),
        ("label!", value) => Ok(Filter::NoLabel(LabelFilter::new(value))),
        _ => Err(unknown()),
    }
}

fn prune_filter(text: &str) -> Result<Filter, CommandError> {
    match filter(text) {
        Ok(filter @ (Filter::Label(_) | Filter::NoLabel(_))) => Ok(filter),
        _ => Err(CommandError::PruneFilter(text.to_owned())),
    }
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        let store = &context.store;
        match self {
            Self::Create(arguments) => create(arguments, store),
            Self::Ls(arguments) => ls(&arguments, store),
            Self::Inspect(arguments) => inspect(&arguments, store),
            Self::Rm(arguments) => Ok(rm(&arguments, store)),
            Self::Prune(arguments) => prune(&arguments, store),
            Self::Connect(arguments) => {
                let container = Container::find(store, &arguments.container)?;
                let ConnectArgs { ip, ip6, alias, mac_address, network, .. } = arguments;
                let endpoint = Endpoint { network, v4: ip, v6: ip6, mac: mac_address, aliases: alias };
                connect::connect(store, &container, endpoint)?;
                Ok(0)
            }
            Self::Disconnect(arguments) => match Container::find(store, &arguments.container) {
                Err(_) if arguments.force => Ok(0),
                container => {
                    connect::disconnect(store, &container?, &arguments.network)?;
                    Ok(0)
                }
            },
            Self::Exists(name) => Ok(u8::from(shared::find(store, &name.name).is_err())),
        }
    }
}

fn create(arguments: CreateArgs, store: &Store) -> Result<u8, Failure> {
    let (mut wanted, mut several) =
        (Wanted { v6: arguments.ipv6, internal: arguments.internal, ..Wanted::default() }, false);
    for subnet in arguments.subnet {
        match subnet {
            IpNet::V4(subnet) => several |= wanted.subnet.replace(subnet).is_some(),
            IpNet::V6(subnet) => several |= wanted.subnet_v6.replace(subnet).is_some(),
        }
    }
    for gateway in arguments.gateway {
        match gateway {
            IpAddr::V4(gateway) => several |= wanted.gateway.replace(gateway).is_some(),
            IpAddr::V6(gateway) => several |= wanted.gateway_v6.replace(gateway).is_some(),
        }
    }
    for range in arguments.ip_range {
        match range {
            IpNet::V4(range) => several |= wanted.range.replace(range).is_some(),
            // The IPv6 address follows from the IPv4 address.
            IpNet::V6(_) => {}
        }
    }
    if several {
        return Err(CommandError::Several.into());
    }
    wanted.labels = arguments.label.into_iter().collect();
    wanted.options = arguments.opt.into_iter().collect();
    let created = match shared::create(store, &arguments.name, wanted) {
        Err(NetworkError::Exists(_)) if arguments.ignore => shared::find(store, &arguments.name),
        other => other,
    };
    println!("{}", created.map_err(CommandError::from)?.id);
    Ok(0)
}

const FIELDS: Fields = &[
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("CreatedAt", "CREATED AT"),
];

/// A network as it is listed: one of the store, or one of the two that are the absence of one.
struct Listed {
    driver: &'static str,
    record: Record,
}

fn listed(store: &Store) -> Vec<Listed> {
    let mut all: Vec<Listed> = shared::all(store).into_iter().map(|record| Listed { driver: DRIVER, record }).collect();
    let missing =
        [("host", "host"), ("none", "null")].map(|(name, driver)| Listed { driver, record: Record::without(name) });
    all.extend(missing);
    all.sort_by(|a, b| a.record.name.cmp(&b.record.name));
    all
}

/// Whether a network passes: any of the filters with one key, all of those on labels, and each key.
fn passes(store: &Store, network: &Listed, filters: &[Filter]) -> bool {
    let (mut names, mut ids, mut drivers, mut dangling, mut kinds) = (None, None, None, None, None);
    let record = &network.record;
    for filter in filters {
        let (any, fits) = match filter {
            Filter::Name(text) => (&mut names, record.name.contains(text.as_str())),
            Filter::Id(text) => (&mut ids, record.id.contains(text.as_str())),
            Filter::Driver(driver) => (&mut drivers, driver == network.driver),
            Filter::Dangling(wanted) => {
                (&mut dangling, (is_made(record) && users(store, record).is_empty()) == *wanted)
            }
            Filter::Custom(wanted) => (&mut kinds, is_made(record) == *wanted),
            Filter::Label(label) if label.holds(&record.labels) => continue,
            Filter::NoLabel(label) if !label.holds(&record.labels) => continue,
            Filter::Label(_) | Filter::NoLabel(_) => return false,
        };
        *any = Some(any.unwrap_or(false) || fits);
    }
    [names, ids, drivers, dangling, kinds].into_iter().flatten().all(|fits| fits)
}

/// Whether somebody has made it.
fn is_made(record: &Record) -> bool {
    !record.created.is_empty()
}

/// Returns the containers that are made for a network, whether they run or not.
fn users(store: &Store, record: &Record) -> Vec<String> {
    let is_on = |container: &Container| {
        container.record.request.endpoints.iter().any(|endpoint| endpoint.network == record.name)
    };
    Container::all(store).into_iter().filter(is_on).map(|container| container.record.name).collect()
}

fn ls(arguments: &LsArgs, store: &Store) -> Result<u8, Failure> {
    let listing = Listing::new(FIELDS, vec!["ID", "Name", "Driver", "Scope"], &arguments.format)?;
    let shown: Vec<Listed> =
        listed(store).into_iter().filter(|network| passes(store, network, &arguments.filter)).collect();
    let id = |record: &Record| match arguments.no_trunc {
        true => record.id.clone(),
        false => record.id.chars().take(12).collect(),
    };
    if arguments.quiet {
        shown.iter().for_each(|network| println!("{}", id(&network.record)));
        return Ok(0);
    }
    let rows: Vec<Row> = shown.iter().map(|network| row(network, &id(&network.record))).collect();
    listing.print(&rows)?;
    Ok(0)
}

fn row(network: &Listed, id: &str) -> Row {
    let record = &network.record;
    let mut row = Row::default();
    row.set("ID", id);
    row.set("Name", &record.name);
    row.set("Driver", network.driver);
    row.set("Scope", "local");
    row.set("IPv6", record.v6.is_some().to_string());
    row.set("Internal", record.internal.to_string());
    row.set("CreatedAt", &record.created);
    row.set_labels(&record.labels);
    row
}

/// Returns a network as Docker's API describes it.
fn described(store: &Store, Listed { driver, record }: &Listed) -> Value {
    let mut members = Map::new();
    for lease in shared::members(store, record) {
        let v4 = format!("{}/{}", lease.v4, record.subnet.prefix_len());
        let v6 = lease.v6.zip(record.v6).map(|(address, v6)| format!("{address}/{}", v6.subnet.prefix_len()));
        let mut names = vec![lease.name.clone()];
        names.extend(lease.aliases);
        let member = json!({
            "Name": lease.name, "EndpointID": "", "MacAddress": lease.mac, "IPv4Address": v4,
            "IPv6Address": v6.unwrap_or_default(), "DNSNames": names,
        });
        members.insert(lease.container, member);
    }
    let mut subnets = Vec::new();
    if *driver == DRIVER {
        let mut v4 = json!({"Subnet": record.subnet, "Gateway": record.gateway});
        if let Some(range) = record.range {
            v4["IPRange"] = json!(range);
        }
        subnets.push(v4);
        subnets.extend(record.v6.map(|v6| json!({"Subnet": v6.subnet, "Gateway": v6.gateway})));
    }
    json!({
        "Name": record.name,
        "Id": record.id,
        "Created": record.created,
        "Scope": "local",
        "Driver": driver,
        "EnableIPv4": true,
        "EnableIPv6": record.v6.is_some(),
        "IPAM": {"Driver": "default", "Options": {}, "Config": subnets},
        "Internal": record.internal,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": false,
        "Containers": members,
        "Options": record.options,
        "Labels": record.labels,
    })
}

fn inspect(arguments: &InspectArgs, store: &Store) -> Result<u8, Failure> {
    let mut described_all = Vec::new();
    let mut code = 0;
    for name in &arguments.names {
        let without = |listed: &Listed| listed.record.name == *name && listed.driver != DRIVER;
        let found = match shared::find(store, name) {
            Err(error) => listed(store).into_iter().find(without).ok_or(error),
            Ok(record) => Ok(Listed { driver: DRIVER, record }),
        };
        match found {
            Ok(network) => described_all.push(described(store, &network)),
            Err(error) => {
                stderr::report(&error);
                code = 1;
            }
        }
    }
    print_objects(arguments.format.as_deref(), described_all)?;
    Ok(code)
}

fn rm(arguments: &RmArgs, store: &Store) -> u8 {
    let mut code = 0;
    for name in &arguments.names {
        let removed = shared::find(store, name).and_then(|record| shared::remove(store, &record));
        match removed {
            Err(NetworkError::NotFound(_)) if arguments.force => println!("{name}"),
            Err(error) => {
                stderr::report(&error);
                code = 1;
            }
            Ok(()) => println!("{name}"),
        }
    }
    code
}

fn prune(arguments: &PruneArgs, store: &Store) -> Result<u8, Failure> {
    let question = "WARNING! This will remove all custom networks not used by at least one container.\n\
                    Are you sure you want to continue?";
    if !arguments.force && !confirm(question, "minirun network prune -f")? {
        return Ok(1);
    }
    remove_unused(store, |network| passes(store, network, &arguments.filter))?;
    Ok(0)
}

/// Removes all networks that no container is made for.
pub(super) fn prune_unused(store: &Store) -> Result<(), Failure> {
    remove_unused(store, |_| true)
}

/// Removes the networks that no container is made for, and prints their names.
fn remove_unused(store: &Store, is_wanted: impl Fn(&Listed) -> bool) -> Result<(), Failure> {
    let mut removed = Vec::new();
    for network in listed(store) {
        let record = &network.record;
        if !is_made(record) || !is_wanted(&network) || !users(store, record).is_empty() {
            continue;
        }
        match shared::remove(store, record) {
            // A container has just come.
            Err(NetworkError::InUse { .. }) => {}
            other => {
                other.map_err(CommandError::from)?;
                removed.push(record.name.clone());
            }
        }
    }
    if !removed.is_empty() {
        println!("Deleted Networks:");
        removed.iter().for_each(|name| println!("{name}"));
        println!();
    }
    Ok(())
}
