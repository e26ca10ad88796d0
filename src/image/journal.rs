//! What the journal is told of images.

use super::name::digest::Digest;
use super::name::reference::Reference;
use crate::journal::{Event, Kind, note};
use crate::store::Store;

/// Notes what was done to an image, under the name that it was done to, if that is one.
pub(crate) fn note_image(store: &Store, action: &str, id: &Digest, name: Option<&Reference>) {
    let name = name.map_or_else(|| id.to_string(), Reference::familiar);
    note(store, &[Event::now(Kind::Image, action, id.to_string()).with("name", name)]);
}

/// Notes a transfer from or to a registry, which Docker tells by the image's name.
pub(crate) fn note_transfer(store: &Store, action: &str, reference: &Reference) {
    let event = Event::now(Kind::Image, action, reference.familiar());
    note(store, &[event.with("name", reference.familiar_repository())]);
}
