//! `post_start` and `pre_stop`: commands in a container that has just been started, or is about to be stopped.

use super::error::ComposeFailure;
use crate::cli::Context;
use crate::cli::attach::{Attachment, Printed, stay};
use crate::cli::flags::DetachKeys;
use crate::compose::Project;
use crate::compose::read::Node;
use crate::container::live::exec;
use crate::container::stored::record::{Container, Phase};
use crate::diag::Failure;

pub(super) fn after_start(
    context: &Context,
    project: &Project,
    service: &str,
    container: &Container,
) -> Result<(), Failure> {
    run_all(context, project, service, container, "post_start")
}

pub(super) fn before_stop(
    context: &Context,
    project: &Project,
    service: &str,
    container: &Container,
) -> Result<(), Failure> {
    run_all(context, project, service, container, "pre_stop")
}

fn run_all(
    context: &Context,
    project: &Project,
    service: &str,
    container: &Container,
    key: &str,
) -> Result<(), Failure> {
    let Some(service) = project.services.get(service) else { return Ok(()) };
    let hooks = service.node.get(key).map_or(&[][..], Node::list);
    for hook in hooks.iter().filter(|_| container.state().phase == Phase::Running) {
        let command = hook.texts("command");
        let shown = command.join(" ");
        let env = hook.entries("environment").filter_map(|(name, value)| Some(format!("{name}={}", value.scalar()?)));
        let wanted = exec::Wanted {
            env: env.collect(),
            user: hook.text("user").map(str::to_owned),
            workdir: hook.text("working_dir").map(str::to_owned),
            privileged: hook.is_set("privileged"),
            terminal: false,
            stdin: false,
            probe: None,
            events: Some(exec::Events::new(container, &command)),
            command,
        };
        let end = exec::start(&context.store, container, wanted)?;
        let attachment = Attachment {
            terminal: false,
            stdin: false,
            closes_stdin: true,
            printed: Printed::BOTH,
            signals: true,
            detach_keys: DetachKeys::default(),
        };
        let code = stay(&end, &attachment, &container.record.name, |_| {})?;
        if code != 0 {
            return Err(ComposeFailure::Hook { name: container.record.name.clone(), command: shown, code }.into());
        }
    }
    Ok(())
}
