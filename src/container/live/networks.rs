//! The places of a container on its networks, from the moment that it starts.

use crate::container::stored::record::Record;
use crate::network::shared::{self, Endpoint, Member, NetworkError};
use crate::store::Store;
use crate::sys::process;
use std::path::Path;

/// Returns the places that a container would get at this moment.
pub(crate) fn foreseen(store: &Store, record: &Record) -> Result<Vec<Member>, NetworkError> {
    let place = |(slot, endpoint): (u16, &Endpoint)| {
        let network = shared::find(store, &endpoint.network)?;
        Ok(Member::new(&network, &shared::foresee(store, &network, endpoint, slot), runtime(store)))
    };
    (0..).zip(&record.request.endpoints).map(place).collect()
}

/// The runtime directory, from the store's root: a monitor may see the store elsewhere.
pub(super) fn runtime(store: &Store) -> &Path {
    store.runtime.strip_prefix(&store.root).unwrap_or(&store.runtime)
}

/// The addresses and names that a container gets for as long as its monitor lives. They are given back unless the start
/// succeeds.
pub(super) struct Places<'a> {
    store: &'a Store,
    container: &'a str,
    pub members: Vec<Member>,
    is_kept: bool,
}

impl<'a> Places<'a> {
    pub(super) fn take(store: &'a Store, record: &'a Record, monitor: i32) -> Result<Self, NetworkError> {
        let mut places = Self { store, container: record.id.as_str(), members: Vec::new(), is_kept: false };
        let monitor = (monitor, process::start_time(monitor).unwrap_or_default());
        for (slot, endpoint) in (0..).zip(&record.request.endpoints) {
            let network = shared::find(store, &endpoint.network)?;
            let lease = shared::take(store, &network, endpoint, (places.container, &record.name), monitor, slot)?;
            places.members.push(Member::new(&network, &lease, runtime(store)));
        }
        Ok(places)
    }

    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Places<'_> {
    fn drop(&mut self) {
        if !self.is_kept && !self.members.is_empty() {
            shared::leave_all(self.store, self.container);
        }
    }
}
