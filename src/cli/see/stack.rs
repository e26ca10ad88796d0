//! `explain`: the stack of layers, drawn.

use super::super::{Context, human};
use super::Telling;
use crate::diag::Failure;
use crate::explain::anatomy::{self, Anatomy, ContainerFacts};
use crate::explain::subject;
use crate::explain::words::{ENTRIES, IMAGES, LAYERS, Language, fill};
use crate::userns;
use clap::Args;

#[derive(Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    telling: Telling,
    #[arg(value_name = "IMAGE|CONTAINER")]
    name: String,
}

impl ExplainArgs {
    pub fn run(self, context: &Context) -> Result<u8, Failure> {
        userns::enter(&context.store)?;
        let subject = subject::find(&context.store, &self.name)?;
        let anatomy = anatomy::look(&context.store, &subject)?;
        if self.telling.json {
            super::print_json(&anatomy)?;
        } else {
            let typed = subject.container().map_or(&self.name, |container| &container.record.image);
            let name = anatomy::shown_name(&anatomy, typed);
            print!("{}", drawn(&anatomy, &name, self.telling.speech.language()));
        }
        Ok(0)
    }
}

fn drawn(anatomy: &Anatomy, image: &str, language: Language) -> String {
    let words = language.words();
    let mut text = String::new();
    let mut rows = Vec::new();
    if let Some(container) = &anatomy.container {
        let state = if container.is_running { words.running } else { words.not_running };
        text += &fill(words.container_of, &[&container.name, &image, &state]);
        text += "\n\n";
        rows.extend(container.mounts.iter().map(|mount| {
            let stays = if mount.is_own { words.goes_with_rm_v } else { words.stays_after_rm };
            vec!["╎".into(), mount.target.clone(), String::new(), stays.into(), format!("← {}", mount.source)]
        }));
        rows.push(writable_row(container, language));
    } else {
        text += &fill(words.image_alone, &[&image]);
        text += "\n\n";
    }
    for layer in anatomy.layers.iter().rev() {
        let shared = match layer.other_images {
            0 => String::new(),
            others => fill(words.shared_with, &[&language.count(others as u64, IMAGES)]),
        };
        let made_by = layer.instruction.clone().unwrap_or_else(|| words.unknown_instruction.into());
        let entries = language.count(layer.entries, ENTRIES);
        let what = if shared.is_empty() { entries } else { format!("{entries}, {shared}") };
        rows.push(vec!["│".into(), fill(words.layer, &[&layer.number]), human::size(layer.size), what, made_by]);
    }
    let header = ["", words.head_place, words.head_size, words.head_what, words.head_made_by];
    text += &human::table(&header, &rows);
    let size = anatomy.layers.iter().map(|layer| layer.size).sum();
    let layers = language.count(anatomy.layers.len() as u64, LAYERS);
    let on_image = anatomy.containers.len();
    text.push('\n');
    text += &fill(words.image_is, &[&image, &layers, &human::size(size), &on_image]);
    text.push('\n');
    if let Some(container) = &anatomy.container {
        let (name, size) = (&container.name, human::size(container.writable.on_disk));
        text += &fill(words.rm_loses, &[name, &size]);
        text.push('\n');
        text += &fill(words.commit_keeps, &[name]);
        text.push('\n');
    }
    text
}

fn writable_row(container: &ContainerFacts, language: Language) -> Vec<String> {
    let (words, writable) = (language.words(), &container.writable);
    let changes = fill(words.changes, &[&writable.added, &writable.changed, &writable.deleted]);
    let size = human::size(writable.on_disk);
    vec!["┃".into(), words.writable_layer.into(), size, changes, words.container_itself.into()]
}
