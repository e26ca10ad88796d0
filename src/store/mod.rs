//! The store on disk: where things lie, how they are written so that a crash leaves nothing half-done, and the locks.

mod belonging;
mod claim;
mod damage;
mod error;
pub(crate) mod format;
pub(crate) mod layout;
mod lock;
mod name;
mod random;
mod removal;
mod scratch;
mod text;
mod write;

pub(crate) use belonging::{Belonging, NAMES_LOCK, lists_are_whole, note_belongings};
pub(crate) use claim::Claim;
pub(crate) use damage::{CHECK, tell_damage};
pub(crate) use error::StoreError;
pub(crate) use layout::PARTS;
pub(crate) use layout::Store;
pub(crate) use lock::Lock;
pub(crate) use name::is_name;
pub(crate) use random::random_hex;
pub(crate) use removal::{is_empty, remove_tree};
pub(crate) use scratch::Scratch;
pub(crate) use text::record_as_text;
pub(crate) use write::{sync_dir, write_durably, write_in_place, write_quickly};
