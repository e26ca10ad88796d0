//! The volumes and networks of a project, made before its containers and removed after them.

use super::error::ComposeFailure;
use crate::cli::{Context, inside, stderr};
use crate::compose::{Project, label};
use crate::diag::Failure;
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
                let pairs = |key: &str| -> BTreeMap<String, String> {
                    let all = wanted.node.entries(key);
                    all.map(|(name, value)| (name.clone(), value.scalar().unwrap_or_default().to_owned())).collect()
                };
                let labels = label::of_volume(project, &wanted.key, pairs("labels"));
                volume::create(&context.store, &wanted.name, Record::new(labels, pairs("driver_opts")))?;
            }
        }
    }
    Ok(())
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
