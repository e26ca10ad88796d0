//! The containers of a project, found by their labels.

use crate::cli::Context;
use crate::compose::{Condition, label};
use crate::container::stored::record::{Container, State};
use crate::diag::Failure;
use crate::store::{Lock, Store};
use std::collections::BTreeMap;
use std::fs;

/// A container of a project.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub container: Container,
    pub state: State,
    pub service: String,
    pub number: usize,
    /// `run` has made it.
    pub is_one_off: bool,
}

impl Member {
    /// Returns the container as one of a project. `None`: it is of none.
    fn new(container: Container) -> Option<(String, Self)> {
        let labels = &container.record.request.labels;
        // The last of two with one name counts.
        let get = |name: &str| labels.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let project = get(label::PROJECT)?;
        let service = get(label::SERVICE)?;
        let number = get(label::NUMBER).and_then(|text| text.parse().ok()).unwrap_or(1);
        let is_one_off = get(label::ONE_OFF).is_some_and(|text| text == "True");
        let state = container.state();
        Some((project, Self { container, state, service, number, is_one_off }))
    }

    pub(super) fn name(&self) -> &str {
        &self.container.record.name
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        let labels = &self.container.record.request.labels;
        labels.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Its name without the project's.
    pub(super) fn short_name(&self, project: &str) -> &str {
        self.name().strip_prefix(project).and_then(|rest| rest.strip_prefix('-')).unwrap_or(self.name())
    }

    pub(super) fn is_running(&self) -> bool {
        self.state.phase.has_monitor()
    }

    fn dependencies(&self) -> Vec<(String, Condition)> {
        self.label(label::DEPENDS_ON).map(label::dependencies).unwrap_or_default()
    }
}

/// Returns the containers of a project by service and number.
pub(super) fn of_project(store: &Store, project: &str) -> Vec<Member> {
    let mut all = all(store).remove(project).unwrap_or_default();
    all.sort_by(|a, b| (&a.service, a.is_one_off, a.number).cmp(&(&b.service, b.is_one_off, b.number)));
    all
}

/// Returns all projects that have containers.
pub(super) fn all(store: &Store) -> BTreeMap<String, Vec<Member>> {
    let mut projects: BTreeMap<String, Vec<Member>> = BTreeMap::new();
    for (project, member) in Container::all(store).into_iter().filter_map(Member::new) {
        projects.entry(project).or_default().push(member);
    }
    projects
}

/// Returns containers in groups, each to be stopped before the next: nobody goes before those who depend on it.
pub(super) fn in_order_of_stop(mut members: Vec<Member>) -> Vec<Vec<Member>> {
    let mut groups = Vec::new();
    while !members.is_empty() {
        let needed: Vec<String> =
            members.iter().flat_map(|member| member.dependencies().into_iter().map(|(service, _)| service)).collect();
        let (later, now): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| needed.contains(&member.service));
        // A circle, which only other hands can have made.
        if now.is_empty() {
            groups.push(later);
            break;
        }
        groups.push(now);
        members = later;
    }
    groups
}

/// Holds a project for one command at a time.
pub(super) fn lock(context: &Context, project: &str) -> Result<Lock, Failure> {
    let store = &context.store;
    let _ = fs::create_dir_all(&store.runtime);
    Ok(Lock::exclusive(&store.runtime.join(format!("compose-{project}.lock")))?)
}
