//! `run --explain`: each step as it is carried out, from the plan itself.

use crate::container::launch::Listener;
use crate::container::plan::Plan;
use crate::userns::{IdMap, Origin};

/// Prints to standard error, which is not the container's output.
pub struct Told {
    number: u32,
}

impl Told {
    pub fn new() -> Self {
        Self { number: 0 }
    }

    fn line(&mut self, call: &str, why: &str, micros: Option<u32>) {
        self.number += 1;
        let took = micros.map_or(String::new(), |m| format!("{m} µs"));
        eprintln!("{:>3}  {took:>9}  {call}\n                {why}", self.number);
    }
}

impl Listener for Told {
    fn namespace(&mut self, origin: &Origin) {
        match origin {
            Origin::Joined { monitor } => self.line(
                &format!("setns(/proc/{monitor}/ns/user, CLONE_NEWUSER)"),
                "all your containers share one user namespace; process {monitor} keeps it"
                    .replace("{monitor}", &monitor.to_string())
                    .as_str(),
                None,
            ),
            Origin::Made(map) => {
                self.line("unshare(CLONE_NEWUSER)", "ids of its own: root in it is you outside", None);
                let ranges: Vec<String> =
                    map.uids().iter().map(|r| format!("{} {} {}", r.inside, r.outside, r.count)).collect();
                let call = match map {
                    IdMap::Range { .. } => "newuidmap and newgidmap",
                    IdMap::Identity { .. } | IdMap::Single { .. } => "write(/proc/PID/uid_map)",
                };
                self.line(
                    &format!("{call}: {}", ranges.join(", ")),
                    "first id inside, first id outside, how many",
                    None,
                );
            }
        }
    }

    fn step(&mut self, plan: &Plan, step: u32, micros: u32) {
        if let Some(step) = plan.steps().nth(step as usize) {
            self.line(&step.call(), &step.why(), Some(micros));
        }
    }

    fn wants_steps(&self) -> bool {
        true
    }
}
