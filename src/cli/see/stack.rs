//! `explain`: draws the stack of layers, and lists one of them; or draws a network.

use super::network;
use crate::cli::flags::ReportFlags;
use crate::cli::{Context, human, inside, json};
use crate::diag::{Diagnose, ErrorCode, Failure};
use crate::explain::layers::anatomy::{self, Anatomy, ContainerFacts, LayerFacts, WastedFile};
use crate::explain::layers::files::{self, FileChange, LayerChanges};
use crate::explain::layers::stack;
use crate::explain::layers::subject::{self, Subject};
use crate::explain::networks::{self, NamedPlace};
use crate::explain::words::{CHANGES, ENTRIES, FILES, IMAGES, LAYERS, Language, Words, fill};
use crate::network::shared;
use crate::store::Store;
use clap::Args;

#[derive(Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    report: ReportFlags,
    /// List the changes of a layer: a number, or `writable` [default: the top]
    #[arg(long, value_name = "LAYER", num_args = 0..=1)]
    files: Option<Option<String>>,
    #[arg(value_name = "IMAGE|CONTAINER|NETWORK", required_unless_present = "files")]
    name: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("explain --files needs an image or a container")]
    NoName,
    #[error("{name} has no layer {layer:?}: {has}")]
    NoLayer { name: String, layer: String, has: String },
}

impl Diagnose for ExplainError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoName => "see their names: minirun ps -a, minirun images".into(),
            Self::NoLayer { name, .. } => format!("see them all: minirun explain {name}"),
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl ExplainArgs {
    pub(crate) fn run(self, context: &Context) -> Result<u8, Failure> {
        inside::enter(&context.store)?;
        // In `explain --files web`, clap takes the name for the layer.
        let (name, files) = match (self.name, self.files) {
            (Some(name), files) => (name, files),
            (None, Some(Some(name))) => (name, Some(None)),
            (None, _) => return Err(ExplainError::NoName.into()),
        };
        let language = Language::current();
        let subject = match (subject::find(&context.store, &name), shared::find(&context.store, &name)) {
            // A container or image goes before a network of the same name, whose id names it.
            (Err(error), Ok(network)) if files.is_none() && error.code() == Some(ErrorCode::NoContainer) => {
                let picture = networks::picture(&context.store, &network);
                if self.report.json {
                    json::print(&picture)?;
                } else {
                    print!("{}", network::drawn(&picture, language));
                }
                return Ok(0);
            }
            (subject, _) => subject?,
        };
        if let Some(layer) = files {
            let files = files_of(&context.store, &subject, &name, layer)?;
            if self.report.json {
                json::print(&files)?;
            } else {
                print!("{}", listed(&files, &name, language));
            }
            return Ok(0);
        }
        let anatomy = anatomy::examine(&context.store, &subject)?;
        if self.report.json {
            json::print(&anatomy)?;
        } else {
            let typed = subject.container().map_or(&name, |container| &container.record.image);
            let shown = anatomy::shown_name(&anatomy, typed);
            print!("{}", drawn(&anatomy, &shown, language));
        }
        Ok(0)
    }
}

fn files_of(store: &Store, subject: &Subject, name: &str, layer: Option<String>) -> Result<LayerChanges, Failure> {
    let layers = stack::layers(store, &subject.image(store)?)?;
    let number = layer.as_ref().map(|layer| layer.parse::<usize>().ok());
    match (subject.container(), number, layer.as_deref()) {
        (Some(container), None, _) | (Some(container), _, Some("writable")) => files::of_container(container, &layers),
        (None, None, _) => files::of_layer(&layers, layers.len()),
        (_, Some(Some(number)), _) if (1..=layers.len()).contains(&number) => files::of_layer(&layers, number),
        (container, ..) => {
            let writable = if container.is_some() { ", and the writable one" } else { "" };
            let has = match layers.len() {
                0 => format!("there are none{writable}"),
                1 => format!("there is 1{writable}"),
                last => format!("there are 1 to {last}{writable}"),
            };
            Err(ExplainError::NoLayer { name: name.to_owned(), layer: layer.unwrap_or_default(), has }.into())
        }
    }
}

