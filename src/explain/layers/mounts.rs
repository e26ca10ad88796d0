//! The mounts of a running container, as the kernel lists them (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

#[derive(Debug)]
pub(crate) struct Mount {
    /// The directory of the file system that is mounted; `/` is its root.
    pub root: PathBuf,
    pub target: PathBuf,
    pub is_read_only: bool,
    /// `tmpfs`, `proc`, `ext4`, …
    pub kind: String,
}

/// Returns the mounts in their order; a later one covers an earlier one at the same path.
pub(crate) fn of_process(pid: i32) -> Vec<Mount> {
    let table = fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    table.split(|byte| *byte == b'\n').filter_map(parse).collect()
}

fn parse(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let separator = fields.iter().position(|field| *field == b"-")?;
    let is_read_only = fields.get(5)?.split(|byte| *byte == b',').any(|option| option == b"ro");
    let kind = String::from_utf8_lossy(fields.get(separator + 1)?).into_owned();
    Some(Mount { root: unescaped(fields.get(3)?), target: unescaped(fields.get(4)?), is_read_only, kind })
}

/// Decodes octal escapes, which stand for blanks and the like.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let number = (*first == b'\\').then(|| after.get(..3)).flatten();
        let number = number.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(number.unwrap_or(*first));
        rest = if number.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_line_of_the_kernels() {
        let mount = parse(br"36 35 98:0 /a\040b /mnt/c\134d rw,ro,noatime master:1 - ext3 /dev/root rw").unwrap();
        assert_eq!((mount.root.to_str(), mount.target.to_str()), (Some("/a b"), Some(r"/mnt/c\d")));
        assert_eq!((mount.is_read_only, mount.kind.as_str()), (true, "ext3"));
        assert!(parse(b"").is_none() && parse(b"1 2 3 - x").is_none());
    }
}
