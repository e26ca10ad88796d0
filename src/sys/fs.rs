//! Calls on files that std lacks.

use rustix::fs::{Mode, OFlags, ResolveFlags, XattrFlags};
use rustix::io::Errno;
use rustix::path::Arg;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// Opens a path as seen from a directory, within the bounds of `resolve`; never creates.
///
/// The kernel answers EAGAIN when a path with `..` in it cannot be shown to stay inside, because something on the host
/// was renamed or mounted meanwhile; openat2(2) says to try again.
pub(crate) fn openat2(
    directory: impl AsFd,
    path: impl Arg + Copy,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    const TRIES: u32 = 2000;
    const QUICK_TRIES: u32 = 50;
    for attempt in 0..TRIES {
        match rustix::fs::openat2(&directory, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) if attempt > QUICK_TRIES => std::thread::sleep(Duration::from_micros(50)),
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// Sets the umask of this process as long as this lives.
pub(crate) struct Umask(rustix::fs::Mode);

impl Umask {
    pub(crate) fn set(mask: u32) -> Self {
        Self(rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask)))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}

/// Returns the names of the extended attributes of a file; none where the file system has none.
pub(crate) fn flistxattr(file: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let list = grown(|buffer| rustix::fs::flistxattr(&file, buffer));
    match list {
        Err(Errno::OPNOTSUPP) => Ok(Vec::new()),
        list => Ok(list?.split(|b| *b == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()),
    }
}

/// Returns an extended attribute. `None`: the file does not have it.
pub(crate) fn fgetxattr(file: impl AsFd, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    match grown(|buffer| rustix::fs::fgetxattr(&file, name, buffer)) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        other => other.map(Some),
    }
}

/// fsetxattr(2).
pub(crate) fn fsetxattr(file: impl AsFd, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    rustix::fs::fsetxattr(file, name, value, XattrFlags::empty())
}

/// Calls again with a larger buffer for a long result. The kernel has no attribute above 64 KiB.
fn grown(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 256];
    loop {
        match call(&mut buffer) {
            Err(Errno::RANGE) if buffer.len() < 64 << 10 => buffer.resize(64 << 10, 0),
            other => {
                buffer.truncate(other?);
                return Ok(buffer);
            }
        }
    }
}

/// Returns the bytes of a file that are in the page cache (cachestat(2), from Linux 6.5 on). `None`: the kernel does not tell.
pub(crate) fn in_page_cache(file: impl AsFd) -> Option<u64> {
    const CACHESTAT: i64 = 451;
    // struct cachestat_range: offset and length, 0 for all; struct cachestat: cached pages first of five counts
    let (range, mut found) = ([0u64; 2], [0u64; 5]);
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: both structs are live and as large as the kernel's.
    let result = unsafe { libc::syscall(CACHESTAT, fd, range.as_ptr(), found.as_mut_ptr(), 0) };
    (result == 0).then(|| found[0] * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn renames_elsewhere_do_not_disturb_openat2() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        std::fs::create_dir(place("sub")).unwrap();
        for name in ["wanted", "one"] {
            std::fs::write(place(name), "").unwrap();
        }
        let root = std::fs::File::open(directory.path()).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::fs::rename(place("one"), place("two")).unwrap();
                    std::fs::rename(place("two"), place("one")).unwrap();
                }
            });
            let opened = |_| openat2(&root, "sub/../sub/../wanted", OFlags::PATH, ResolveFlags::IN_ROOT).err();
            let failed: Vec<Errno> = (0..20_000).filter_map(opened).collect();
            done.store(true, Ordering::Relaxed);
            assert_eq!(failed, []);
        });
    }
}
