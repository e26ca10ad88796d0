//! Signals as people name them (signal(7)).

use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signal(i32);

#[derive(Debug, thiserror::Error)]
#[error("invalid signal {0:?}")]
pub(crate) struct InvalidSignal(String);

impl crate::diag::Diagnose for InvalidSignal {
    fn hint(&self) -> Option<String> {
        Some("a name or a number, as in signal(7): TERM, SIGKILL, 9".into())
    }

    /// As Docker's `stop` and `kill` answer it.
    fn exit_code(&self) -> u8 {
        1
    }
}

/// The first that a program may use as it likes: the C library keeps two before it.
const REAL_TIME: i32 = 34;
const LAST: i32 = 64;

impl Signal {
    pub(crate) const TERM: Self = Self(libc::SIGTERM);
    pub(crate) const KILL: Self = Self(libc::SIGKILL);

    pub(crate) fn number(self) -> i32 {
        self.0
    }
}

impl FromStr for Signal {
    type Err = InvalidSignal;

    /// `TERM`, `SIGTERM`, `15`.
    fn from_str(text: &str) -> Result<Self, InvalidSignal> {
        let upper = text.to_uppercase();
        let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
        let number = match (text.parse::<i32>(), name.strip_prefix("SIGRTMIN+")) {
            (Ok(number), _) => Some(number),
            (_, Some(offset)) => offset.parse::<u8>().ok().map(|offset| REAL_TIME + i32::from(offset)),
            _ => name.parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32),
        };
        let known = number.filter(|number| (1..=LAST).contains(number));
        known.map(Self).ok_or_else(|| InvalidSignal(text.to_owned()))
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::sys::signal::Signal::try_from(self.0) {
            Ok(signal) => f.pad(signal.as_str()),
            Err(_) if self.0 >= REAL_TIME => f.pad(&format!("SIGRTMIN+{}", self.0 - REAL_TIME)),
            Err(_) => self.0.fmt(f),
        }
    }
}

crate::store::record_as_text!(Signal);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number, shown) in
            [("term", 15, "SIGTERM"), ("SIGKILL", 9, "SIGKILL"), ("RTMIN+3", 37, "SIGRTMIN+3"), ("33", 33, "33")]
        {
            let signal: Signal = text.parse().unwrap();
            assert_eq!((signal.number(), signal.to_string().as_str()), (number, shown));
            assert_eq!(signal.to_string().parse::<Signal>().unwrap(), signal);
        }
        for bad in ["", "0", "65", "-1", "NOPE", "RTMIN+31", "RTMIN+"] {
            assert!(bad.parse::<Signal>().is_err(), "{bad}");
        }
    }
}
