//! What a hostile registry sends as `WWW-Authenticate`: never a panic, never an endless loop, and a token only with a realm.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minirun::registry::challenge::{Challenge, choose};

fuzz_target!(|header: &str| {
    if let Some(Challenge::Bearer { realm, .. }) = choose(&[header]) {
        assert!(!realm.is_empty());
    }
});
