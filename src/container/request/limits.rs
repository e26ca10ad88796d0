//! The limits of a container, and how its options make them.

use super::error::RequestError;
use super::size::size;
use serde::{Deserialize, Serialize};

/// The limits of a container (cgroup v2).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together, -1 for no limit; without it no swap is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<i64>,
    /// Bytes that the kernel leaves to the container while others have more than theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<u64>,
    pub cpus: Option<f64>,
    /// Microseconds in which the time of `cpus` is counted, where `--cpu-quota` gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_period: Option<u64>,
    /// A share of processor time relative to other containers: 2 to 262144, 1024 is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,
    /// Processors: `0-3,6`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes: `0,1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_mems: Option<String>,
    /// A share of disk time relative to other containers: 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u16>,
    pub pids: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidLimit {
    #[error("invalid --memory-swap {0:?}: it counts memory too, and needs a --memory that is not above it")]
    Swap(String),
    #[error(
        "invalid --cpu-quota {quota} in a period of {period}: the least quota is 1000, periods are 1000 to 1000000"
    )]
    Quota { quota: i64, period: u64 },
    #[error("--cpus and {0} exclude each other")]
    Both(&'static str),
    #[error("invalid --memory-reservation {0}: it is above --memory")]
    Reservation(u64),
    #[error("invalid {flag} {value}: {from} to {to}")]
    Range { flag: &'static str, value: u64, from: u64, to: u64 },
}

impl crate::diag::Diagnose for InvalidLimit {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Swap(_) => "for example: --memory 512m --memory-swap 1g; without it no swap is used".into(),
            Self::Quota { .. } => "half a processor: --cpu-quota 50000".into(),
            Self::Both(_) => "one and a half processors: --cpus 1.5".into(),
            Self::Reservation(_) => "for example: --memory 512m --memory-reservation 256m".into(),
            Self::Range { flag: "--cpu-shares", .. } => "twice the usual share: --cpu-shares 2048".into(),
            Self::Range { .. } => "the usual share of the disk: --blkio-weight 500".into(),
        })
    }
}

/// The microseconds in which processor time is counted by default.
pub(crate) const PERIOD: u64 = 100_000;

impl Limits {
    /// Sets `--memory-swap`: bytes of memory and swap together, or -1.
    pub(crate) fn limit_swap(&mut self, both: Option<Swap>) -> Result<(), InvalidLimit> {
        let Some(Swap(both)) = both else { return Ok(()) };
        match self.memory {
            _ if both == 0 => {}
            Some(memory) if both == -1 || i128::from(both) >= i128::from(memory) => self.swap = Some(both),
            // Nothing limits memory, so nothing limits swap.
            None if both == -1 => {}
            _ => return Err(InvalidLimit::Swap(both.to_string())),
        }
        Ok(())
    }

    /// Sets `--cpu-quota` and `--cpu-period`: microseconds of processor time in so many microseconds.
    pub(crate) fn limit_quota(&mut self, quota: Option<i64>, period: Option<u64>) -> Result<(), InvalidLimit> {
        let asked = [("--cpu-quota", quota.is_some()), ("--cpu-period", period.is_some())];
        if let Some((flag, _)) = asked.into_iter().find(|(_, asked)| *asked && self.cpus.is_some()) {
            return Err(InvalidLimit::Both(flag));
        }
        let (quota, period) = (quota.unwrap_or(0), period.filter(|period| *period != 0).unwrap_or(PERIOD));
        // Docker's words for no limit.
        let is_unlimited = quota == 0 || quota == -1;
        if !(1000..=1_000_000).contains(&period) || (!is_unlimited && quota < 1000) {
            return Err(InvalidLimit::Quota { quota, period });
        }
        if !is_unlimited {
            self.cpus = Some(quota as f64 / period as f64);
            self.cpu_period = Some(period);
        }
        Ok(())
    }

