//! When a request that failed by chance is made again.

use crate::registry::answer;
use jiff::Timestamp;
use std::time::Duration;
use ureq::Body;
use ureq::http::Response;

/// The most attempts of a request that fails for a passing reason.
pub(crate) const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The first pause after a 429 without `Retry-After`.
const FIRST_LIMITED_PAUSE: Duration = Duration::from_secs(1);
/// The longest `Retry-After` that is waited for.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A wait that the user is told of.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// Returns the pause before the next attempt. `None` if the answer is final or the wait would be too long.
pub(crate) fn pause_of(response: &Response<Body>, attempt: u32) -> Option<Duration> {
    let status = response.status().as_u16();
    if !matches!(status, 408 | 429 | 500 | 502 | 503 | 504) {
        return None;
    }
    let told = answer::header(response, "retry-after").and_then(|text| answer::retry_after(text, Timestamp::now()));
    match told {
        Some(told) => (told <= LONGEST_PAUSE).then(|| told.max(pause(attempt))),
        // The Hub's limit on pulls, which lasts for hours.
        None if status == 429 && answer::header(response, "ratelimit-limit").is_some() => None,
        None if status == 429 => Some(FIRST_LIMITED_PAUSE * 2u32.saturating_pow(attempt.saturating_sub(1))),
        None => Some(pause(attempt)),
    }
}

/// Waits, and tells `note` of a long wait.
pub(crate) fn wait(host: &str, pause: Duration, note: fn(&str)) {
    if pause >= LONG_PAUSE {
        note(&format!("{host} asks us to wait {} s", pause.as_secs()));
    }
    std::thread::sleep(pause);
}

/// Returns a random pause that doubles with each attempt.
pub(crate) fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE * 2u32.saturating_pow(attempt.saturating_sub(1)).min(64);
    let mut random = [0];
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    longest / 2 + longest / 2 * u32::from(random[0]) / 255
}
