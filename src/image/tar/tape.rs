//! Reads a tar stream: POSIX, PAX and GNU, with sparse files, whatever their names, times and numbers.
//!
//! The archive is not trusted: every number is checked before memory is allocated for it.

use std::io::{self, BufRead};
use tar::{EntryType, GnuSparseHeader, Header};

const BLOCK: usize = 512;
/// Long names and PAX records; Linux takes paths of 4 KiB and attributes of 64 KiB.
const LONGEST_EXTENSION: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    #[error("the archive ends in the middle, after {0} bytes")]
    Truncated(u64),
    #[error("invalid tar header at byte {at}: {what}")]
    Header { at: u64, what: &'static str },
    #[error("the extended header at byte {at} is malformed")]
    Extension { at: u64 },
    #[error("the extended header at byte {at} claims {size} bytes, more than {LONGEST_EXTENSION}")]
    LongExtension { at: u64, size: u64 },
    #[error("`{name}` has a malformed map of its holes")]
    Sparse { name: String },
    #[error("`{name}` is of the unknown type `{kind}`")]
    Kind { name: String, kind: char },
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    HardLink,
    Symlink,
    Directory,
    Fifo,
    Device,
}

/// A run of bytes of a sparse file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub offset: u64,
    pub length: u64,
}

#[derive(Debug)]
pub struct Entry {
    /// The path in the archive: it may be absolute, contain `..`, and need not be UTF-8.
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub seconds: i64,
    pub nanoseconds: u32,
    /// The length of the file, its holes included.
    pub size: u64,
    /// The runs of the file that are in the archive; `None`: it has no holes.
    pub sparse: Option<Vec<Run>>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A recording of the stream, from which it can be written again byte for byte.
pub trait Record {
    fn literal(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Record for () {
    fn literal(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// The fields of the extended headers before an entry.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    sparse: PaxSparse,
}

/// GNU's three ways of writing a sparse file in PAX: 0.0 (pairs), 0.1 (one list), 1.0 (a map before the contents).
#[derive(Default)]
struct PaxSparse {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    major: u64,
    numbers: Vec<u64>,
    listed: bool,
}

pub struct Tape<R, T> {
    input: R,
    pub record: T,
    position: u64,
    /// The bytes of the current entry that were not read yet, and the padding of their last block.
    remaining: u64,
    padding: u64,
}

impl<R: BufRead, T: Record> Tape<R, T> {
    pub fn new(input: R, record: T) -> Self {
        Self { input, record, position: 0, remaining: 0, padding: 0 }
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn into_parts(self) -> (R, T) {
        (self.input, self.record)
    }

    /// Reads the next entry, and passes over what is left of the one before.
    pub fn entry(&mut self) -> Result<Option<Entry>, TapeError> {
        let mut extensions = Extensions::default();
        loop {
            self.pass(self.remaining)?;
            self.remaining = 0;
            self.pass(self.padding)?;
            self.padding = 0;
            let at = self.position;
            let Some(block) = self.block()? else { return Ok(None) };
            if block.iter().all(|b| *b == 0) {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            check_sum(header, at)?;
            let old = header.as_old();
            let size = number(&old.size).filter(|n| *n >= 0).ok_or(TapeError::Header { at, what: "no size" })? as u64;
            match header.entry_type() {
                EntryType::GNULongName => extensions.path = Some(c_string(self.extension(at, size)?)),
                EntryType::GNULongLink => extensions.link = Some(c_string(self.extension(at, size)?)),
                EntryType::XHeader => {
                    let records = self.extension(at, size)?;
                    read_pax(&records, &mut extensions).ok_or(TapeError::Extension { at })?;
                }
                EntryType::XGlobalHeader => {
                    // Comments of archivers such as `git archive`; nothing in it concerns the files.
                    self.extension(at, size)?;
                }
                _ => return self.finish(header, size, extensions, at).map(Some),
            }
        }
    }

    fn finish(&mut self, header: &Header, size: u64, extensions: Extensions, at: u64) -> Result<Entry, TapeError> {
        let old = header.as_old();
        let mut path = extensions.path.unwrap_or_else(|| header.path_bytes().into_owned());
        if let Some(name) = extensions.sparse.name {
            path = name;
        }
        let link = extensions.link.or_else(|| header.link_name_bytes().map(|b| b.into_owned())).unwrap_or_default();
        let kind = match header.entry_type() {
            // Before POSIX, a directory was a file whose name ends with a slash.
            EntryType::Regular if path.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Link => Kind::HardLink,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Directory => Kind::Directory,
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char | EntryType::Block => Kind::Device,
            other => return Err(TapeError::Kind { name: printable(&path), kind: char::from(other.as_byte()) }),
        };
        let field = |bytes: &[u8], what| number(bytes).ok_or(TapeError::Header { at, what });
        let id = |bytes: &[u8], what| field(bytes, what).map(|n| n.max(0) as u64);
        let (seconds, nanoseconds) = match extensions.mtime {
            Some(time) => time,
            None => (field(&old.mtime, "no time")?, 0),
        };
        let stored = if kind == Kind::File { extensions.size.unwrap_or(size) } else { 0 };
        let mut entry = Entry {
            kind,
            mode: (field(&old.mode, "no mode")? & 0o7777) as u32,
            uid: extensions.uid.map_or_else(|| id(&old.uid, "no user id"), Ok)?,
            gid: extensions.gid.map_or_else(|| id(&old.gid, "no group id"), Ok)?,
            seconds,
            nanoseconds,
            size: stored,
            sparse: None,
            xattrs: extensions.xattrs,
            path,
            link,
        };
        self.remaining = stored;
        self.padding = (BLOCK as u64 - stored % BLOCK as u64) % BLOCK as u64;
        let malformed = |entry: &Entry| TapeError::Sparse { name: printable(&entry.path) };
        if header.entry_type() == EntryType::GNUSparse {
            let gnu = header.as_gnu().ok_or_else(|| malformed(&entry))?;
            let mut runs = Vec::new();
            collect_runs(&gnu.sparse, &mut runs).ok_or_else(|| malformed(&entry))?;
            let mut more = gnu.is_extended();
            while more {
                let block = self.block()?.ok_or(TapeError::Truncated(self.position))?;
                // 21 pairs of 12 + 12 bytes, then one byte that says whether more follow.
                for pair in block[..504].chunks_exact(24) {
                    push_run(&pair[..12], &pair[12..], &mut runs).ok_or_else(|| malformed(&entry))?;
                }
                more = block[504] == 1;
                if runs.len() as u64 * 24 > LONGEST_EXTENSION {
                    return Err(malformed(&entry));
                }
            }
            entry.size = number(&gnu.realsize).and_then(|n| u64::try_from(n).ok()).ok_or_else(|| malformed(&entry))?;
            entry.sparse = Some(runs);
        } else if kind == Kind::File && (extensions.sparse.listed || extensions.sparse.major == 1) {
            let numbers = if extensions.sparse.major == 1 {
                self.pax_map().map_err(|e| e.unwrap_or_else(|| malformed(&entry)))?
            } else {
                extensions.sparse.numbers
            };
            if numbers.len() % 2 != 0 {
                return Err(malformed(&entry));
            }
            let runs = numbers.chunks_exact(2).map(|pair| Run { offset: pair[0], length: pair[1] });
            entry.sparse = Some(runs.collect());
            entry.size = extensions.sparse.size.ok_or_else(|| malformed(&entry))?;
        }
        if let Some(runs) = &entry.sparse {
            check_runs(runs, entry.size, self.remaining).ok_or_else(|| malformed(&entry))?;
        }
        Ok(entry)
    }

    /// PAX 1.0: decimal numbers in lines before the contents, filled up to whole blocks. `Err(None)`: malformed.
    fn pax_map(&mut self) -> Result<Vec<u64>, Option<TapeError>> {
        let mut numbers = Vec::new();
        let mut digits = String::new();
        let mut expected = None;
        loop {
            if self.remaining < BLOCK as u64 || numbers.len() as u64 * 8 > LONGEST_EXTENSION {
                return Err(None);
            }
            let block = self.block()?.ok_or(TapeError::Truncated(self.position))?;
            self.remaining -= BLOCK as u64;
            for byte in block {
                match (byte, expected) {
                    (b'0'..=b'9', _) if digits.len() < 20 => digits.push(char::from(byte)),
                    (b'\n', None) => {
                        let pairs: usize = digits.parse().map_err(|_| None)?;
                        expected = Some(pairs.checked_mul(2).ok_or(None)?);
                        digits.clear();
                    }
                    (b'\n', Some(_)) => {
                        numbers.push(digits.parse().map_err(|_| None)?);
                        digits.clear();
                    }
                    _ => return Err(None),
                }
                if expected == Some(numbers.len()) {
                    return Ok(numbers);
                }
            }
        }
    }

    /// Returns some bytes of the contents of the current entry, at most those in memory already; empty at their end.
    pub fn contents(&mut self) -> Result<&[u8], TapeError> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let (position, remaining) = (self.position, self.remaining);
        let available = self.input.fill_buf().map_err(TapeError::Read)?;
        if available.is_empty() {
            return Err(TapeError::Truncated(position));
        }
        Ok(&available[..available.len().min(usize::try_from(remaining).unwrap_or(usize::MAX))])
    }

    /// Passes over the first `n` bytes of [`Self::contents`], and does not record them: the caller keeps them.
    pub fn consume(&mut self, n: usize) {
        self.input.consume(n);
        self.position += n as u64;
        self.remaining -= n as u64;
    }

    /// [`Self::consume`] for bytes that are recorded.
    pub fn consume_recorded(&mut self, n: usize) -> Result<(), TapeError> {
        let available = self.input.fill_buf().map_err(TapeError::Read)?;
        self.record.literal(&available[..n]).map_err(TapeError::Read)?;
        self.consume(n);
        Ok(())
    }

    /// Passes over the current entry without reading or recording it. The caller knows whether the stream is long enough.
    pub fn seek_past(&mut self) -> Result<(), TapeError>
    where
        R: SeekForward,
    {
        let bytes = self.remaining + self.padding;
        self.input.seek_forward(bytes).map_err(TapeError::Read)?;
        self.position += bytes;
        (self.remaining, self.padding) = (0, 0);
        Ok(())
    }

    /// Reads everything after the end of the archive, up to the end of the stream.
    pub fn rest(&mut self) -> Result<(), TapeError> {
        loop {
            let available = self.input.fill_buf().map_err(TapeError::Read)?;
            let n = available.len();
            if n == 0 {
                return Ok(());
            }
            self.record.literal(available).map_err(TapeError::Read)?;
            self.input.consume(n);
            self.position += n as u64;
        }
    }

    fn pass(&mut self, mut bytes: u64) -> Result<(), TapeError> {
        while bytes > 0 {
            let available = self.input.fill_buf().map_err(TapeError::Read)?;
            if available.is_empty() {
                return Err(TapeError::Truncated(self.position));
            }
            let n = available.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.record.literal(&available[..n]).map_err(TapeError::Read)?;
            self.input.consume(n);
            self.position += n as u64;
            bytes -= n as u64;
        }
        Ok(())
    }

    /// Reads one block. `None`: the stream ends here.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TapeError> {
        if self.input.fill_buf().map_err(TapeError::Read)?.is_empty() {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        self.input.read_exact(&mut block).map_err(|e| self.cut_short(e))?;
        self.record.literal(&block).map_err(TapeError::Read)?;
        self.position += BLOCK as u64;
        Ok(Some(block))
    }

    fn extension(&mut self, at: u64, size: u64) -> Result<Vec<u8>, TapeError> {
        if size > LONGEST_EXTENSION {
            return Err(TapeError::LongExtension { at, size });
        }
        let mut bytes = vec![0; size.next_multiple_of(BLOCK as u64) as usize];
        self.input.read_exact(&mut bytes).map_err(|e| self.cut_short(e))?;
        self.record.literal(&bytes).map_err(TapeError::Read)?;
        self.position += bytes.len() as u64;
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    fn cut_short(&self, error: io::Error) -> TapeError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => TapeError::Truncated(self.position),
            _ => TapeError::Read(error),
        }
    }
}

/// Passes over bytes without reading them.
pub trait SeekForward {
    fn seek_forward(&mut self, bytes: u64) -> io::Result<()>;
}

impl<R: io::Read + io::Seek> SeekForward for io::BufReader<R> {
    fn seek_forward(&mut self, bytes: u64) -> io::Result<()> {
        self.seek_relative(i64::try_from(bytes).map_err(io::Error::other)?)
    }
}

/// Escapes a name for a terminal.
pub(crate) fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}

fn check_sum(header: &Header, at: u64) -> Result<(), TapeError> {
    let bytes = header.as_bytes();
    let field = 148..156;
    let byte = |i: usize| if field.contains(&i) { b' ' } else { bytes[i] };
    let unsigned: i64 = (0..BLOCK).map(|i| i64::from(byte(i))).sum();
    // Some old archivers added signed characters.
    let signed: i64 = (0..BLOCK).map(|i| i64::from(byte(i) as i8)).sum();
    match number(&header.as_old().cksum) {
        Some(sum) if sum == unsigned || sum == signed => Ok(()),
        _ => Err(TapeError::Header { at, what: "the checksum is wrong" }),
    }
}

/// Octal digits, or GNU's two's complement big-endian number with the top bit of the field set.
fn number(field: &[u8]) -> Option<i64> {
    if field.first().is_some_and(|b| b & 0x80 != 0) {
        let negative = field[0] & 0x40 != 0;
        let mut value = if negative { -1i128 } else { 0 };
        for (i, byte) in field.iter().enumerate() {
            // The mark itself is no part of the number.
            let byte = if i == 0 && !negative { byte & 0x7f } else { *byte };
            value = (value << 8) | i128::from(byte);
        }
        return i64::try_from(value).ok();
    }
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let start = field.iter().position(|b| !blank(b)).unwrap_or(field.len());
    let digits = &field[start..];
    let digits = &digits[..digits.iter().position(blank).unwrap_or(digits.len())];
    digits.iter().try_fold(0i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

fn c_string(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
    bytes
}

/// `<length> <key>=<value>\n`, again and again; a value may hold any byte. `None`: malformed.
fn read_pax(mut bytes: &[u8], extensions: &mut Extensions) -> Option<()> {
    while !bytes.is_empty() {
        let space = bytes.iter().position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
        bytes = &bytes[length..];
        let equals = record.iter().position(|b| *b == b'=')?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let unsigned = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        match key {
            b"path" => extensions.path = Some(value.to_vec()),
            b"linkpath" => extensions.link = Some(value.to_vec()),
            b"size" => extensions.size = Some(unsigned()?),
            b"uid" => extensions.uid = Some(unsigned()?),
            b"gid" => extensions.gid = Some(unsigned()?),
            b"mtime" => extensions.mtime = Some(decimal_time(value)?),
            b"GNU.sparse.name" => extensions.sparse.name = Some(value.to_vec()),
            b"GNU.sparse.major" => extensions.sparse.major = unsigned()?,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => extensions.sparse.size = Some(unsigned()?),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                extensions.sparse.listed = true;
                extensions.sparse.numbers.push(unsigned()?);
            }
            b"GNU.sparse.map" => {
                extensions.sparse.listed = true;
                let list = std::str::from_utf8(value).ok()?.split(',').filter(|n| !n.is_empty());
                extensions.sparse.numbers = list.map(|n| n.parse().ok()).collect::<Option<_>>()?;
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    extensions.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
    }
    Some(())
}

/// `-1.25` is a second and a quarter before 1970, which the kernel wants as -2 s + 750000000 ns.
fn decimal_time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    // Further digits than a number can hold say no more than its limit.
    let seconds = whole.parse::<i128>().ok()?.clamp(i64::MIN as i128 + 1, i64::MAX as i128) as i64;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    if text.starts_with('-') && nanoseconds > 0 {
        return Some((seconds - 1, 1_000_000_000 - nanoseconds));
    }
    Some((seconds, nanoseconds))
}

fn collect_runs(pairs: &[GnuSparseHeader], runs: &mut Vec<Run>) -> Option<()> {
    pairs.iter().try_for_each(|pair| push_run(&pair.offset, &pair.numbytes, runs))
}

fn push_run(offset: &[u8], length: &[u8], runs: &mut Vec<Run>) -> Option<()> {
    if offset[0] != 0 && length[0] != 0 {
        runs.push(Run { offset: number(offset)?.try_into().ok()?, length: number(length)?.try_into().ok()? });
    }
    Some(())
}

/// Checks that runs are in order, within the file, and have exactly as many bytes as the archive.
fn check_runs(runs: &[Run], size: u64, stored: u64) -> Option<()> {
    let (mut end, mut total) = (0u64, 0u64);
    for run in runs {
        if run.offset < end {
            return None;
        }
        end = run.offset.checked_add(run.length)?;
        total = total.checked_add(run.length)?;
    }
    (end <= size && total == stored).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_octal_and_base_256() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\x00"), Some(256));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(b"98"), None);
        assert_eq!(number(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }

    #[test]
    fn times_before_1970_and_beyond_all_bounds() {
        assert_eq!(decimal_time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(decimal_time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(decimal_time(b"1.1234567891"), Some((1, 123_456_789)));
        assert_eq!(decimal_time(b"99999999999999999999999"), Some((i64::MAX, 0)));
        assert_eq!(decimal_time(b"1.x"), None);
    }

    #[test]
    fn a_pax_value_may_hold_a_newline() {
        let mut extensions = Extensions::default();
        let value = b"\x01\n\x00=\n";
        let record = b"SCHILY.xattr.security.capability=";
        let mut bytes = format!("{} ", record.len() + value.len() + 4).into_bytes();
        bytes.extend_from_slice(record);
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
        read_pax(&bytes, &mut extensions).unwrap();
        assert_eq!(extensions.xattrs, [(b"security.capability".to_vec(), value.to_vec())]);
        assert!(read_pax(b"99 a=b\n", &mut extensions).is_none());
    }
}
