//! Places in the files of a project.

/// Where a node stands. Lines and columns count from 1; line 0: nowhere in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the file among those that were read.
    pub file: usize,
    pub line: usize,
    pub column: usize,
}
