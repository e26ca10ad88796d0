//! The numbers of the system calls, read from `syscalls.txt` while compiling: nothing to do or to relocate at run time.

/// One line per call, sorted: name, then its numbers on x86_64, x86, x32, aarch64, arm.
const TEXT: &str = include_str!("syscalls.txt");
const COLUMNS: usize = 5;

/// A call's number in each column.
pub(super) type Numbers = [u32; COLUMNS];
const NONE: u32 = u32::MAX;

struct Row {
    /// The place of the name in `TEXT`.
    start: u16,
    end: u16,
    numbers: Numbers,
}

static ROWS: [Row; count(TEXT.as_bytes(), b'\n')] = parse(TEXT.as_bytes());

/// Returns the numbers of the call `name`.
pub(super) fn find(name: &str) -> Option<&'static Numbers> {
    ROWS.binary_search_by(|row| row.name().cmp(name)).ok().map(|row| &ROWS[row].numbers)
}

/// Returns the number in a column, if the call exists there.
pub(super) fn number(numbers: &Numbers, column: usize) -> Option<u32> {
    numbers.get(column).copied().filter(|&number| number != NONE)
}

impl Row {
    fn name(&self) -> &'static str {
        TEXT.get(self.start.into()..self.end.into()).unwrap_or_default()
    }
}

const fn count(text: &[u8], byte: u8) -> usize {
    let (mut found, mut at) = (0, 0);
    while at < text.len() {
        found += (text[at] == byte) as usize;
        at += 1;
    }
    found
}

const fn parse<const N: usize>(text: &[u8]) -> [Row; N] {
    let mut rows = [const { Row { start: 0, end: 0, numbers: [NONE; COLUMNS] } }; N];
    let (mut row, mut at) = (0, 0);
    while row < N {
        rows[row].start = at as u16;
        while text[at] != b' ' {
            at += 1;
        }
        rows[row].end = at as u16;
        let mut column = 0;
        while column < COLUMNS {
            at += 1;
            let mut number = NONE;
            while text[at].is_ascii_digit() {
                number = if number == NONE { 0 } else { number * 10 } + (text[at] - b'0') as u32;
                at += 1;
            }
            if text[at] == b'-' {
                at += 1;
            }
            rows[row].numbers[column] = number;
            column += 1;
        }
        assert!(text[at] == b'\n');
        at += 1;
        row += 1;
    }
    rows
}

#[cfg(test)]
pub(crate) fn rows() -> impl Iterator<Item = (&'static str, &'static Numbers)> {
    ROWS.iter().map(|row| (row.name(), &row.numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sorted_and_agrees_with_the_c_library() {
        assert!(rows().is_sorted_by(|a, b| a.0 < b.0));
        let native = if cfg!(target_arch = "aarch64") { 3 } else { 0 };
        for (name, nr) in [
            ("read", libc::SYS_read),
            ("clone3", libc::SYS_clone3),
            ("setresuid", libc::SYS_setresuid),
            ("mknodat", libc::SYS_mknodat),
            ("mseal", libc::SYS_mseal),
        ] {
            assert_eq!(number(find(name).unwrap(), native), Some(nr as u32), "{name}");
        }
        assert_eq!(find("open").map(|numbers| number(numbers, 3)), Some(None), "aarch64 has openat only");
        assert!(find("no_such_call").is_none());
    }
}