    /// Checks what a parser of one option cannot see.
    pub(crate) fn check(&self) -> Result<(), InvalidLimit> {
        let within = |flag, value: Option<u64>, from, to| match value {
            Some(value) if !(from..=to).contains(&value) => Err(InvalidLimit::Range { flag, value, from, to }),
            _ => Ok(()),
        };
        within("--cpu-shares", self.cpu_shares, 2, 262_144)?;
        within("--blkio-weight", self.io_weight.map(u64::from), 10, 1000)?;
        match (self.memory, self.reservation) {
            (Some(memory), Some(reservation)) if reservation > memory => Err(InvalidLimit::Reservation(reservation)),
            _ => Ok(()),
        }
    }

    /// Returns the flag of each limit, and the controller that it needs.
    pub(crate) fn flags(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            ("--memory", "memory", self.memory.is_some()),
            ("--memory-reservation", "memory", self.reservation.is_some()),
            ("--cpus", "cpu", self.cpus.is_some() && self.cpu_period.is_none()),
            ("--cpu-quota", "cpu", self.cpu_period.is_some()),
            ("--cpu-shares", "cpu", self.cpu_shares.is_some()),
            ("--cpuset-cpus", "cpuset", self.cpuset_cpus.is_some()),
            ("--cpuset-mems", "cpuset", self.cpuset_mems.is_some()),
            ("--blkio-weight", "io", self.io_weight.is_some()),
            ("--pids-limit", "pids", self.pids.is_some()),
        ];
        all.into_iter().filter(|(.., is_set)| *is_set).map(|(flag, controller, _)| (flag, controller)).collect()
    }
}

/// `--memory-swap`'s argument: bytes, or -1 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swap(pub i64);

pub(crate) fn swap(text: &str) -> Result<Swap, RequestError> {
    let wrong = || RequestError::Size(text.to_owned());
    if text == "-1" { Ok(Swap(-1)) } else { i64::try_from(size(text)?).map(Swap).map_err(|_| wrong()) }
}

/// The argument of `--cpuset-cpus` and `--cpuset-mems`: `0-3,6`.
pub(crate) fn cpuset(text: &str) -> Result<String, RequestError> {
    let number = |text: &str| text.parse::<u16>().ok();
    let is_range = |part: &str| match part.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)).is_some_and(|(first, last)| first <= last),
        None => number(part).is_some(),
    };
    if text.split(',').all(is_range) { Ok(text.to_owned()) } else { Err(RequestError::CpuSet(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_counts_memory_too() {
        let limited = |memory, text: &str| {
            let mut limits = Limits { memory, ..Limits::default() };
            limits.limit_swap(Some(swap(text).unwrap())).map(|()| limits.swap).ok()
        };
        assert_eq!(limited(Some(1 << 20), "2m"), Some(Some(2 << 20)));
        assert_eq!(limited(Some(1 << 20), "-1"), Some(Some(-1)));
        assert_eq!((limited(Some(1 << 20), "0"), limited(None, "-1")), (Some(None), Some(None)));
        assert_eq!((limited(Some(2 << 20), "1m"), limited(None, "1m")), (None, None));
    }

    #[test]
    fn a_quota_is_a_number_of_processors() {
        let limited = |quota, period| {
            let mut limits = Limits::default();
            limits.limit_quota(quota, period).map(|()| (limits.cpus, limits.cpu_period)).ok()
        };
        assert_eq!(limited(Some(50_000), None), Some((Some(0.5), Some(100_000))));
        assert_eq!(limited(Some(50_000), Some(25_000)), Some((Some(2.0), Some(25_000))));
        assert_eq!((limited(Some(-1), None), limited(Some(0), Some(0))), (Some((None, None)), Some((None, None))));
        assert_eq!((limited(Some(999), None), limited(Some(5000), Some(10))), (None, None));
        let mut both = Limits { cpus: Some(1.0), ..Limits::default() };
        assert!(both.limit_quota(None, Some(10_000)).is_err());
    }

    #[test]
    fn sets_of_processors() {
        for good in ["0", "0-3", "0,2-3,7"] {
            assert_eq!(cpuset(good).unwrap(), good);
        }
        for bad in ["", "3-0", "a", "0,,1", "-1", "0-"] {
            assert!(cpuset(bad).is_err(), "{bad}");
        }
    }
}
