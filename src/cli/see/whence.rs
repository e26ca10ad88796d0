//! `where`: shows which layer a file comes from.

use crate::cli::flags::ReportFlags;
use crate::cli::{Context, human, inside, json};
use crate::container::stored::record::Container;
use crate::diag::{Diagnose, Failure};
use crate::explain::layers::lookup::{Lookup, Occurrence, OccurrenceKind, Place, Through, lookup};
use crate::explain::layers::stack;
use crate::explain::layers::subject::{self, Subject};
use crate::explain::words::{Language, Words, fill};
use crate::image;
use crate::image::Image;
use crate::image::stored::names;
use crate::store::Store;
use crate::userns;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(override_usage = "minirun where [OPTIONS] [IMAGE|CONTAINER] <PATH>")]
pub(crate) struct WhereArgs {
    #[command(flatten)]
    report: ReportFlags,
    /// An image or a container [default: the newest container, else the newest image]
    #[arg(value_name = "IMAGE|CONTAINER")]
    first: String,
    /// A path in it
    #[arg(value_name = "PATH")]
    second: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum WhereError {
    #[error("no container and no image in the store")]
    Nothing,
    #[error("{} is not in {name}, nor in any layer beneath it", path.display())]
    Nowhere { path: PathBuf, name: String },
}

impl Diagnose for WhereError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Nothing => "pull an image: minirun pull alpine".into(),
            Self::Nowhere { path, name } => {
                let parent = path.parent().unwrap_or(path).display().to_string();
                format!("see what is beside it: minirun where {name} {parent}")
            }
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl WhereArgs {
    pub(crate) fn run(self, context: &Context) -> Result<u8, Failure> {
        // Files of a container's other users can only be read there.
        let place =
            Container::find(&context.store, &self.first).map_or(userns::Place::Shared, |container| container.place());
        inside::enter_at(&context.store, place)?;
        let store = &context.store;
        let (name, subject, path) = match self.second {
            Some(path) => (self.first.clone(), subject::find(store, &self.first)?, path),
            None => {
                let (name, newest) = newest(store)?;
                (name, newest, PathBuf::from(&self.first))
            }
        };
        let layers = stack::layers(store, &subject.image(store)?)?;
        let sight = lookup(&path, &layers, subject.container())?;
        if self.report.json {
            json::print(&sight)?;
        } else if !sight.sightings.is_empty() {
            print!("{}", text(&sight, &name, Language::current()));
        }
        if sight.sightings.is_empty() {
            return Err(WhereError::Nowhere { path: sight.resolved, name }.into());
        }
        Ok(u8::from(sight.visible().is_none()))
    }
}

fn text(sight: &Lookup, name: &str, language: Language) -> String {
    let words = language.words();
    let mut text = String::new();
    for Through { link, target } in &sight.through {
        text += &fill(words.through_link, &[&link.display(), &target.display()]);
        text.push('\n');
    }
    let path = sight.resolved.display();
    let place = |sighting: &Occurrence| place(&sighting.place, words);
    let sentence = match (sight.visible(), sight.topmost_hidden()) {
        (Some(seen), _) => fill(words.seen_in, &[&path, &name, &place(seen)]),
        (None, held) => {
            let held = held.map(place).unwrap_or_default();
            let text = match sight.sightings.first().map(|first| &first.what) {
                Some(OccurrenceKind::NotInMount) => words.covered_but_held,
                Some(OccurrenceKind::ReplacedBy { .. } | OccurrenceKind::HiddenBy { .. }) => words.hidden_but_held,
                _ => words.deleted_but_held,
            };
            fill(text, &[&path, &name, &held])
        }
    };
    text += &human::sentence(&sentence, 0);
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

fn row(sighting: &Occurrence, path: &Path, words: &Words) -> Vec<String> {
    let what = match &sighting.what {
        OccurrenceKind::File => words.file.into(),
        OccurrenceKind::Directory => words.directory.into(),
        OccurrenceKind::OpaqueDirectory => words.made_anew.into(),
        OccurrenceKind::Link { target } => fill(words.link, &[&target.display()]),
        OccurrenceKind::Device => words.device.into(),
        OccurrenceKind::PipeOrSocket => words.pipe_or_socket.into(),
        OccurrenceKind::Deleted { path: deleted } if deleted == path => words.deleted_here.into(),
        OccurrenceKind::Deleted { path: parent } => fill(words.parent_deleted_here, &[&parent.display()]),
        OccurrenceKind::HiddenBy { path } => fill(words.hidden_by, &[&path.display()]),
        OccurrenceKind::ReplacedBy { path } => fill(words.replaced_by, &[&path.display()]),
        OccurrenceKind::NotInMount => words.not_in_mount.into(),
        OccurrenceKind::OnlyWhileItRuns => words.only_while_it_runs.into(),
        OccurrenceKind::CopiedUp { from } => fill(words.copied_up, &[from]),
        OccurrenceKind::WrittenAnew { over } => fill(words.written_anew, &[over]),
    };
    let what = match (&sighting.place, sighting.is_seen) {
        (Place::Mount { source: Some(_), .. }, true) => format!("{what}, {}", words.from_host),
        (Place::Mount { source: None, .. }, true) => format!("{what}, {}", words.from_kernel),
        (_, true) => what,
        (_, false) if !sighting.what.is_there() => what,
        (_, false) => fill(words.hidden, &[&what]),
    };
    let made_by = match &sighting.place {
        Place::Mount { source: Some(source), .. } => source.display().to_string(),
        Place::Mount { file_system, target, .. } => format!("{file_system} → {}", target.display()),
        Place::WritableLayer => words.container_itself.into(),
        Place::Layer { instruction, .. } => instruction.clone().unwrap_or_else(|| words.unknown_instruction.into()),
    };
    let size = sighting.size.map(human::size).unwrap_or_default();
    vec![if sighting.is_seen { "▸" } else { "" }.into(), place(&sighting.place, words), what, size, made_by]
}

/// Returns the newest container, else the newest image, with its name.
fn newest(store: &Store) -> Result<(String, Subject), Failure> {
    let containers = Container::all(store).into_iter();
    if let Some(newest) = containers.max_by(|a, b| a.record.created.cmp(&b.record.created)) {
        return Ok((newest.record.name.clone(), Subject::Container(Box::new(newest))));
    }
    let images = image::all(store)?.into_iter().filter_map(|id| Image::open(store, &id).ok().flatten());
    let newest = images.max_by(|a, b| a.config().created().cmp(b.config().created())).ok_or(WhereError::Nothing)?;
    let names = names::of_image(store, &newest.id)?;
    let name = names.first().map_or_else(|| newest.id.short(), |name| name.reference.familiar());
    Ok((name, Subject::Image(Box::new(newest))))
}
