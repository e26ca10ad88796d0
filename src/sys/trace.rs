//! ptrace(2): another process is stopped, makes system calls that its tracer wants, and goes on as if nothing had been.

use std::io;

/// What a traced thread has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// It stands before or behind a system call.
    Call,
    /// It has begun another program; this was its number before.
    Exec {
        former: i32,
    },
    /// It stands still, because it was asked to.
    Interrupted,
    /// It stands still like its process, by a signal.
    GroupStop,
    /// It is about to receive a signal.
    Signal(i32),
    Ended,
}

const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;

fn request(request: libc::c_uint, tid: i32, address: u64, data: u64) -> io::Result<()> {
    // SAFETY: requests that read or write memory of this process get live memory of the right size from the callers below.
    match unsafe { libc::ptrace(request, tid, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Traces a thread without stopping it. It is killed if this process ends before it lets go.
pub(crate) fn seize(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, tid, 0, OPTIONS as u64)
}

/// Asks a traced thread to stand still.
pub(crate) fn interrupt(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

/// Lets a thread go on, with a signal or without (0).
pub(crate) fn go_on(tid: i32, signal: i32) {
    let _ = request(libc::PTRACE_CONT, tid, 0, signal as u64);
}

/// Lets a thread go on to the next edge of a system call.
pub(crate) fn go_to_call(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_SYSCALL, tid, 0, 0)
}

/// Leaves a thread in the stop of its process.
pub(crate) fn stay_stopped(tid: i32) {
    let _ = request(libc::PTRACE_LISTEN, tid, 0, 0);
}

pub(crate) fn let_go(tid: i32) {
    let _ = request(libc::PTRACE_DETACH, tid, 0, 0);
}

/// Returns the next event of a traced thread, or of any (-1). `None`: there is none yet, or nothing is traced.
pub(crate) fn next_event(tid: i32, waits: bool) -> Option<(i32, Event)> {
    let mut status = 0;
    let flags = libc::__WALL | if waits { 0 } else { libc::WNOHANG };
    // SAFETY: `status` outlives the call.
    let tid = unsafe { libc::waitpid(tid, &raw mut status, flags) };
    if tid <= 0 {
        return None;
    }
    if !libc::WIFSTOPPED(status) {
        return Some((tid, Event::Ended));
    }
    let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
    Some((
        tid,
        match event {
            libc::PTRACE_EVENT_EXEC => Event::Exec { former: former(tid) },
            libc::PTRACE_EVENT_STOP if signal == libc::SIGTRAP => Event::Interrupted,
            libc::PTRACE_EVENT_STOP => Event::GroupStop,
            _ if signal == libc::SIGTRAP | 0x80 => Event::Call,
            _ => Event::Signal(signal),
        },
    ))
}

fn former(tid: i32) -> i32 {
    let mut number: libc::c_ulong = 0;
    match request(libc::PTRACE_GETEVENTMSG, tid, 0, &raw mut number as u64) {
        Ok(()) => number as i32,
        Err(_) => tid,
    }
}

pub(crate) use machine::Injection;

#[cfg(target_arch = "x86_64")]
mod machine {
    use super::{go_to_call, let_go, request};
    use std::io;

    /// A traced thread that stands still and makes system calls for its tracer.
    pub(crate) struct Injection {
        tid: i32,
        saved: libc::user_regs_struct,
        mask: u64,
        /// Where the instruction `syscall` is, and what was there before if it was put there.
        at: u64,
        before: Option<u64>,
    }

    const SYSCALL: u64 = 0x050f;
    /// What the ABI lets a function use below its stack pointer.
    const RED_ZONE: u64 = 128;

    impl Injection {
        /// `is_fresh`: it begins a program; otherwise it has just made a system call.
        pub(crate) fn begin(tid: i32, is_fresh: bool) -> io::Result<Self> {
            // SAFETY: a struct of numbers.
            let mut saved: libc::user_regs_struct = unsafe { std::mem::zeroed() };
            request(libc::PTRACE_GETREGS, tid, 0, &raw mut saved as u64)?;
            let mut mask = 0u64;
            request(libc::PTRACE_GETSIGMASK, tid, 8, &raw mut mask as u64)?;
            let mut injection = Self { tid, saved, mask, at: saved.rip.wrapping_sub(2), before: None };
            if is_fresh {
                injection.at = saved.rip;
                let word = injection.peek(saved.rip)?;
                request(libc::PTRACE_POKETEXT, tid, saved.rip, word & !0xffff | SYSCALL)?;
                injection.before = Some(word);
            }
            // No signal is taken meanwhile, but for the last one of all.
            let all = u64::MAX;
            request(libc::PTRACE_SETSIGMASK, tid, 8, &raw const all as u64)?;
            Ok(injection)
        }

        fn peek(&self, address: u64) -> io::Result<u64> {
            let mut bytes = [0; 8];
            match crate::sys::other::read_memory(self.tid, address, &mut bytes) {
                8 => Ok(u64::from_ne_bytes(bytes)),
                _ => Err(io::Error::from_raw_os_error(libc::EFAULT)),
            }
        }

        /// Puts words below the thread's stack. Returns their address.
        pub(crate) fn put(&self, words: &[u64]) -> io::Result<u64> {
            let address = (self.saved.rsp - RED_ZONE - 8 * words.len() as u64) & !15;
            for (index, word) in words.iter().enumerate() {
                request(libc::PTRACE_POKEDATA, self.tid, address + 8 * index as u64, *word)?;
            }
            Ok(address)
        }

        /// Lets the thread begin a call: its next event is that it stands before it.
        pub(crate) fn call(&self, nr: i64, arguments: [u64; 3]) -> io::Result<()> {
            let mut registers = self.saved;
            (registers.rip, registers.rax, registers.orig_rax) = (self.at, nr as u64, u64::MAX);
            (registers.rdi, registers.rsi, registers.rdx) = (arguments[0], arguments[1], arguments[2]);
            (registers.r10, registers.r8, registers.r9) = (0, 0, 0);
            request(libc::PTRACE_SETREGS, self.tid, 0, &raw const registers as u64)?;
            go_to_call(self.tid)
        }

        /// Whether the thread stands before this call.
        pub(crate) fn is_before(&self, nr: i64) -> bool {
            self.registers().is_ok_and(|registers| registers.orig_rax == nr as u64)
        }

        /// Returns the result of the call that the thread stands behind.
        pub(crate) fn result(&self) -> io::Result<i64> {
            Ok(self.registers()?.rax.cast_signed())
        }

        fn registers(&self) -> io::Result<libc::user_regs_struct> {
            let mut registers = self.saved;
            request(libc::PTRACE_GETREGS, self.tid, 0, &raw mut registers as u64)?;
            Ok(registers)
        }

        /// Makes the thread what it was before, and lets it go if it `goes`.
        pub(crate) fn end(mut self, goes: bool) -> io::Result<()> {
            if let Some(word) = self.before {
                request(libc::PTRACE_POKETEXT, self.tid, self.at, word)?;
            }
            // Nothing is begun again.
            self.saved.orig_rax = u64::MAX;
            request(libc::PTRACE_SETREGS, self.tid, 0, &raw const self.saved as u64)?;
            request(libc::PTRACE_SETSIGMASK, self.tid, 8, &raw const self.mask as u64)?;
            if goes {
                let_go(self.tid);
            }
            Ok(())
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod machine {
    use std::io;

    /// Nobody has written this for the machine's registers.
    pub(crate) enum Injection {}

    impl Injection {
        pub(crate) fn begin(_tid: i32, _is_fresh: bool) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn put(&self, _words: &[u64]) -> io::Result<u64> {
            match *self {}
        }

        pub(crate) fn call(&self, _nr: i64, _arguments: [u64; 3]) -> io::Result<()> {
            match *self {}
        }

        pub(crate) fn is_before(&self, _nr: i64) -> bool {
            match *self {}
        }

        pub(crate) fn result(&self) -> io::Result<i64> {
            match *self {}
        }

        pub(crate) fn end(self, _goes: bool) -> io::Result<()> {
            match self {}
        }
    }
}
