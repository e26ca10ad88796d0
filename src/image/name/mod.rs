//! What images are called, by people and by content.

pub(crate) mod digest;
pub(crate) mod id;
pub(crate) mod platform;
pub(crate) mod purl;
pub(crate) mod reference;
