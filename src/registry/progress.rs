//! The progress of a pull or push, as `cli` shows it.

/// Is told how far a pull or push has got, by several threads.
pub(crate) trait Progress: Sync {
    /// Something about the image as a whole.
    fn line(&self, _text: &str) {}

    fn layer(&self, _id: &str, _state: State) {}
}

/// Nobody looks.
pub(crate) struct Silent;

impl Progress for Silent {}

/// What is being done with a layer, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    AlreadyExists,
    Downloading {
        done: u64,
        total: u64,
    },
    PullComplete,
    LayerExists,
    /// It lies elsewhere, and is not pushed.
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
