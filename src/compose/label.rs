//! The labels by which a project knows what is its own, as Compose writes them.

use super::project::Project;
use super::service::{Condition, Dependency, Service};
use std::collections::BTreeMap;

pub(crate) const PROJECT: &str = "com.docker.compose.project";
pub(crate) const SERVICE: &str = "com.docker.compose.service";
pub(crate) const NUMBER: &str = "com.docker.compose.container-number";
pub(crate) const ONE_OFF: &str = "com.docker.compose.oneoff";
pub(crate) const HASH: &str = "com.docker.compose.config-hash";
pub(crate) const IMAGE: &str = "com.docker.compose.image";
pub(crate) const DEPENDS_ON: &str = "com.docker.compose.depends_on";
pub(crate) const DIRECTORY: &str = "com.docker.compose.project.working_dir";
pub(crate) const FILES: &str = "com.docker.compose.project.config_files";
pub(crate) const VERSION: &str = "com.docker.compose.version";
pub(crate) const VOLUME: &str = "com.docker.compose.volume";
pub(crate) const NETWORK: &str = "com.docker.compose.network";

/// Returns the labels of a service's container: its own, and those of the project.
pub(super) fn of_container(project: &Project, service: &Service, number: usize) -> Vec<(String, String)> {
    let own = service
        .node
        .entries("labels")
        .map(|(name, value)| (name.clone(), value.scalar().unwrap_or_default().to_owned()));
    let files: Vec<String> = project.files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    let dependencies: Vec<String> = service.dependencies().iter().map(written).collect();
    let of_project = [
        (PROJECT, project.name.clone()),
        (SERVICE, service.name.clone()),
        (NUMBER, number.to_string()),
        (ONE_OFF, "False".into()),
        (HASH, project.hash_of(service)),
        (DEPENDS_ON, dependencies.join(",")),
        (DIRECTORY, project.directory.to_string_lossy().into_owned()),
        (FILES, files.join(",")),
        (VERSION, env!("CARGO_PKG_VERSION").into()),
    ];
    let mut all: Vec<(String, String)> = own.collect();
    all.extend(of_project.map(|(name, value)| (name.to_owned(), value)));
    all
}

/// Returns the labels of a volume or a network, which `kind` tells.
pub(crate) fn of_resource(
    project: &Project,
    kind: &str,
    key: &str,
    own: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut all = own;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    for (name, value) in [(PROJECT, project.name.clone()), (kind, key.to_owned()), (VERSION, version)] {
        all.insert(name.to_owned(), value);
    }
    all
}

/// `db:service_healthy:false`: service, condition, and whether it is restarted with the other.
fn written(dependency: &Dependency) -> String {
    format!("{}:{}:{}", dependency.service, dependency.condition.word(), dependency.restarts)
}

/// Returns the services of a label that [`written`] has made.
pub(crate) fn dependencies(label: &str) -> Vec<(String, Condition)> {
    let one = |text: &str| {
        let mut parts = text.split(':');
        Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?))
    };
    label.split(',').filter_map(one).collect()
}
