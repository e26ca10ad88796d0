//! System calls that a container should not be able to make, each made so that it does no harm where it succeeds. Each
//! function returns the errno, or 0 if the call succeeded.

use super::netlink;
use super::process::{self, Fork};
use rustix::fs::{Mode, OFlags};
use std::ffi::CString;
use std::io;
use std::path::Path;

fn answer(result: i64) -> i32 {
    if result >= 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) }
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap_or_default()
}

/// Loads a kernel module, which is empty and so refused.
pub(crate) fn load_module() -> i32 {
    // SAFETY: the kernel is given a length of 0 and an empty string.
    answer(unsafe { libc::syscall(libc::SYS_init_module, c"".as_ptr(), 0, c"".as_ptr()) })
}

/// Loads a kernel to boot, without segments and for an unknown processor.
pub(crate) fn load_kernel() -> i32 {
    // SAFETY: there is no segment that could be read.
    answer(unsafe { libc::syscall(libc::SYS_kexec_load, 0, 0, std::ptr::null::<u8>(), 0xffff_0000_u64) })
}

/// Makes a file without a name, which is gone when it is closed. A file system that has no such files refuses after the mount
/// has allowed it.
pub(crate) fn make_a_file(directory: &Path) -> i32 {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::open(directory, flags, Mode::from_raw_mode(0o600)) {
        Ok(_) => 0,
        Err(error) => error.raw_os_error(),
    }
}

/// Changes the owner of a file without a name. Returns EPERM also if the owner stays the same: the filter of a user with one id
/// reports success.
pub(crate) fn change_owner(directory: &Path) -> i32 {
    const OTHER: u32 = 1;
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let changed = rustix::fs::open(directory, flags, Mode::from_raw_mode(0o600)).and_then(|file| {
        rustix::fs::fchown(&file, Some(rustix::process::Uid::from_raw(OTHER)), None)?;
        rustix::fs::fstat(&file).map(|stat| stat.st_uid)
    });
    match changed {
        Ok(OTHER) => 0,
        Ok(_) => libc::EPERM,
        Err(error) => error.raw_os_error(),
    }
}

/// Changes the user of a child process. Returns EPERM also if the user stays the same, as above.
pub(crate) fn become_another_user() -> i32 {
    const OTHER: u32 = 1;
    match process::fork() {
        Ok(Fork::Child) => {
            let answer = process::setresuid(OTHER).map_or_else(|error| error.errno, |()| 0);
            let became = rustix::process::getuid().as_raw() == OTHER;
            process::exit_now(if answer == 0 && !became { libc::EPERM } else { answer })
        }
        Ok(Fork::Parent(child)) => process::wait(child).unwrap_or(libc::EIO),
        Err(error) => error.errno,
    }
}

/// Opens a socket that could send any packet, and closes it.
pub(crate) fn open_raw_socket() -> i32 {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
    match socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::ICMP)) {
        Ok(_) => 0,
        Err(error) => error.raw_os_error(),
    }
}

/// Sets the clock to the time that it has.
pub(crate) fn set_clock() -> i32 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is a live one.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    // SAFETY: as above.
    answer(unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const now) }.into())
}

/// Mounts an empty file system, and unmounts it.
pub(crate) fn mount(target: &Path) -> i32 {
    let target = text(target);
    // SAFETY: both strings are live; there is no data.
    let done = unsafe { libc::mount(c"none".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null()) };
    let answer = answer(done.into());
    if answer == 0 {
        // SAFETY: the string is live.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
    answer
}

/// Makes a device node for the first disk, and removes it. Returns EPERM also if none was made: the filter of a user with one
/// id reports success.
pub(crate) fn make_device(path: &Path) -> i32 {
    let path = text(path);
    // SAFETY: the string is live.
    let answer = answer(unsafe { libc::mknod(path.as_ptr(), libc::S_IFBLK | 0o600, libc::makedev(8, 0)) }.into());
    if answer != 0 {
        return answer;
    }
    // SAFETY: the string is live.
    if unsafe { libc::unlink(path.as_ptr()) } == 0 { 0 } else { libc::EPERM }
}

/// Calls reboot(2) without the numbers that it requires.
pub(crate) fn reboot() -> i32 {
    // SAFETY: a command that the kernel refuses for its numbers.
    answer(unsafe { libc::syscall(libc::SYS_reboot, 0, 0, 0, 0) })
}

/// Sends signal 0, which only asks whether a signal might be sent.
pub(crate) fn signal(pid: i32) -> i32 {
    // SAFETY: no signal is sent.
    answer(unsafe { libc::kill(pid, 0) }.into())
}

/// Loads a BPF program without instructions.
pub(crate) fn load_bpf() -> i32 {
    const BPF_PROG_LOAD: i32 = 5;
    let attributes = [0u64; 16];
    // SAFETY: the attributes are live, and their size is told.
    answer(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, attributes.as_ptr(), size_of_val(&attributes)) })
}

