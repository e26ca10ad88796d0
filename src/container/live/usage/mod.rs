//! What a running container uses of its host: from its control group where that counts it, else from its processes.

mod amount;
mod group;
mod look;
mod process;

pub(crate) use amount::Usage;
pub(crate) use process::Survey;
