//! When a container that has ended is started again: its policy, and Docker's growing delay.

use crate::container::request::{OnUnhealthy, RestartPolicy};
use crate::container::stored::outcome::{Asked, Asker, Outcome};
use std::time::Duration;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// A container that ran for so long begins with the first delay again.
const IS_STABLE: Duration = Duration::from_secs(10);

/// The restarts since a command started the container.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    pub count: u32,
    delay: Option<Duration>,
}

impl Restarts {
    /// Decides about a container that ended after `uptime`. `None`: it stays as it is.
    pub(super) fn after(
        &mut self,
        (policy, on_unhealthy): (RestartPolicy, OnUnhealthy),
        status: i32,
        outcome: &Outcome,
        stop_signal: Option<i32>,
        uptime: Duration,
    ) -> Option<Duration> {
        // What a health check has ended, with a signal of its own.
        let is_unhealthy = outcome.asked.iter().any(|asked| asked.by == Asker::Health);
        let wanted = match policy {
            _ if is_unhealthy && on_unhealthy == OnUnhealthy::Restart => true,
            _ if is_unhealthy && on_unhealthy == OnUnhealthy::Stop => false,
            RestartPolicy::No => false,
            RestartPolicy::OnFailure { most } => status != 0 && most.is_none_or(|most| self.count < most),
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        };
        if !wanted || outcome.asked.iter().any(|asked| is_final(asked, stop_signal)) {
            return None;
        }
        let longer = self.delay.filter(|_| uptime < IS_STABLE).map(|delay| (delay * 2).min(LONGEST_DELAY));
        self.count += 1;
        Some(*self.delay.insert(longer.unwrap_or(FIRST_DELAY)))
    }
}

/// Whether somebody wanted the container to end, so that it is not started again.
pub(super) fn is_final(asked: &Asked, stop_signal: Option<i32>) -> bool {
    let ends = [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];
    match asked.by {
        Asker::Stop | Asker::Monitor => true,
        Asker::Health => false,
        Asker::Kill | Asker::Client => ends.contains(&asked.signal) || Some(asked.signal) == stop_signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_a_minute_and_begins_again() {
        let (mut restarts, outcome) = (Restarts::default(), Outcome::default());
        let mut after = |seconds| {
            let uptime = Duration::from_secs(seconds);
            restarts.after((RestartPolicy::Always, OnUnhealthy::None), 0, &outcome, None, uptime).unwrap().as_millis()
        };
        let delays: Vec<u128> = (0..12).map(|_| after(0)).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!((after(10), after(9)), (100, 200));
    }

    #[test]
    fn a_policy_looks_at_the_code_the_count_and_who_ended_it() {
        let decides_if = |on_unhealthy, policy: &str, status, count, asked: &[(Asker, i32)]| {
            let mut outcome = Outcome::default();
            asked.iter().for_each(|(by, signal)| outcome.ask(*by, *signal, None));
            let mut restarts = Restarts { count, delay: None };
            let policy = (policy.parse().unwrap(), on_unhealthy);
            restarts.after(policy, status, &outcome, Some(libc::SIGUSR1), Duration::ZERO).is_some()
        };
        let decides = |policy: &str, status, count, asked: &[(Asker, i32)]| {
            decides_if(OnUnhealthy::None, policy, status, count, asked)
        };
        let by_health = [(Asker::Health, libc::SIGKILL)];
        assert!(decides_if(OnUnhealthy::Restart, "no", 137, 0, &by_health));
        assert!(!decides_if(OnUnhealthy::Stop, "always", 137, 0, &by_health));
        assert!(decides_if(OnUnhealthy::Kill, "always", 137, 0, &by_health));
        assert!(!decides_if(OnUnhealthy::Kill, "no", 137, 0, &by_health));
        assert!(decides("always", 0, 9, &[]) && decides("unless-stopped", 1, 9, &[]));
        assert!(!decides("no", 1, 0, &[]) && !decides("on-failure", 0, 0, &[]) && decides("on-failure", 1, 99, &[]));
        assert!(decides("on-failure:3", 1, 2, &[]) && !decides("on-failure:3", 1, 3, &[]));
        assert!(!decides("always", 0, 0, &[(Asker::Stop, libc::SIGHUP)]));
        assert!(!decides("always", 0, 0, &[(Asker::Kill, libc::SIGKILL)]));
        assert!(!decides("always", 0, 0, &[(Asker::Kill, libc::SIGUSR1)]));
        assert!(decides("always", 0, 0, &[(Asker::Kill, libc::SIGHUP)]));
    }
}
