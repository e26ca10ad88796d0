//! Networks that containers share.
//!
//! A network is a record in the store and, while it has members, a network namespace in the user namespace of the store's
//! containers. No process belongs to that namespace: each member's monitor holds it open, and it goes with the last one.
//!
//! ```text
//! networks/<name>/network.json                what it was made with; the network `bridge` has none
//! run/<boot>/networks/<id>/members/<id>       a container that is on it, and the monitor that holds it open
//!                          addresses/<ip>     the same file: who has the address
//!                          names/<name>/<id>  an empty file for each container of this name
//!                          lock               held while the namespace is looked for or made
//! ```

mod error;
mod lease;
mod member;
mod pool;
mod record;

pub(crate) use error::NetworkError;
pub(crate) use lease::{
    Endpoint, Lease, Mac, by_address, by_name, check, foresee, is_found_by, leave_all, members, of_container, rename,
    take,
};
pub(crate) use member::{Attached, Member};
pub(crate) use record::{
    BRIDGE, Record, Wanted, all, create, damage, find, label, option, remove, subnet_v4, subnet_v6,
};
