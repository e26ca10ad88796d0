//! A container: an image reference, one writable upper directory, sometimes a process.
//!
//! `Request + Image → OCI specification → Plan → carried out`: [`request`], [`create`] and [`spec`] decide, [`plan`] and
//! [`step`] say what that means for the kernel, [`launch`] hands it to the [`monitor`], whose child [`init`] walks it.

pub mod decide;
pub mod inspect;
pub mod live;
pub mod plan;
pub mod probe;
pub mod stored;
