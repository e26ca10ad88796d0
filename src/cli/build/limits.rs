//! The limits of every RUN, in `docker build`'s flags.

use crate::container::request;
use crate::container::request::{InvalidLimit, Limits, Swap};
use clap::Args;

#[derive(Args)]
pub(super) struct LimitArgs {
    /// Limit the memory of every RUN
    #[arg(short, long, value_name = "BYTES", value_parser = request::size)]
    memory: Option<u64>,
    /// Limit memory and swap together; -1 allows all swap
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, value_parser = request::swap)]
    memory_swap: Option<Swap>,
    /// Limit the processor time of every RUN per 100 ms
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_quota: Option<i64>,
    #[arg(long, hide = true, value_name = "MICROSECONDS", requires = "cpu_quota")]
    cpu_period: Option<u64>,
}

impl LimitArgs {
    pub(super) fn limits(&self) -> Result<Limits, InvalidLimit> {
        let mut limits = Limits { memory: self.memory, ..Limits::default() };
        limits.limit_swap(self.memory_swap)?;
        limits.limit_quota(self.cpu_quota, self.cpu_period)?;
        Ok(limits)
    }
}
