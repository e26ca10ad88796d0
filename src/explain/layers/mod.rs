//! What images and containers are made of: their layers, what each adds and hides, and what is mounted over them.

pub(crate) mod anatomy;
pub(crate) mod files;
pub(crate) mod ghosts;
pub(crate) mod lookup;
pub(crate) mod mounts;
pub(crate) mod stack;
pub(crate) mod subject;
