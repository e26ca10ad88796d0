//! What a hostile registry or token server answers: never a panic, nothing that commands a terminal, no wait that cannot be
//! counted.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use minirun::http::resolve;
use minirun::registry::{answer, token};

fuzz_target!(|answer: (&str, &[u8])| {
    let (header, body) = answer;
    let (code, message) = answer::words(body);
    for text in [code, message] {
        assert!(!text.contains(char::is_control) && text.chars().count() <= 500);
    }
    let _ = answer::retry_after(header, Timestamp::UNIX_EPOCH);
    let _ = token::parse(body).is_some_and(|token| token.is_good());
    if let Some(address) = resolve("https://registry.example.org/v2/a/blobs/uploads/?state=1", header) {
        assert!(address.starts_with("http://") || address.starts_with("https://"));
    }
});
