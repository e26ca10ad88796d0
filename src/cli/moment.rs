//! A point in time as people type it.

use crate::diag::Diagnose;
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub Timestamp);

#[derive(Debug, thiserror::Error)]
#[error("invalid time {0:?}")]
pub(super) struct InvalidMoment(String);

impl Diagnose for InvalidMoment {
    fn hint(&self) -> Option<String> {
        Some(
            "a time is 2026-01-31T12:00:00Z, 2026-01-31, seconds since 1970, or how long ago: 90s, 10m, 2h30m, 7d"
                .into(),
        )
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    /// Parses RFC 3339, a local date or time, seconds since 1970, or how long ago.
    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        let local = |time: civil::DateTime| time.to_zoned(TimeZone::system()).ok().map(|zoned| zoned.timestamp());
        let of_epoch = || Timestamp::from_nanosecond((text.parse::<f64>().ok()? * 1e9) as i128).ok();
        let ago = || Timestamp::now().checked_sub(duration(text)?).ok();
        let parsed = text.parse().ok();
        let parsed = parsed.or_else(|| text.parse().ok().and_then(local)).or_else(|| day_of_zone(text));
        let parsed = parsed.or_else(of_epoch).or_else(ago);
        parsed.map(Self).ok_or_else(|| InvalidMoment(text.to_owned()))
    }
}

/// Parses a day with its zone, `2026-01-31Z` or `2026-01-31+02:00`, as Docker knows it.
fn day_of_zone(text: &str) -> Option<Timestamp> {
    let (day, zone) = text.split_at_checked("2026-01-31".len())?;
    format!("{day}T00:00:00{zone}").parse().ok()
}

/// Parses `1h30m`, as Go writes durations; days too.
fn duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut sum = SignedDuration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let part = SignedDuration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        sum = sum.checked_add(part)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::{Moment, duration};
    use jiff::SignedDuration;

    #[test]
    fn times_and_durations() {
        assert_eq!(duration("1h30m"), Some(SignedDuration::from_secs(5400)));
        assert_eq!(duration("2d"), Some(SignedDuration::from_hours(48)));
        for bad in ["", "h", "5", "5x", "1h5", "-1s", "1..5s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        let second = |text: &str| text.parse::<Moment>().unwrap().0.as_second();
        assert_eq!(second("1970-01-02T00:00:00Z"), 86_400);
        assert_eq!(second("12.5"), 12);
        // Docker's forms, with and without a zone.
        assert_eq!(second("1970-01-02T01Z"), 90_000);
        assert_eq!(second("1970-01-02T01:00+01:00"), 86_400);
        assert_eq!(second("1970-01-02Z"), 86_400);
        assert_eq!(second("1970-01-02-01:00"), 90_000);
        let day = second("2020-01-31");
        for (text, hours) in [("2020-01-31T05", 5), ("2020-01-31T05:00", 5), ("2020-01-31T05:00:00.5", 5)] {
            assert_eq!(second(text), day + hours * 3600, "{text}");
        }
        assert!((second("2020-01-31") - 1_580_428_800).abs() <= 14 * 3600);
        assert!("yesterday".parse::<Moment>().is_err());
    }
}
