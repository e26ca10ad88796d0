//! The attestations of an image as in-toto predicates: how it was built ([`provenance`]) and what it contains ([`sbom`]).

pub(crate) mod provenance;
pub(crate) mod sbom;
