//! The files of a build: contexts, the patterns that select from them, and how they are copied.

pub(crate) mod context;
pub(crate) mod copier;
pub(crate) mod glob;
pub(crate) mod material;
pub(crate) mod memo;
pub(crate) mod mode;
pub(crate) mod named;
pub(crate) mod tree;
