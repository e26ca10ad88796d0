//! Compose files become one canonical tree: [`yaml`], then [`interpolate`], then [`canonical`], then [`merge`].

pub(crate) mod canonical;
pub(crate) mod dotenv;
pub(crate) mod interpolate;
pub(crate) mod load;
mod merge;
mod node;
mod paths;
mod schema;
mod short;
mod words;
pub(crate) mod yaml;

pub(crate) use load::{Loaded, Options, load};
pub(crate) use node::{Entry, Map, Node, Value};
