//! Help: which group a command belongs to, examples of its use, headings of its options; all in tables, one line per command.

mod commands;
mod errors;
mod headings;
mod page;

pub use commands::examples;
pub use errors::experiment;
pub(super) use errors::{list, page_of_error};
pub use page::decorated;
pub(super) use page::{EVERYWHERE, Help, print_page};
