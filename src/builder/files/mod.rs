//! Where the files of a build come from, and how they are chosen.

pub mod context;
pub mod copy;
pub mod glob;
pub mod memo;
pub mod mode;
pub mod named;
pub mod tree;
