//! Stopping and removing containers of a project.

use super::error::ComposeFailure;
use super::members::{Member, in_order_of_stop};
use crate::cli::container::stop;
use crate::cli::{Context, inside, stderr};
use crate::diag::Failure;
use crate::volume;
use std::thread;

/// Stops containers, those at once that nobody needs any more. Prints a line for each.
pub(super) fn stop_all(
    context: &Context,
    members: Vec<Member>,
    seconds: Option<i64>,
    told: impl Fn(&Member),
) -> Result<(), Failure> {
    let mut failed = None;
    for group in in_order_of_stop(members) {
        let ended: Vec<Result<bool, Failure>> = thread::scope(|scope| {
            let each = group.iter().map(|member| scope.spawn(|| stop(&member.container, None, seconds)));
            let threads: Vec<_> = each.collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        for (member, ended) in group.iter().zip(ended) {
            match ended {
                Ok(has_run) => {
                    if has_run {
                        member.container.record.note(&context.store, "stop");
                    }
                    told(member);
                }
                Err(error) => failed = Some(error),
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Removes containers; with `volumes`, the anonymous ones that they had too.
pub(super) fn remove_all(context: &Context, members: &[Member], volumes: bool) -> Result<(), Failure> {
    if members.is_empty() {
        return Ok(());
    }
    let names = members.iter().map(|member| member.container.record.id.as_str());
    let words: Vec<&str> =
        ["rm", "--force", "--volumes"].into_iter().take(if volumes { 3 } else { 2 }).chain(names).collect();
    if inside::again_quietly(&context.store, &words)? != 0 {
        return Err(ComposeFailure::Removal.into());
    }
    if volumes {
        // Those that went from a container to its successor are nobody's own.
        let all = members.iter().flat_map(|member| &member.container.record.volumes).filter(|volume| !volume.own);
        let anonymous = all.filter_map(|volume| volume.name.clone());
        let is_free = |name: &String| {
            volume::find(&context.store, name).is_ok_and(|found| found.record.anonymous)
                && volume::users(&context.store, name).is_empty()
        };
        let names: Vec<String> = anonymous.filter(is_free).collect();
        super::resources::remove_volumes(context, &names)?;
    }
    Ok(())
}

/// Notes containers of services that the files do not have.
pub(super) fn note_orphans(orphans: &[Member]) {
    if !orphans.is_empty() {
        let names: Vec<&str> = orphans.iter().map(Member::name).collect();
        stderr::note(&format!(
            "these containers are of services that are no longer in the files: {}; to remove them: --remove-orphans",
            names.join(", ")
        ));
    }
}
