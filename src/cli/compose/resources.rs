//! The volumes and networks of a project, made before its containers and removed after them.

use super::error::ComposeFailure;
use crate::cli::{Context, inside, stderr};
use crate::compose::fault::Fault;
use crate::compose::read::Node;
use crate::compose::{Project, Resource, label};
use crate::diag::Failure;
use crate::network::shared::{self, NetworkError, Wanted};
use crate::volume::{self, Record};
use std::collections::BTreeMap;

/// Makes the volumes that services use.
pub(super) fn make_volumes(context: &Context, project: &Project) -> Result<(), Failure> {
    for wanted in project.used_volumes() {
        let found = volume::find(&context.store, &wanted.name);
        let name = || wanted.name.clone();
        match found {
            Err(_) if wanted.is_external => {
                return Err(ComposeFailure::External { kind: "volume", name: name() }.into());
            }
            Ok(_) if wanted.is_external => {}
            Ok(found) => match found.record.labels.get(label::PROJECT) {
                Some(other) if *other == project.name => {}
                Some(other) => {
                    return Err(ComposeFailure::Foreign { kind: "volume", name: name(), other: other.clone() }.into());
                }
                None => stderr::note(&format!(
                    "volume {} was not made by compose; it is used as it is (external: true says so)",
                    wanted.name
                )),
            },
            Err(_) => {
                let labels = label::of_resource(project, label::VOLUME, &wanted.key, pairs(wanted, "labels"));
                volume::create(&context.store, &wanted.name, Record::new(labels, pairs(wanted, "driver_opts")))?;
            }
        }
    }
    Ok(())
}

fn pairs(resource: &Resource, key: &str) -> BTreeMap<String, String> {
    let all = resource.node.entries(key);
    all.map(|(name, value)| (name.clone(), value.scalar().unwrap_or_default().to_owned())).collect()
}

/// Returns the keys of the networks that were made with other settings than the files have now.
pub(super) fn changed_networks(context: &Context, project: &Project) -> Vec<String> {
    let is_changed = |wanted: &&&Resource| {
        let found = shared::find(&context.store, &wanted.name).ok();
        found.is_some_and(|found| {
            let is_own = found.labels.get(label::PROJECT) == Some(&project.name);
            is_own && !wanted.is_external && found.labels.get(label::HASH) != Some(&hash(wanted))
        })
    };
    project.used_networks().iter().filter(is_changed).map(|wanted| wanted.key.clone()).collect()
}

fn hash(wanted: &Resource) -> String {
    crate::image::name::digest::Digest::of(wanted.node.json().to_string().as_bytes()).to_string()
}

/// Makes the networks that services use.
pub(super) fn make_networks(context: &Context, project: &Project) -> Result<(), Failure> {
    for wanted in project.used_networks() {
        let name = || wanted.name.clone();
        let is_built_in = matches!(wanted.name.as_str(), "host" | "none");
        match shared::find(&context.store, &wanted.name) {
            Err(_) if wanted.is_external && !is_built_in => {
                return Err(ComposeFailure::External { kind: "network", name: name() }.into());
            }
            _ if wanted.is_external => {}
            Ok(found) => match found.labels.get(label::PROJECT) {
                Some(other) if *other == project.name => {}
                Some(other) => {
                    return Err(ComposeFailure::Foreign { kind: "network", name: name(), other: other.clone() }.into());
                }
                None => stderr::note(&format!(
                    "network {} was not made by compose; it is used as it is (external: true says so)",
                    wanted.name
                )),
            },
            Err(_) => match shared::create(&context.store, &wanted.name, network(project, wanted)?) {
                // A project that was brought up at the same moment.
                Ok(_) | Err(NetworkError::Exists(_)) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
    Ok(())
}

/// Returns a network as the files describe it.
fn network(project: &Project, resource: &Resource) -> Result<Wanted, Failure> {
    let node = &resource.node;
    let mut labels = label::of_resource(project, label::NETWORK, &resource.key, pairs(resource, "labels"));
    labels.insert(label::HASH.into(), hash(resource));
    let mut wanted =
        Wanted { v6: node.is_set("enable_ipv6"), internal: node.is_set("internal"), labels, ..Wanted::default() };
    if let Some(driver) = node.text("driver").filter(|driver| !["bridge", "default"].contains(driver)) {
        stderr::note(&format!("network {}: the driver {driver} has no effect: there is bridge", resource.key));
    }
    for (name, value) in pairs(resource, "driver_opts") {
        match shared::option(&format!("{name}={value}")) {
            Ok((name, value)) => drop(wanted.options.insert(name, value)),
            Err(_) => stderr::note(&format!("network {}: the option {name} has no effect", resource.key)),
        }
    }
    let pools = node.get("ipam").and_then(|ipam| ipam.get("config")).map_or(&[][..], Node::list);
    for pool in pools {
        let wrong = |key: &str| {
            let text = pool.text(key).unwrap_or_default();
            project.sources.error(Fault::new(pool.place, format!("networks.{}: invalid {key} {text:?}", resource.key)))
        };
        if pool.text("subnet").is_some_and(|subnet| subnet.contains(':')) {
            wanted.subnet_v6 = pool.text("subnet").map(shared::subnet_v6).transpose()?;
            wanted.gateway_v6 =
                pool.text("gateway").map(|text| text.parse().map_err(|_| wrong("gateway"))).transpose()?;
        } else {
            wanted.subnet = pool.text("subnet").map(shared::subnet_v4).transpose()?;
            wanted.gateway = pool.text("gateway").map(|text| text.parse().map_err(|_| wrong("gateway"))).transpose()?;
            wanted.range = pool.text("ip_range").map(|text| text.parse().map_err(|_| wrong("ip_range"))).transpose()?;
        }
    }
    Ok(wanted)
}

/// Removes the networks that a project has made, and that nobody uses. Returns their names.
pub(super) fn remove_networks(context: &Context, project: &str) -> Vec<String> {
    let all = shared::all(&context.store).into_iter();
    let own = all.filter(|network| network.labels.get(label::PROJECT).is_some_and(|name| name == project));
    let mut removed = Vec::new();
    for network in own {
        match shared::remove(&context.store, &network) {
            Ok(()) => removed.push(network.name),
            Err(error) => stderr::note(&format!("network {} stays: {error}", network.name)),
        }
    }
    removed
}

/// Returns the volumes that a project has made.
pub(super) fn volumes_of(context: &Context, project: &str) -> Vec<String> {
    let all = volume::all(&context.store).into_iter();
    let own = all.filter(|volume| volume.record.labels.get(label::PROJECT).is_some_and(|name| name == project));
    own.map(|volume| volume.name).collect()
}

/// Removes volumes that no container uses.
pub(super) fn remove_volumes(context: &Context, names: &[String]) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let words: Vec<&str> = ["volume", "rm"].into_iter().chain(names.iter().map(String::as_str)).collect();
    match inside::again_quietly(&context.store, &words)? {
        0 => Ok(()),
        _ => Err(ComposeFailure::Removal.into()),
    }
}
