//! Archives that nobody should make, made the same each time: the recipe for hostile layers.

#![allow(dead_code)]

const BLOCK: usize = 512;

/// A tar archive being written field by field, so that each field can be wrong.
#[derive(Default, Clone)]
pub struct Tape(Vec<u8>);

/// One header, with what most entries have.
#[derive(Clone)]
pub struct Header {
    pub name: Vec<u8>,
    pub link: Vec<u8>,
    pub kind: u8,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub size: u64,
    pub time: i64,
    pub magic: [u8; 8],
}

impl Header {
    pub fn new(name: impl AsRef<[u8]>, kind: u8) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            link: Vec::new(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 0,
            time: 1_000_000_000,
            magic: *b"ustar\x0000",
        }
    }

    pub fn bytes(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..self.name.len().min(100)].copy_from_slice(&self.name[..self.name.len().min(100)]);
        octal(&mut block[100..108], u64::from(self.mode));
        octal(&mut block[108..116], self.uid);
        octal(&mut block[116..124], self.gid);
        octal(&mut block[124..136], self.size);
        match u64::try_from(self.time) {
            Ok(time) => octal(&mut block[136..148], time),
            Err(_) => base_256(&mut block[136..148], self.time),
        }
        block[156] = self.kind;
        block[157..157 + self.link.len().min(100)].copy_from_slice(&self.link[..self.link.len().min(100)]);
        block[257..265].copy_from_slice(&self.magic);
        seal(&mut block);
        block
    }
}

/// Puts the checksum right after a field was changed.
pub fn seal(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    if value >= 1 << (3 * digits as u32) {
        return base_256(field, i64::try_from(value).expect("a number"));
    }
    field[..digits].copy_from_slice(format!("{value:0digits$o}").as_bytes());
}

fn base_256(field: &mut [u8], value: i64) {
    field.fill(if value < 0 { 0xff } else { 0 });
    let start = field.len() - 8;
    field[start..].copy_from_slice(&value.to_be_bytes());
    field[0] |= 0x80;
}

impl Tape {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn entry(mut self, header: &Header, contents: &[u8]) -> Self {
        self.0.extend_from_slice(&header.bytes());
        self.bytes(contents)
    }

    /// A header with its contents' length.
    pub fn sized(self, mut header: Header, contents: &[u8]) -> Self {
        header.size = contents.len() as u64;
        self.entry(&header, contents)
    }

    /// Contents, filled up to whole blocks.
    pub fn bytes(mut self, contents: &[u8]) -> Self {
        self.0.extend_from_slice(contents);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    pub fn file(self, name: impl AsRef<[u8]>, contents: impl AsRef<[u8]>) -> Self {
        self.sized(Header::new(name, b'0'), contents.as_ref())
    }

    pub fn directory(self, name: impl AsRef<[u8]>) -> Self {
        let header = Header { mode: 0o755, ..Header::new(name, b'5') };
        self.entry(&header, b"")
    }

    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        let header = Header { mode: 0o777, link: target.as_ref().to_vec(), ..Header::new(name, b'2') };
        self.entry(&header, b"")
    }

    pub fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        let header = Header { link: target.as_ref().to_vec(), ..Header::new(name, b'1') };
        self.entry(&header, b"")
    }

    /// An extended header for the next entry.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.sized(Header::new("PaxHeader", b'x'), &pax_records(records))
    }

    /// GNU's way of giving the next entry a long name (`L`) or a long target (`K`).
    pub fn gnu_long(self, kind: u8, text: &[u8]) -> Self {
        let header = Header { magic: *b"ustar  \0", ..Header::new("././@LongLink", kind) };
        self.sized(header, &[text, b"\0"].concat())
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 2 * BLOCK]);
        self.0
    }

    /// Without the blocks of zeros at its end.
    pub fn open_ended(self) -> Vec<u8> {
        self.0
    }
}

pub fn pax_records(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        bytes.extend_from_slice(format!("{length} {key}=").as_bytes());
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    bytes
}

/// GNU's own format of a sparse file: the runs are in the header itself, and in blocks after it.
pub fn gnu_sparse(name: &str, size: u64, runs: &[(u64, &[u8])]) -> Tape {
    let stored: Vec<u8> = runs.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    let header = Header { size: stored.len() as u64, magic: *b"ustar  \0", ..Header::new(name, b'S') };
    let mut block = header.bytes();
    let pair = |field: &mut [u8], run: &(u64, &[u8])| {
        octal(&mut field[..12], run.0);
        octal(&mut field[12..24], run.1.len() as u64);
    };
    let (first, more) = runs.split_at(runs.len().min(4));
    for (number, run) in first.iter().enumerate() {
        pair(&mut block[386 + 24 * number..], run);
    }
    block[482] = u8::from(!more.is_empty());
    octal(&mut block[483..495], size);
    seal(&mut block);
    let mut tape = Tape(block.to_vec());
    let blocks: Vec<_> = more.chunks(21).collect();
    for (number, runs) in blocks.iter().enumerate() {
        let mut block = [0; BLOCK];
        for (number, run) in runs.iter().enumerate() {
            pair(&mut block[24 * number..], run);
        }
        block[504] = u8::from(number + 1 < blocks.len());
        tape.0.extend_from_slice(&block);
    }
    tape.bytes(&stored)
}

/// The three ways of a sparse file in PAX.
pub fn pax_sparse(version: &str, name: &str, size: u64, runs: &[(u64, &[u8])]) -> Tape {
    let stored: Vec<u8> = runs.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    let size = size.to_string();
    let text = |n: u64| n.to_string().into_bytes();
    let numbers: Vec<u64> = runs.iter().flat_map(|(offset, bytes)| [*offset, bytes.len() as u64]).collect();
    let count = runs.len().to_string();
    match version {
        "0.0" => {
            let values: Vec<Vec<u8>> = numbers.iter().map(|n| text(*n)).collect();
            let mut records: Vec<(&str, &[u8])> =
                vec![("GNU.sparse.size", size.as_bytes()), ("GNU.sparse.numblocks", count.as_bytes())];
            for pair in values.chunks(2) {
                records.push(("GNU.sparse.offset", &pair[0]));
                records.push(("GNU.sparse.numbytes", &pair[1]));
            }
            Tape::new().pax(&records).file(name, stored)
        }
        "0.1" => {
            let map = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            let records: [(&str, &[u8]); 4] = [
                ("GNU.sparse.size", size.as_bytes()),
                ("GNU.sparse.numblocks", count.as_bytes()),
                ("GNU.sparse.map", map.as_bytes()),
                ("GNU.sparse.name", name.as_bytes()),
            ];
            Tape::new().pax(&records).file(format!("GNUSparseFile.0/{name}"), stored)
        }
        _ => {
            let lines: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let mut contents = format!("{count}\n{}\n", lines.join("\n")).into_bytes();
            contents.resize(contents.len().next_multiple_of(BLOCK), 0);
            contents.extend_from_slice(&stored);
            let records: [(&str, &[u8]); 4] = [
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", name.as_bytes()),
                ("GNU.sparse.realsize", size.as_bytes()),
            ];
            Tape::new().pax(&records).file(format!("GNUSparseFile.0/{name}"), contents)
        }
    }
}
