//! A Dockerfile, read and understood.

pub mod annotation;
pub mod change;
pub mod check;
pub mod instruction;
pub mod mount;
pub mod outline;
pub mod parse;
pub mod stage;
pub mod variable;
