//! Sizes, times and tables as Docker prints them.

use jiff::Timestamp;

/// `8.83MB`: decimal units, three digits.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{}{}", three_digits(value), UNITS[unit])
}

/// As Go's `%.3g` for numbers below 1000.
fn three_digits(value: f64) -> String {
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `3 weeks ago`; `N/A` for what carries no time.
pub fn ago(time: Option<&str>) -> String {
    let Some(time) = time.and_then(|t| t.parse::<Timestamp>().ok()).filter(|t| t.as_second() > 0) else {
        return "N/A".into();
    };
    format!("{} ago", duration(Timestamp::now().as_second() - time.as_second()))
}

/// `3 minutes`: how long since then.
pub fn since(time: &str) -> String {
    let then = time.parse::<Timestamp>().map_or(0, Timestamp::as_second);
    duration(Timestamp::now().as_second() - then)
}

pub fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        2..=59 => format!("{seconds} seconds"),
        60..=119 => "About a minute".into(),
        _ if minutes < 46 => format!("{minutes} minutes"),
        _ if hours <= 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// Columns as wide as their widest cell, three blanks between them.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let header = header.iter().map(|h| (*h).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&header).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text += cells.collect::<Vec<_>>().join("   ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_as_docker_writes_them() {
        for (bytes, text) in [(0, "0B"), (999, "999B"), (13_300, "13.3kB"), (8_830_000, "8.83MB"), (53_000_000, "53MB")]
        {
            assert_eq!(size(bytes), text);
        }
        for (seconds, text) in
            [(0, "Less than a second"), (90, "About a minute"), (3600, "About an hour"), (86_400 * 20, "2 weeks")]
        {
            assert_eq!(duration(seconds), text);
        }
    }
}
