//! Writes the header of one tar entry: ustar (POSIX.1-1988), and before it an extended header (POSIX.1-2001, "pax Header
//! Block") for what does not fit.

use std::io::{self, Write};
use tar::{EntryType, Header as Ustar};

const BLOCK: u64 = 512;

/// The fields of a header. The same values give the same bytes.
pub(crate) struct Header<'a> {
    pub kind: EntryType,
    pub name: &'a [u8],
    /// The target of a link; empty for other entries.
    pub link: &'a [u8],
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// The length of the contents that follow.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// The number of a device.
    pub device: u64,
    pub xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl<'a> Header<'a> {
    /// Describes an entry that belongs to root and is from 1970.
    pub(crate) fn plain(kind: EntryType, name: &'a [u8], mode: u32, size: u64) -> Self {
        Self { kind, name, link: b"", mode, uid: 0, gid: 0, size, mtime: 0, device: 0, xattrs: &[] }
    }

    pub(crate) fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let mut header = Ustar::new_ustar();
        let mut pax = Pax::default();
        let old = header.as_old_mut();
        pax.field(b"path", self.name, &mut old.name);
        pax.field(b"linkpath", self.link, &mut old.linkname);
        for (key, value) in self.xattrs {
            pax.record(&[b"SCHILY.xattr.", key.as_slice()].concat(), value);
        }
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        header.set_uid(pax.number(b"uid", self.uid, 0o7_777_777));
        header.set_gid(pax.number(b"gid", self.gid, 0o7_777_777));
        header.set_size(pax.number(b"size", self.size, 0o77_777_777_777));
        match u64::try_from(self.mtime) {
            Ok(mtime) => header.set_mtime(pax.number(b"mtime", mtime, 0o77_777_777_777)),
            Err(_) => {
                pax.record(b"mtime", self.mtime.to_string().as_bytes());
                header.set_mtime(0);
            }
        }
        if matches!(self.kind, EntryType::Char | EntryType::Block) {
            header.set_device_major(rustix::fs::major(self.device))?;
            header.set_device_minor(rustix::fs::minor(self.device))?;
        }
        header.set_cksum();
        pax.write(output)?;
        output.write_all(header.as_bytes())
    }
}

/// Fills up the last block of contents.
pub(crate) fn write_padding(size: u64, output: &mut impl Write) -> io::Result<()> {
    output.write_all(&[0; BLOCK as usize][..(size.next_multiple_of(BLOCK) - size) as usize])
}

/// Writes the two empty blocks that end an archive.
pub(crate) fn write_end(output: &mut impl Write) -> io::Result<()> {
    output.write_all(&[0; 2 * BLOCK as usize])
}

/// The records of an extended header.
#[derive(Default)]
struct Pax(Vec<u8>);

impl Pax {
    fn record(&mut self, key: &[u8], value: &[u8]) {
        // The length counts its own digits.
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(format!("{length} ").as_bytes());
        self.0.extend_from_slice(key);
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    fn field(&mut self, key: &[u8], value: &[u8], field: &mut [u8]) {
        let fits = value.len().min(field.len());
        if fits < value.len() {
            self.record(key, value);
        }
        field[..fits].copy_from_slice(&value[..fits]);
    }

    fn number(&mut self, key: &[u8], value: u64, most: u64) -> u64 {
        if value <= most {
            return value;
        }
        self.record(key, value.to_string().as_bytes());
        0
    }

    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let size = self.0.len() as u64;
        Header::plain(EntryType::XHeader, b"PaxHeader", 0o644, size).write(output)?;
        output.write_all(&self.0)?;
        write_padding(size, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        let mut pax = Pax::default();
        pax.record(b"path", &[b'x'; 91]);
        assert!(pax.0.starts_with(b"101 path=x"));
        assert_eq!(pax.0.len(), 101);
    }

    #[test]
    fn what_is_too_long_goes_into_an_extended_header() {
        let written = |name: &[u8]| {
            let mut bytes = Vec::new();
            Header::plain(EntryType::Regular, name, 0o644, 0).write(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(written(&[b'x'; 100]).len(), 512);
        let long = written(&[b'x'; 101]);
        assert_eq!(long.len(), 3 * 512);
        assert!(long.starts_with(b"PaxHeader\0") && long[512..].starts_with(b"111 path=x"));
    }
}
