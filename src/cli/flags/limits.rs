//! Flags about the resources of a container.

use crate::container::request;
use crate::container::request::{InvalidLimit, Limits, Swap};
use clap::Args;

/// The limits that `run`, `create` and `update` take. 0 stands for no limit, or no change, as with Docker.
#[derive(Args)]
pub(crate) struct LimitFlags {
    /// Limit memory
    #[arg(short, long, value_name = "BYTES", value_parser = request::size)]
    memory: Option<u64>,
    /// Limit memory and swap together; -1 allows all swap
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, value_parser = request::swap)]
    memory_swap: Option<Swap>,
    /// Leave this much memory to the container when the host is short of it
    #[arg(long, value_name = "BYTES", value_parser = request::size)]
    memory_reservation: Option<u64>,
    /// Limit processor time, in processors
    #[arg(long, value_name = "NUMBER", value_parser = request::cpus)]
    cpus: Option<f64>,
    /// Set the share of processor time; 1024 is usual
    #[arg(short, long, value_name = "NUMBER")]
    cpu_shares: Option<u64>,
    /// Limit processor time per period
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    cpu_quota: Option<i64>,
    /// Set the period of --cpu-quota
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// Use these processors only
    #[arg(long, value_name = "0-3,6", value_parser = request::cpuset)]
    cpuset_cpus: Option<String>,
    /// Use these memory nodes only
    #[arg(long, value_name = "0,1", value_parser = request::cpuset)]
    cpuset_mems: Option<String>,
    /// Set the share of disk time: 10 to 1000
    #[arg(long, value_name = "NUMBER")]
    blkio_weight: Option<u16>,
    /// Limit the number of processes; -1 allows any
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
}

impl LimitFlags {
    pub(crate) fn limits(&self) -> Result<Limits, InvalidLimit> {
        let mut limits = self.changes()?;
        limits.swap = None;
        limits.limit_swap(self.memory_swap)?;
        limits.pids = limits.pids.filter(|limit| *limit > 0);
        limits.check()?;
        Ok(limits)
    }

    /// Returns the limits that are to change, which are checked together with those that stay.
    pub(crate) fn changes(&self) -> Result<Limits, InvalidLimit> {
        let mut limits = Limits {
            memory: self.memory.filter(|bytes| *bytes > 0),
            reservation: self.memory_reservation.filter(|bytes| *bytes > 0),
            cpus: self.cpus.filter(|cpus| *cpus > 0.0),
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0),
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            io_weight: self.blkio_weight.filter(|weight| *weight > 0),
            swap: self.memory_swap.map(|Swap(both)| both).filter(|both| *both != 0),
            pids: self.pids_limit.filter(|limit| *limit != 0),
            ..Limits::default()
        };
        limits.limit_quota(self.cpu_quota, self.cpu_period)?;
        Ok(limits)
    }
}
