//! `cp` and `export`: files between containers and the host.

use super::{Context, human, inside};
use crate::container::files::{Copied, End, Manner, copy, export as write_out};
use crate::container::stored::record::{Container, Phase};
use crate::diag::{Diagnose, Failure};
use crate::sys::On;
use clap::Args;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

#[derive(Args)]
#[command(
    override_usage = "minirun cp [OPTIONS] CONTAINER:PATH PATH|-\n       minirun cp [OPTIONS] PATH|- CONTAINER:PATH"
)]
pub(super) struct CpArgs {
    /// Keep the owners of files
    #[arg(short, long)]
    archive: bool,
    /// Follow a link that is named as the source
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Do not print progress
    #[arg(short, long)]
    quiet: bool,
    /// What to copy; - is an archive on standard input
    #[arg(value_name = "SOURCE")]
    from: Location,
    /// Where to; - is an archive on standard output
    #[arg(value_name = "TARGET")]
    to: Location,
}

#[derive(Args)]
pub(super) struct ExportArgs {
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    container: String,
}

/// One end of a copy, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Location {
    Host(String),
    Container { name: String, path: String },
    Stream,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CpError {
    #[error("{0:?} names no path")]
    Empty(String),
    #[error("neither the source nor the target is in a container")]
    NoContainer,
    #[error("refusing to write an archive to a terminal")]
    Terminal,
}

impl Diagnose for CpError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Empty(_) | Self::NoContainer => {
                "as in: minirun cp web:/etc/hosts . or: minirun cp FILE web:/tmp/".into()
            }
            Self::Terminal => "send it to a file or a program".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl FromStr for Location {
    type Err = CpError;

    /// A path of the host begins with `/` or `.`, or has no colon.
    fn from_str(text: &str) -> Result<Self, CpError> {
        if text == "-" {
            return Ok(Self::Stream);
        }
        match text.split_once(':') {
            Some((name, path)) if !name.contains('/') && !name.starts_with('.') && !name.is_empty() => {
                if path.is_empty() {
                    return Err(CpError::Empty(text.to_owned()));
                }
                Ok(Self::Container { name: name.to_owned(), path: path.to_owned() })
            }
            _ if text.is_empty() => Err(CpError::Empty(text.to_owned())),
            _ => Ok(Self::Host(text.to_owned())),
        }
    }
}

impl Location {
    fn container(&self, context: &Context) -> Result<Option<Container>, Failure> {
        match self {
            Self::Container { name, .. } => Ok(Some(Container::find(&context.store, name)?)),
            Self::Host(_) | Self::Stream => Ok(None),
        }
    }

    fn end<'a>(&'a self, container: Option<&'a Container>) -> End<'a> {
        match (self, container) {
            (Self::Container { path, .. }, Some(container)) => End::Container(container, path),
            (Self::Host(path), _) => End::Host(path),
            _ => End::Stream,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Container { name, path } => format!("{name}:{path}"),
            Self::Host(path) => path.clone(),
            Self::Stream => "-".into(),
        }
    }
}

pub(super) fn cp(arguments: &CpArgs, context: &Context) -> Result<u8, Failure> {
    let CpArgs { from, to, .. } = arguments;
    if *to == Location::Stream && std::io::stdout().is_terminal() {
        return Err(CpError::Terminal.into());
    }
    let containers = (from.container(context)?, to.container(context)?);
    let all = [&containers.0, &containers.1];
    if all.iter().all(|container| container.is_none()) {
        return Err(CpError::NoContainer.into());
    }
    enter_for(context, all.into_iter().flatten())?;
    let is_quiet = arguments.quiet || !std::io::stdout().is_terminal() || *to == Location::Stream;
    let mut progress = Progress::new(if containers.1.is_some() { "to" } else { "from" }, is_quiet);
    let manner = Manner { archive: arguments.archive, follow: arguments.follow_link };
    let (source, target) = (from.end(containers.0.as_ref()), to.end(containers.1.as_ref()));
    let copied = copy(&context.store, &source, &target, manner, &mut |bytes| progress.tell(bytes));
    progress.end();
    let Copied(bytes) = copied?;
    if !is_quiet {
        eprintln!("Successfully copied {} to {}", human::size(bytes), to.shown());
    }
    Ok(0)
}

/// Goes on inside the user namespace if a container does not run: its files must be put together there.
fn enter_for<'a>(context: &Context, containers: impl Iterator<Item = &'a Container>) -> Result<(), Failure> {
    let mut stopped = containers.filter(|container| container.state().phase != Phase::Running);
    if stopped.next().is_some() {
        inside::enter(&context.store)?;
    }
    Ok(())
}

pub(super) fn export(arguments: &ExportArgs, context: &Context) -> Result<u8, Failure> {
    if arguments.output.is_none() && std::io::stdout().is_terminal() {
        return Err(CpError::Terminal.into());
    }
    let container = Container::find(&context.store, &arguments.container)?;
    enter_for(context, std::iter::once(&container))?;
    let output: File = match &arguments.output {
        Some(path) => File::create(path).on("open", path)?,
        None => rustix::io::dup(rustix::stdio::stdout()).on("dup", "standard output")?.into(),
    };
    write_out(&context.store, &container, output)?;
    Ok(0)
}

/// The line that tells how far a copy is.
struct Progress {
    direction: &'static str,
    is_shown: bool,
    last: Instant,
    is_begun: bool,
}

impl Progress {
    const EVERY: Duration = Duration::from_millis(200);

    fn new(direction: &'static str, is_quiet: bool) -> Self {
        let is_shown = !is_quiet && std::io::stderr().is_terminal();
        Self { direction, is_shown, last: Instant::now(), is_begun: false }
    }

    fn tell(&mut self, bytes: u64) {
        if self.is_shown && self.last.elapsed() > Self::EVERY {
            (self.last, self.is_begun) = (Instant::now(), true);
            eprint!("\r\x1b[KCopying {} container - {}", self.direction, human::size(bytes));
            let _ = std::io::stderr().flush();
        }
    }

    fn end(&self) {
        if self.is_begun {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_and_paths_of_the_host() {
        let container = |name: &str, path: &str| Location::Container { name: name.into(), path: path.into() };
        for (text, location) in [
            ("web:/etc/hosts", container("web", "/etc/hosts")),
            ("web:a:b", container("web", "a:b")),
            ("./web:x", Location::Host("./web:x".into())),
            ("/a:b", Location::Host("/a:b".into())),
            ("dir/a:b", Location::Host("dir/a:b".into())),
            ("file", Location::Host("file".into())),
            ("-", Location::Stream),
        ] {
            assert_eq!(text.parse::<Location>().unwrap(), location, "{text}");
        }
        assert!("".parse::<Location>().is_err() && "web:".parse::<Location>().is_err());
    }
}
