//! Sizes, times and tables as Docker prints them.

use crate::diag::printable;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `8.83MB`: decimal units, three digits.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{}{}", three_digits(value), UNITS[unit])
}

/// `1.945GiB`: binary units, four digits, as Docker shows memory.
pub(super) fn binary_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = if value >= 1000.0 { 0 } else { 3 - value.max(1.0).log10() as usize };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS[unit])
}

/// Formats a number below 1000 as Go's `%.3g` does.
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

/// `3 weeks ago`; `N/A` without a time.
pub(super) fn ago(time: Option<&str>) -> String {
    let Some(time) = time.and_then(|t| t.parse::<Timestamp>().ok()).filter(|t| t.as_second() > 0) else {
        return "N/A".into();
    };
    format!("{} ago", duration(Timestamp::now().as_second() - time.as_second()))
}

/// `2026-01-31 12:00:00 +0100 CET`, as Go prints a time of the reader's zone.
pub(super) fn instant(time: &str) -> String {
    let Ok(time) = time.parse::<Timestamp>() else { return "N/A".into() };
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    time.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// `3 minutes`: the time since then.
pub(super) fn since(time: &str) -> String {
    let then = time.parse::<Timestamp>().map_or(0, Timestamp::as_second);
    duration(Timestamp::now().as_second() - then)
}

pub(super) fn duration(seconds: i64) -> String {
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

const GAP: &str = "   ";
/// The least width of a column in Docker's lists, without the gap.
const LEAST_IN_LIST: usize = 7;

/// A list as Docker aligns it, which fits into the terminal where there is one: cells are wrapped at blanks.
pub(super) fn list(header: Vec<String>, rows: Vec<Vec<String>>) -> String {
    lay_out(header, &rows, width(), LEAST_IN_LIST)
}

/// A table whose columns are as wide as their widest cell. Cells may hold a stranger's text.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    lay_out(owned(header), rows, None, 0)
}

/// A table that fits into the terminal: long cells are wrapped. For tables with sentences.
pub(super) fn fitted_table(header: &[&str], rows: &[Vec<String>]) -> String {
    lay_out(owned(header), rows, width(), 0)
}

fn owned(header: &[&str]) -> Vec<String> {
    header.iter().map(|cell| (*cell).to_owned()).collect()
}

/// Returns `COLUMNS`, or the width of the terminal; `None` where standard output is not a terminal.
pub(super) fn width() -> Option<usize> {
    let wanted = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let of_terminal =
        || rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok().map(|size| usize::from(size.ws_col));
    wanted.or_else(of_terminal).filter(|columns| *columns > 0)
}

/// Lays out a table with columns of at least `least` characters, wide as their widest cells, or as `limit` leaves room.
fn lay_out(header: Vec<String>, rows: &[Vec<String>], limit: Option<usize>, least: usize) -> String {
    let safe = |row: &Vec<String>| row.iter().map(|cell| printable(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows.iter().map(safe)).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let longest = |column: usize| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns).map(|column| longest(column).max(least)).collect();
    if let Some(limit) = limit {
        let words = |column| cells(column).flat_map(|cell| cell.split(' ')).map(|word| word.chars().count());
        let longest_words: Vec<usize> = (0..columns).map(|column| words(column).max().unwrap_or(0)).collect();
        share(&mut widths, &longest_words, limit.saturating_sub(GAP.len() * columns.saturating_sub(1)));
    }
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(cell, width)| wrapped(cell, *width)).collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let piece = |cell: &Vec<String>| cell.get(line).cloned().unwrap_or_default();
            let pieces = cells.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", piece(cell)));
            text += pieces.collect::<Vec<_>>().join(GAP).trim_end();
            text.push('\n');
        }
    }
    text
}

/// Narrows columns until all fit. Short words, such as an ID, stay whole, and as much of long ones as fits; the rest of the room
/// goes to all columns alike.
fn share(widths: &mut [usize], longest_words: &[usize], mut room: usize) {
    const LEAST: usize = 6;
    const SHORT: usize = 12;
    if widths.iter().sum::<usize>() <= room {
        return;
    }
    let floors = |cap: usize| -> Vec<usize> {
        let floor = |(word, width): (&usize, &usize)| if *word > SHORT { cap.min(*word) } else { *word }.min(*width);
        longest_words.iter().zip(&*widths).map(floor).collect()
    };
    let longest = longest_words.iter().copied().max().unwrap_or(0).max(LEAST);
    let fits = |floors: &Vec<usize>| floors.iter().sum::<usize>() <= room;
    let least = || widths.iter().map(|width| (*width).min(LEAST)).collect();
    let floors = (LEAST..=longest).rev().map(floors).find(fits).unwrap_or_else(least);
    room = room.saturating_sub(floors.iter().sum());
    let mut order: Vec<(usize, &mut usize)> = floors.into_iter().zip(widths).collect();
    order.sort_by_key(|(floor, width)| **width - floor);
    let mut left = order.len();
    for (floor, width) in order {
        let extra = (*width - floor).min(room / left);
        *width = floor + extra;
        room -= extra;
        left -= 1;
    }
}

/// Wraps text at blanks; a word longer than a line is split.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    let (mut length, mut begins) = (0, true);
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if !begins && length + 1 + word.len() <= width {
            word.insert(0, ' ');
        } else if length > 0 {
            lines.push(String::new());
            length = 0;
        }
        // Blanks at which a line is broken do not begin the next one.
        begins = length == 0 && word.is_empty() && lines.len() > 1;
        while length + word.len() > width {
            let rest = word.split_off(width - length);
            lines.last_mut().into_iter().for_each(|line| line.extend(&word));
            lines.push(String::new());
            (word, length) = (rest, 0);
        }
        lines.last_mut().into_iter().for_each(|line| line.extend(&word));
        length += word.len();
    }
    lines
}

/// Wraps a sentence to the terminal; lines after the first are indented.
pub(super) fn sentence(text: &str, indent: usize) -> String {
    let width = width().map_or(usize::MAX, |width| width.saturating_sub(indent));
    let lines = text.lines().flat_map(|line| wrapped(line, width));
    lines.collect::<Vec<_>>().join(&format!("\n{:indent$}", ""))
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
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (2_088_763_392, "1.945GiB"), (67_108_864, "64MiB")]
        {
            assert_eq!(binary_size(bytes), text);
        }
        for (seconds, text) in
            [(0, "Less than a second"), (90, "About a minute"), (3600, "About an hour"), (86_400 * 20, "2 weeks")]
        {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn tables_fit_and_obey_no_stranger() {
        let rows = [vec!["a".into(), "one two three".into()], vec!["\u{1b}[2J\n".into(), "x".repeat(20)]];
        assert_eq!(lay_out(owned(&["", "B"]), &rows, None, 0).lines().map(str::len).max(), Some(9 + 3 + 20));
        let narrow = lay_out(owned(&["", "B"]), &rows, Some(19), 0);
        assert_eq!(
            narrow,
            "            B\na           one two\n            three\n\\x1b[2J\\n   xxxxxxx\n            xxxxxxx\n            xxxxxx\n"
        );
        assert_eq!(wrapped("a bb  ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrapped("  a bb", 9), ["  a bb"]);
    }
}
