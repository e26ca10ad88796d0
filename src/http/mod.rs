//! HTTP without an async runtime and without the C library's name service: for registries, `import URL` and `ADD URL`.

mod client;
mod dns;
mod error;
mod fetch;
mod proxy;
mod url;

pub(crate) use client::{Client, Trust};
pub(crate) use error::HttpError;
pub(crate) use fetch::{Fetched, fetch, fetch_to, look};
pub(crate) use proxy::is_within;
pub use url::resolve;
pub(crate) use url::{is_url, redirect};
