//! The networks that a container is on.

use super::sharing::SharingError;
use crate::container::request::{Network, Request};
use crate::container::rootfs::shift;
use crate::network::shared::{self, BRIDGE, Endpoint, NetworkError};
use crate::store::Store;

/// Resolves the networks of a request: ids become names; who asks for none is on `bridge`.
pub(super) fn resolve(store: &Store, request: &mut Request) -> Result<(), SharingError> {
    if request.network != Network::Private {
        return Ok(());
    }
    if is_apart(store, request) {
        let named = request.endpoints.iter().find(|endpoint| endpoint.network != BRIDGE);
        return match named {
            Some(endpoint) => Err(SharingError::TooStrong(endpoint.network.clone())),
            None => {
                request.endpoints.clear();
                Ok(())
            }
        };
    }
    if request.endpoints.is_empty() {
        request.endpoints.push(Endpoint { network: BRIDGE.to_owned(), ..Endpoint::default() });
    }
    let mut seen = Vec::new();
    for endpoint in &mut request.endpoints {
        let network = shared::find(store, &endpoint.network)?;
        if seen.contains(&network.name) {
            return Err(SharingError::Twice(network.name));
        }
        shared::check(&network, endpoint)?;
        seen.push(network.name.clone());
        endpoint.network = network.name;
    }
    Ok(())
}

/// Whether a container is in another user namespace than the one that containers share, to which networks belong.
pub(crate) fn is_apart(store: &Store, request: &Request) -> bool {
    let has_other_ids = || request.host_ids && shift::ids(store, false).is_ok_and(|ids| ids.is_shifted());
    request.is_apart() || has_other_ids()
}

/// Whether all networks of a container are internal: it has no way out.
pub(crate) fn are_internal(store: &Store, request: &Request) -> Result<bool, NetworkError> {
    let mut all = request.endpoints.iter();
    Ok(!request.endpoints.is_empty()
        && all.try_fold(true, |so_far, endpoint| {
            Ok::<_, NetworkError>(so_far && shared::find(store, &endpoint.network)?.internal)
        })?)
}
