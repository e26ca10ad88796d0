//! A Dockerfile of anybody: never a panic; what is wrong in it has a place in it; what a variable becomes is text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minirun::build::glob::{Glob, Ignore, clean};
use minirun::build::parse::Source;
use minirun::build::stage::Plan;
use minirun::build::named::Contexts;
use minirun::build::variable::Lexer;
use minirun::build::{BuildError, check};
use minirun::image::platform::Platform;
use std::collections::BTreeMap;

fuzz_target!(|text: &str| {
    let lines = text.lines().count();
    match Source::parse("Dockerfile", text) {
        Ok(source) => match Plan::new(source, &BTreeMap::new(), None, &Platform::here(), Contexts::default()) {
            Ok(plan) => {
                assert!(plan.target < plan.stages.len());
                let warnings = check::check(&plan, &Ignore::parse(text).unwrap_or_default(), &|_| None);
                let _ = check::selected(&plan.source, warnings);
            }
            Err(BuildError::Fault(fault)) => {
                assert!(fault.place.line <= lines.max(1));
                let _ = fault.to_string();
            }
            Err(_) => {}
        },
        Err(fault) => assert!(fault.place.line <= lines.max(1)),
    }
    let lookup = |name: &str| (!name.is_empty()).then(|| text.to_owned());
    // A value is never looked into again: what comes out grows with what goes in, and no faster.
    if text.len() < 200 {
        let lexer = Lexer::new('\\', &lookup);
        let _ = (lexer.word(text), lexer.words(text), lexer.text(text));
    }
    if let Some(glob) = Glob::new(text) {
        let _ = glob.matches(text);
    }
    assert!(!clean(text).split('/').any(|part| part == ".."));
});
