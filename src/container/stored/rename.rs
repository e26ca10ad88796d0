//! Another name for a container.

use super::record;
use super::record::{Container, RecordError};
use crate::diag::{Diagnose, inner_of};
use crate::network::shared::{self, NetworkError};
use crate::store;
use crate::store::{Lock, Store};
use crate::sys::SysError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RenameError {
    #[error("container {0} has this name already")]
    Same(String),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for RenameError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Record, Network, Sys)
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// Gives a container another name. It has the old one until its record is replaced, and the new one from then on: a name's
/// file counts only if the record that it leads to has the name.
pub(crate) fn rename(store: &Store, container: &Container, new: &str) -> Result<(), RenameError> {
    let _lock = container.lock()?;
    let mut record = Container::load(store, &container.record.id)?.record;
    let old = std::mem::replace(&mut record.name, new.to_owned());
    if old == new {
        return Err(RenameError::Same(old));
    }
    let names = store.path("container-names");
    let _names = Lock::exclusive(&names.join(store::NAMES_LOCK))?;
    record::check_free(store, new)?;
    record.request.name = Some(new.to_owned());
    record::note_names(&container.directory, &record, &[&old, new])?;
    store::write_quickly(&names.join(new), record.id.as_str().as_bytes())?;
    store::write_quickly(&container.directory.join("container.json"), &store::format::to_record(&record))?;
    for endpoint in &record.request.endpoints {
        if let Ok(network) = shared::find(store, &endpoint.network) {
            shared::rename(store, &network, record.id.as_str(), new)?;
        }
    }
    store::remove_tree(&names.join(&old))?;
    Ok(record::note_names(&container.directory, &record, &[new])?)
}
