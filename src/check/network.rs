//! Checks of networks: their records.

use super::report::{Check, name_of};
use crate::diag::Failure;
use crate::network::shared;
use crate::store;

impl Check<'_> {
    pub(crate) fn networks(&mut self) -> Result<(), Failure> {
        for directory in self.entries("networks")? {
            if let Some(damage) = shared::damage(&directory) {
                let repair = format!("remove it; make it again: minirun network create {}", name_of(&directory));
                self.mend(&directory, damage, &repair, || Ok(store::remove_tree(&directory)?));
            }
        }
        Ok(())
    }
}
