//! `where`: which layer a file comes from.

use super::super::{Context, human};
use super::Telling;
use crate::container::record::Container;
use crate::diag::{Diagnose, Failure};
use crate::explain::sight::{self, Place, Sight, Sighting, What};
use crate::explain::subject::{self, Subject};
use crate::explain::words::{Language, Words, fill};
use crate::userns;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub struct WhereArgs {
    #[command(flatten)]
    telling: Telling,
    /// An image or a container [default: the newest container]
    #[arg(value_name = "IMAGE|CONTAINER")]
    first: String,
    /// A path in it
    #[arg(value_name = "PATH")]
    second: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum WhereError {
    #[error("there is no container to look into")]
    NoContainer,
    #[error("{} is not in {name}, nor in any layer beneath it", path.display())]
    Nowhere { path: PathBuf, name: String },
}

impl Diagnose for WhereError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoContainer => "name an image: minirun where IMAGE PATH".into(),
            Self::Nowhere { path, name } => {
                let parent = path.parent().unwrap_or(path).display().to_string();
                format!("look what is beside it: minirun where {name} {parent}")
            }
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl WhereArgs {
    pub fn run(self, context: &Context) -> Result<u8, Failure> {
        // Files of a container's other users can be seen there only.
        userns::enter(&context.store)?;
        let store = &context.store;
        let (name, subject, path) = match self.second {
            Some(path) => (self.first.clone(), subject::find(store, &self.first)?, path),
            None => {
                let newest = Container::all(store).into_iter().max_by(|a, b| a.record.created.cmp(&b.record.created));
                let newest = newest.ok_or(WhereError::NoContainer)?;
                (newest.record.name.clone(), Subject::Container(Box::new(newest)), PathBuf::from(&self.first))
            }
        };
        let layers = subject::layers(store, &subject.image(store)?)?;
        let sight = sight::look(&path, &layers, subject.container())?;
        if self.telling.json {
            super::print_json(&sight)?;
        } else if !sight.sightings.is_empty() {
            print!("{}", told(&sight, &name, self.telling.speech.language()));
        }
        if sight.sightings.is_empty() {
            return Err(WhereError::Nowhere { path: sight.resolved, name }.into());
        }
        Ok(u8::from(sight.seen().is_none()))
    }
}

fn told(sight: &Sight, name: &str, language: Language) -> String {
    let words = language.words();
    let mut text = String::new();
    for (link, target) in &sight.through {
        text += &fill(words.through_link, &[&link.display(), &target.display()]);
        text.push('\n');
    }
    let path = sight.resolved.display();
    let place = |sighting: &Sighting| place(&sighting.place, words);
    text += &match sight.seen() {
        Some(seen) => fill(words.seen_in, &[&path, &name, &place(seen)]),
        None => {
            let holds = sight.sightings.iter().find(|s| !matches!(s.what, What::Deleted(_) | What::HiddenBy(_)));
            match holds {
                Some(holds) => fill(words.deleted_but_held, &[&path, &name, &place(holds)]),
                None => fill(words.deleted, &[&path, &name]),
            }
        }
    };
    text += "\n\n";
    let rows: Vec<Vec<String>> = sight.sightings.iter().map(|sighting| row(sighting, &sight.resolved, words)).collect();
    text + &human::fitted_table(&["", words.head_place, words.head_what, words.head_size, words.head_made_by], &rows)
}

fn place(place: &Place, words: &Words) -> String {
    match place {
        Place::Mount { .. } => words.a_mount.into(),
        Place::WritableLayer => words.writable_layer.into(),
        Place::Layer { number, .. } => fill(words.layer, &[number]),
    }
}

fn row(sighting: &Sighting, path: &std::path::Path, words: &Words) -> Vec<String> {
    let what = match &sighting.what {
        What::File => words.file.into(),
        What::Directory => words.directory.into(),
        What::OpaqueDirectory => words.made_anew.into(),
        What::Link(target) => fill(words.link, &[&target.display()]),
        What::Device => words.device.into(),
        What::PipeOrSocket => words.pipe_or_socket.into(),
        What::Deleted(what) if what == path => words.deleted_here.into(),
        What::Deleted(parent) => fill(words.parent_deleted_here, &[&parent.display()]),
        What::HiddenBy(directory) => fill(words.hidden_by, &[&directory.display()]),
        What::Mounted => match &sighting.place {
            Place::Mount { source, .. } if source.is_absolute() => words.from_host.into(),
            _ => words.from_kernel.into(),
        },
        What::CopiedUp { from } => fill(words.copied_up, &[from]),
        What::WrittenAnew { over } => fill(words.written_anew, &[over]),
    };
    let is_deletion = matches!(sighting.what, What::Deleted(_) | What::HiddenBy(_));
    let what = if sighting.is_seen || is_deletion { what } else { fill(words.hidden, &[&what]) };
    let made_by = match &sighting.place {
        Place::Mount { kind, source, target } => match source.is_absolute() {
            true => source.display().to_string(),
            false => format!("{kind} → {}", target.display()),
        },
        Place::WritableLayer => words.container_itself.into(),
        Place::Layer { instruction, .. } => instruction.clone().unwrap_or_else(|| words.unknown_instruction.into()),
    };
    let has_size = matches!(
        sighting.what,
        What::File | What::CopiedUp { .. } | What::WrittenAnew { .. } | What::Mounted if sighting.size > 0 || sighting.what != What::Mounted
    );
    let size = if has_size { human::size(sighting.size) } else { String::new() };
    vec![if sighting.is_seen { "▸" } else { "" }.into(), place(&sighting.place, words), what, size, made_by]
}
