//! The number of directories that the kernel lays on top of each other.

use crate::diag::Diagnose;

/// The most lower directories of one overlay (OVL_MAX_STACK in the kernel).
pub(crate) const MOST_LAYERS: usize = 500;

#[derive(Debug, thiserror::Error)]
#[error("{subject} has {count} layers, but the kernel lays no more than {MOST_LAYERS} on top of each other")]
pub struct TooManyLayers {
    subject: String,
    count: usize,
}

impl Diagnose for TooManyLayers {
    fn hint(&self) -> Option<String> {
        Some(
            "make it of fewer layers: several commands in one RUN, or its files in one layer, by minirun export and import"
                .into(),
        )
    }
}

/// Refuses what no container could run on.
pub(crate) fn check_layers(subject: &str, count: usize) -> Result<(), TooManyLayers> {
    if count > MOST_LAYERS { Err(TooManyLayers { subject: subject.to_owned(), count }) } else { Ok(()) }
}
