//! Tar streams: read, unpacked, packed, recorded, compressed.

pub mod compress;
pub mod pack;
pub mod record;
pub mod sparse;
pub mod stream;
pub mod tape;
pub mod tree;
pub mod unpack;
