//! `load`: the images of a docker-archive, an OCI archive, a directory of either, or one that skopeo or Podman has made, told
//! apart by what they contain.

mod archive;
mod candidate;
mod directory;
mod docker;
mod document;
mod images;
mod legacy;
mod listed;
mod oci;

pub(crate) use images::load;
