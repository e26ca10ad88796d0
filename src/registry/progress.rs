//! The progress of a pull or push, as `cli` shows it.

/// Receives the progress of a pull or push, from several threads.
pub(crate) trait Progress: Sync {
    /// Receives a line about the image as a whole.
    fn line(&self, _text: &str) {}

    fn layer(&self, _id: &str, _state: State) {}
}

/// Ignores all progress.
pub(crate) struct Silent;

impl Progress for Silent {}

/// The state of a layer, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    AlreadyExists,
    Downloading {
        done: u64,
        total: u64,
    },
    PullComplete,
    LayerExists,
    /// The layer lies elsewhere and must not be distributed, so it is not pushed.
    Foreign,
    Mounted {
        from: String,
    },
    Pushing {
        done: u64,
        total: u64,
    },
    Pushed,
}
