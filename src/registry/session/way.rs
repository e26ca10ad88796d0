//! The ways in which registries accept blobs.

/// The length of a chunk, which is in memory while it is sent.
const CHUNK: u64 = 8 << 20;
/// If a registry wants shorter chunks than this, blobs are sent as a whole.
const SHORTEST_CHUNK: u64 = 16 << 10;

/// A way in which a registry accepts blobs. The specification wants every registry to accept the first way, but some do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Way {
    /// One PATCH of unknown length.
    #[default]
    Streamed,
    /// A PATCH for each chunk, no longer than this, with its range.
    Chunked { longest: u64 },
    /// One PUT of known length and digest.
    Whole,
}

impl Way {
    /// The way to try after this one was refused.
    pub(crate) fn next(self, too_long: bool) -> Option<Self> {
        match self {
            Self::Streamed => Some(Self::Chunked { longest: CHUNK }),
            Self::Chunked { longest } if too_long && longest / 2 >= SHORTEST_CHUNK => {
                Some(Self::Chunked { longest: longest / 2 })
            }
            Self::Chunked { .. } => Some(Self::Whole),
            Self::Whole => None,
        }
    }
}
