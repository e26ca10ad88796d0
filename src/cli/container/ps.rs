//! `ps`: lists containers.

use crate::cli::{Context, human, inside, published};
use crate::container::stored::health::HealthStatus;
use crate::container::stored::record::{Container, Phase, State};
use crate::diag::Failure;
use crate::image::Image;
use crate::image::stored::usage::bytes;
use clap::Args;

#[derive(Args)]
pub(crate) struct PsArgs {
    /// List stopped containers too
    #[arg(short, long)]
    all: bool,
    /// Print only container IDs
    #[arg(short, long)]
    quiet: bool,
    /// List only the newest container
    #[arg(short, long)]
    latest: bool,
    /// List only this many of the newest containers; -1 lists all
    #[arg(short = 'n', long, value_name = "NUMBER", allow_negative_numbers = true)]
    last: Option<i64>,
    /// Show the size of what each container has written, and of all its files
    #[arg(short, long)]
    size: bool,
    /// Do not shorten IDs and commands
    #[arg(long)]
    no_trunc: bool,
}

pub(super) fn ps(arguments: &PsArgs, context: &Context) -> Result<u8, Failure> {
    let last = if arguments.latest { Some(1) } else { arguments.last.and_then(|last| usize::try_from(last).ok()) };
    let all = arguments.all || last.is_some();
    if arguments.size {
        inside::enter(&context.store)?;
    }
    let containers = if all { Container::all(&context.store) } else { Container::running(&context.store) };
    let mut containers: Vec<(Container, State)> =
        containers.into_iter().map(|c| (c.state(), c)).map(|(s, c)| (c, s)).collect();
    containers.sort_by(|a, b| b.0.record.created.cmp(&a.0.record.created));
    containers.truncate(last.unwrap_or(usize::MAX));
    let id = |c: &Container| if arguments.no_trunc { c.record.id.to_string() } else { c.short_id().to_owned() };
    if arguments.quiet {
        containers.iter().for_each(|(c, _)| println!("{}", id(c)));
        return Ok(0);
    }
    let mut rows = Vec::new();
    for (container, state) in &containers {
        let argv =
            container.spec().ok().and_then(|s| s.process().clone()).and_then(|p| p.args().clone()).unwrap_or_default();
        let quoted = |word: String| if word.contains(' ') { format!("'{word}'") } else { word };
        let mut command = argv.into_iter().map(quoted).collect::<Vec<_>>().join(" ");
        if !arguments.no_trunc && command.chars().count() > 20 {
            command = command.chars().take(19).chain(['…']).collect();
        }
        let mut row = vec![
            id(container),
            container.record.image.clone(),
            format!("{command:?}"),
            human::ago(Some(&container.record.created)),
            status(state),
            if state.phase == Phase::Running { published::ports(&state.ports) } else { String::new() },
            container.record.name.clone(),
        ];
        if arguments.size {
            row.push(size(container, context)?);
        }
        rows.push(row);
    }
    let mut header = vec!["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
    if arguments.size {
        header.push("SIZE");
    }
    print!("{}", human::table(&header, &rows));
    Ok(0)
}

/// The column SIZE in Docker's words. Must run inside the user namespace.
fn size(container: &Container, context: &Context) -> Result<String, Failure> {
    let written = bytes(&container.directory.join("upper"))?;
    let image = Image::open(&context.store, &container.record.image_id)?;
    let below = image.map(|image| image.size(&context.store)).transpose()?.unwrap_or(0);
    Ok(format!("{} (virtual {})", human::size(written), human::size(written + below)))
}

/// The column STATUS in Docker's words.
fn status(state: &State) -> String {
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
