//! The texts of the commands that explain, in each language that they speak.

mod catalogue;
mod language;
mod messages;
mod template;

pub(crate) use catalogue::Words;
pub(crate) use language::{CHANGES, ENTRIES, FILES, IMAGES, LAYERS, Language, PROCESSES, READ_ONLY_LAYERS};
pub(crate) use messages::in_current_language;
pub(crate) use template::{fill, place};
