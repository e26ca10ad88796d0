//! `update`: other limits for containers, at once and for good.

use crate::cli::flags::each;
use crate::cli::{Context, stderr};
use crate::container::live::update;
use crate::container::request;
use crate::container::request::{Limits, RequestError};
use crate::container::stored::record::Container;
use crate::diag::Failure;
use clap::{ArgGroup, Args};

#[derive(Args)]
#[command(override_usage = "minirun update [OPTIONS] <CONTAINER>...")]
#[command(group = ArgGroup::new("limits").args(["memory", "memory_swap", "cpus", "pids_limit"]).multiple(true).required(true))]
pub(crate) struct UpdateArgs {
    /// Limit memory
    #[arg(short, long, value_name = "BYTES", value_parser = request::size)]
    memory: Option<u64>,
    /// Limit memory and swap together; -1 allows all swap
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, value_parser = swap)]
    memory_swap: Option<i64>,
    /// Limit processor time, in processors
    #[arg(long, value_name = "NUMBER", value_parser = request::cpus)]
    cpus: Option<f64>,
    /// Limit the number of processes; -1 allows any
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

fn swap(text: &str) -> Result<i64, RequestError> {
    if text == "-1" { Ok(-1) } else { request::size(text).map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)) }
}

pub(super) fn update(arguments: &UpdateArgs, context: &Context) -> Result<u8, Failure> {
    let UpdateArgs { memory, memory_swap: swap, cpus, pids_limit: pids, containers } = arguments;
    let limits = Limits { memory: *memory, swap: *swap, cpus: *cpus, pids: *pids, ..Limits::default() };
    Ok(each(containers, |name| {
        let container = Container::find(&context.store, name)?;
        for note in update::update(&context.store, &container, &limits)? {
            stderr::note(&note);
        }
        println!("{name}");
        Ok(())
    }))
}
