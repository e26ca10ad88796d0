//! Tar streams: read, unpacked, packed, recorded, compressed.

pub(crate) mod compress;
pub(crate) mod header;
pub(crate) mod pack;
pub(crate) mod record;
pub(crate) mod sparse;
pub(crate) mod stream;
pub(crate) mod tape;
pub(crate) mod tree;
pub(crate) mod unpack;
pub(crate) mod whole;
