//! Images: immutable, content-addressed, shared.

pub(crate) mod assemble;
pub(crate) mod attestation;
pub(crate) mod commit;
pub(crate) mod config;
mod error;
pub(crate) mod freeze;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod ingest;
pub(crate) mod inspect;
pub(crate) mod install;
mod journal;
pub(crate) mod load;
pub(crate) mod media_type;
pub(crate) mod name;
pub(crate) mod nature;
pub(crate) mod overlay;
pub(crate) mod save;
pub(crate) mod stored;
pub(crate) mod tar;

pub(crate) use error::ImageError;
pub(crate) use journal::{note_image, note_transfer};
pub(crate) use overlay::stack::check_layers;
pub(crate) use stored::document::sync;
pub(crate) use stored::find::find;
pub(crate) use stored::find::{find_for, lookup, meant};
pub(crate) use stored::image::Image;
pub(crate) use stored::image::{all, config_bytes, directory, manifest_bytes, manifests};
pub(crate) use stored::publish::add_manifest;
pub(crate) use stored::users::{containers, hold, hold_path};
