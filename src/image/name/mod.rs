//! What images are called, by people and by content.

pub mod digest;
pub mod id;
pub mod platform;
pub mod purl;
pub mod reference;
