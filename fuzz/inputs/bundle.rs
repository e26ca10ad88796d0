//! The configuration of anybody's bundle, its seccomp policy among it: a plan or an error, and every step has its words.

use minirun::exposed::{Call, Failure, IdMap, IdRange, Plan, Stage};
use oci_spec::runtime::Spec;

pub fn run(data: &[u8]) {
    let Ok(spec) = serde_json::from_slice::<Spec>(data) else { return };
    let Some(process) = spec.process().clone() else { return };
    let range = IdRange { inside: 0, outside: 100_000, count: 65_536 };
    for ids in [IdMap::Shifted { uids: range, gids: range }, IdMap::Single { uid: 1000, gid: 1000 }] {
        let Ok(plan) = Plan::of_exec(1, &spec, &process, (&ids).into()) else { continue };
        for (number, step) in plan.steps().enumerate() {
            let _ = (step.call(), step.subject());
            let failure = Failure { stage: Stage::Step(number as u32), call: Call::Prctl, errno: libc::EPERM };
            let _ = plan.failure(failure).to_string();
        }
        let text = serde_json::to_vec(&plan).expect("a plan can be written");
        let again: Plan = serde_json::from_slice(&text).expect("what was written can be read");
        assert_eq!(again.steps().count(), plan.steps().count());
    }
}
