//! Where the files of a build come from, and how they are chosen.

pub(crate) mod context;
pub(crate) mod copy;
pub(crate) mod glob;
pub(crate) mod memo;
pub(crate) mod mode;
pub(crate) mod named;
pub(crate) mod tree;
