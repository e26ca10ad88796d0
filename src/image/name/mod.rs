//! Names of images: digests, references, platforms.

pub(crate) mod digest;
pub(crate) mod id;
pub(crate) mod platform;
pub(crate) mod purl;
pub(crate) mod reference;
