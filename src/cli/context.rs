//! What every command is given.

use crate::store::Store;

/// The store that a command works on.
pub(crate) struct Context {
    pub store: Store,
}