/// Makes a user namespace, where this process would be root, and stays in it.
pub(crate) fn new_user_namespace() -> i32 {
    // SAFETY: changes this process only.
    answer(unsafe { libc::unshare(libc::CLONE_NEWUSER) }.into())
}

/// Sets the loopback device up, which is up already.
pub(crate) fn change_network() -> i32 {
    netlink::loopback_up().map_or_else(|error| error.errno, |()| 0)
}

/// Raises the limit of open files above its maximum.
pub(crate) fn raise_limit() -> i32 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is a live one.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_max += 1;
    // SAFETY: as above.
    answer(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }.into())
}

/// Starts children that do nothing, until one is refused or there are `most`. All are gone when this returns.
pub(crate) fn bear(most: u64) -> i32 {
    let mut born = Vec::new();
    let mut answer = 0;
    let parent = rustix::process::getpid();
    while answer == 0 && (born.len() as u64) < most {
        match process::fork() {
            Ok(Fork::Child) => {
                process::die_with_parent(libc::SIGKILL);
                while rustix::process::getppid() == Some(parent) {
                    std::thread::sleep(std::time::Duration::from_secs(1));
                }
                process::exit_now(0)
            }
            Ok(Fork::Parent(child)) => born.push(child),
            Err(error) => answer = error.errno,
        }
    }
    for child in born.iter().rev() {
        let _ = process::kill(*child, libc::SIGKILL);
    }
    for child in born {
        let _ = process::wait(child);
    }
    answer
}

/// Uses memory in a child, which is the first to be killed where there is too little. Returns a signal that ended the child as a
/// negative number.
pub(crate) fn take_memory(bytes: u64) -> i32 {
    match process::fork() {
        Ok(Fork::Child) => {
            process::die_with_parent(libc::SIGKILL);
            if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "1000") {
                process::exit_now(error.raw_os_error().unwrap_or(libc::EIO))
            }
            const PIECE: usize = 1 << 20;
            let mut taken = Vec::new();
            for _ in 0..bytes.div_ceil(PIECE as u64) {
                let mut piece = Vec::new();
                if piece.try_reserve_exact(PIECE).is_err() {
                    process::exit_now(libc::ENOMEM)
                }
                piece.resize(PIECE, 1u8);
                taken.push(std::hint::black_box(piece));
            }
            process::exit_now(0)
        }
        Ok(Fork::Parent(child)) => match process::wait(child) {
            Ok(status) if status > 128 => 128 - status,
            Ok(status) => status,
            Err(error) => error.errno,
        },
        Err(error) => error.errno,
    }
}

/// Opens a file for writing, and closes it.
pub(crate) fn open_for_writing(path: &Path) -> i32 {
    std::fs::OpenOptions::new().write(true).open(path).map_or_else(|e| e.raw_os_error().unwrap_or(libc::EIO), |_| 0)
}

/// Reads the first byte of a file. ENODATA: the file is empty.
pub(crate) fn read_a_byte(path: &Path) -> i32 {
    let mut byte = [0];
    match std::fs::File::open(path).and_then(|mut file| io::Read::read(&mut file, &mut byte)) {
        Ok(0) => libc::ENODATA,
        Ok(_) => 0,
        Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
    }
}
