//! `script`: a container as commands to type.

use super::super::Context;
use crate::container::by_hand::{self, Surroundings};
use crate::container::launch;
use crate::container::layering::Layering;
use crate::container::record::Container;
use crate::diag::Failure;
use crate::userns::IdMap;
use clap::Args;

#[derive(Args)]
pub struct ScriptArgs {
    container: String,
}

impl ScriptArgs {
    pub fn run(self, context: &Context) -> Result<u8, Failure> {
        let store = &context.store;
        let container = Container::find(store, &self.container)?;
        let plan = launch::plan(&container, None, Layering::of(store))?;
        let upper = container.directory.join("upper");
        let ids = IdMap::of_caller();
        let around = Surroundings { name: &container.record.name, store: &store.root, upper: &upper, ids: &ids };
        print!("{}", by_hand::script(&plan, &around));
        Ok(0)
    }
}
