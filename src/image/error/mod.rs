//! The errors of images: one for each task, and [`ImageError`] around them.

mod image;
mod install;
mod load;
mod save;

pub(crate) use image::ImageError;
pub(crate) use install::InstallError;
pub(crate) use load::{ArchiveError, LoadError};
pub(crate) use save::SaveError;
