//! Layers that are not in the store yet.

use super::cache::{Inputs, Outcome};
use crate::image::ingest::Ingested;
use crate::image::name::digest::Digest;

/// A layer that is not in the store yet, and its future cache entry.
pub(crate) struct Pending {
    pub ingested: Ingested,
    pub key: Digest,
    pub inputs: Inputs,
}

impl Pending {
    pub(crate) fn outcome(&self) -> Outcome {
        let info = &self.ingested.info;
        Outcome {
            diff_id: info.diff_id,
            size: info.size,
            entries: info.entries,
            created: info.created.clone(),
            is: None,
        }
    }
}
