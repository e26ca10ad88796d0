//! Volumes: directories that outlive the containers that use them.
//!
//! ```text
//! volumes/<name>/_data         its files
//!                volume.json   its labels and options, when it was made; absent: an older version made it
//!                containers/   an empty file for each container that uses it
//!                lock filling  while the files of an image are copied to it
//! volumes/.lock                held while a volume is made, taken into use or removed
//! ```

mod archive;
mod error;
mod option;
mod record;
mod users;

pub(crate) use archive::{export, import};
pub(crate) use error::VolumeError;
pub(crate) use option::{Backing, label, option};
pub(crate) use record::{Record, Volume, all, create, damage, event, find, hold, random_name, remove};
pub(crate) use users::{USERS, data_path, hold_path, lacks_users, note_user, tree_path, users};
