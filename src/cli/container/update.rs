//! `update`: other limits and another restart policy for containers, at once and for good.

use crate::cli::flags::{LimitFlags, each};
use crate::cli::{Context, stderr};
use crate::container::live::update::{self, Changes};
use crate::container::request::RestartPolicy;
use crate::container::stored::record::Container;
use crate::diag::Failure;
use clap::{ArgGroup, Args};

const CHANGES: [&str; 12] = [
    "memory",
    "memory_swap",
    "memory_reservation",
    "cpus",
    "cpu_shares",
    "cpu_quota",
    "cpu_period",
    "cpuset_cpus",
    "cpuset_mems",
    "blkio_weight",
    "pids_limit",
    "restart",
];

#[derive(Args)]
#[command(override_usage = "minirun update [OPTIONS] <CONTAINER>...")]
#[command(group = ArgGroup::new("changes").args(CHANGES).multiple(true).required(true))]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    limits: LimitFlags,
    /// Start it again when it ends: no, on-failure, on-failure:TIMES, always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    restart: Option<RestartPolicy>,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

pub(super) fn update(arguments: &UpdateArgs, context: &Context) -> Result<u8, Failure> {
    let changes = Changes { limits: arguments.limits.changes()?, restart: arguments.restart };
    Ok(each(&arguments.containers, |name| {
        let container = Container::find(&context.store, name)?;
        for note in update::update(&context.store, &container, &changes)? {
            stderr::note(&note);
        }
        println!("{name}");
        Ok(())
    }))
}