fn listed(files: &LayerChanges, name: &str, language: Language) -> String {
    let words = language.words();
    let place = match files.layer {
        Some(number) => fill(words.layer, &[&number]),
        None => words.writable_layer.into(),
    };
    let number = language.count(files.files.len() as u64, CHANGES);
    let title = human::sentence(&fill(words.files_of, &[&name, &place, &number]), 0);
    if files.files.is_empty() {
        return title + "\n";
    }
    let rows = files.files.iter().map(|file| {
        let what = match file.what {
            FileChange::Added => words.added,
            FileChange::Changed => words.changed,
            FileChange::Removed => words.removed,
        };
        let size = |size: Option<u64>| size.map(human::size).unwrap_or_default();
        vec![what.into(), size(file.size), size(file.size_below), file.path.to_string_lossy().into_owned()]
    });
    let header = ["", words.head_size, words.head_size_below, words.head_path];
    format!("{title}\n\n{}", human::fitted_table(&header, &rows.collect::<Vec<_>>()))
}

fn drawn(anatomy: &Anatomy, image: &str, language: Language) -> String {
    let words = language.words();
    let mut text = String::new();
    let mut rows = Vec::new();
    if let Some(container) = &anatomy.container {
        let state = if container.is_running { words.running } else { words.not_running };
        text += &human::sentence(&fill(words.container_of, &[&container.name, &image, &state]), 0);
        for NamedPlace { network, place } in &container.networks {
            let names = std::iter::once(&container.name).chain(&place.aliases).cloned().collect::<Vec<_>>().join(", ");
            text.push('\n');
            text += &human::sentence(&fill(words.on_network, &[network, &place.addresses(), &names]), 0);
        }
        rows.extend(container.mounts.iter().map(|mount| {
            let stays = if mount.is_own { words.goes_with_rm_v } else { words.stays_after_rm };
            vec!["╎".into(), mount.target.clone(), String::new(), stays.into(), format!("← {}", mount.source)]
        }));
        rows.push(writable_row(container, language));
    } else {
        text += &human::sentence(&fill(words.image_alone, &[&image]), 0);
    }
    text += "\n\n";
    for instruction in anatomy.instructions.iter().rev() {
        let made_by = instruction.text.clone().unwrap_or_else(|| words.unknown_instruction.into());
        let layer = instruction.layer.and_then(|number| anatomy.layers.get(number.checked_sub(1)?));
        rows.push(match layer {
            Some(layer) => layer_row(layer, made_by, language),
            None => vec!["│".into(), "–".into(), String::new(), words.sets_only.into(), made_by],
        });
    }
    let header = ["", words.head_place, words.head_on_disk, words.head_what, words.head_made_by];
    text += &human::fitted_table(&header, &rows);
    text.push('\n');
    for sentence in sentences(anatomy, image, language) {
        text += &human::sentence(&sentence, 0);
        text.push('\n');
    }
    text
}

fn sentences(anatomy: &Anatomy, image: &str, language: Language) -> Vec<String> {
    let words = language.words();
    let size = human::size(anatomy.layers.iter().map(|layer| layer.on_disk).sum());
    let layers = language.count(anatomy.layers.len() as u64, LAYERS);
    let mut sentences = vec![fill(words.image_is, &[&image, &layers, &size, &anatomy.containers.len()])];
    if let Some(largest) = anatomy.wasted.files.first() {
        let number = language.count(anatomy.wasted.files.len() as u64, FILES);
        sentences.push(fill(words.wasted, &[&human::size(anatomy.wasted.size), &number, &wasted(largest, words)]));
    }
    if let Some(container) = &anatomy.container {
        let (name, size) = (&container.name, human::size(container.writable.on_disk));
        let remove = if container.is_running { "minirun rm -f" } else { "minirun rm" };
        sentences.push(fill(words.rm_loses, &[&remove, name, &size]));
        sentences.push(fill(words.commit_keeps, &[name]));
    }
    sentences
}

fn wasted(file: &WastedFile, words: &Words) -> String {
    let (path, size) = (file.path.display(), human::size(file.size));
    fill(words.wasted_file, &[&path, &size, &file.added_in, &file.hidden_in])
}

fn layer_row(layer: &LayerFacts, made_by: String, language: Language) -> Vec<String> {
    let words = language.words();
    let entries = language.count(layer.entries, ENTRIES);
    let what = match layer.other_images {
        0 => entries,
        others => format!("{entries}, {}", fill(words.shared_with, &[&language.count(others as u64, IMAGES)])),
    };
    vec!["│".into(), fill(words.layer, &[&layer.number]), human::size(layer.on_disk), what, made_by]
}

fn writable_row(container: &ContainerFacts, language: Language) -> Vec<String> {
    let (words, writable) = (language.words(), &container.writable);
    let changes = fill(words.changes, &[&writable.added, &writable.changed, &writable.deleted]);
    let size = human::size(writable.on_disk);
    vec!["┃".into(), words.writable_layer.into(), size, changes, words.container_itself.into()]
}
