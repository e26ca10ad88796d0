//! A Dockerfile of anybody: a mistake has its place in the file.

use minirun::exposed::Contexts;
use minirun::exposed::Glob;
use minirun::exposed::Ignore;
use minirun::exposed::PlanError;
use minirun::exposed::Source;
use minirun::exposed::StagePlan as Plan;
use minirun::exposed::check;
use minirun::exposed::clean;
use minirun::exposed::platform::Platform;
use std::collections::BTreeMap;

pub fn run(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let lines = text.lines().count().max(1);
    match Source::parse("Dockerfile", text) {
        Ok(source) => match Plan::new(source, &BTreeMap::new(), None, &Platform::here(), Contexts::default()) {
            Ok(plan) => {
                assert!(plan.stages.iter().any(|stage| stage.id == plan.target));
                let warnings = check::check(&plan, &Ignore::parse("*.o\n!keep.o\n").unwrap_or_default(), &|_| None);
                let _ = check::selected(&plan.source, warnings);
            }
            Err(PlanError::Fault(fault)) => {
                assert!(fault.place.line <= lines);
                let _ = fault.to_string();
            }
            Err(_) => {}
        },
        Err(fault) => assert!(fault.place.line <= lines),
    }
    for line in text.lines().filter(|line| line.len() < 1000) {
        if let Some(glob) = Glob::new(line) {
            let _ = glob.matches(line);
        }
        assert!(!clean(line).split('/').any(|part| part == ".."));
    }
}
