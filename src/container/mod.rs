//! A container: an image reference, one writable upper directory, sometimes a process.
//!
//! `Request + Image → OCI specification → Plan → carried out`: [`request`], [`create`] and [`spec`] decide, [`plan`] and
//! [`step`] say what that means for the kernel, [`launch`] hands it to the [`monitor`], whose child [`init`] walks it.

pub(crate) mod decide;
pub(crate) mod inspect;
pub(crate) mod live;
pub(crate) mod plan;
pub(crate) mod probe;
pub(crate) mod stored;
