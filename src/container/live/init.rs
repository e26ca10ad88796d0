//! The container's first process until it becomes the payload. It never returns, and runs no destructor of anything that it
//! inherited from the monitor.

use crate::container::plan::Walk;
use crate::container::plan::step::Step;
use crate::container::protocol::{End, Failure, Message};
use crate::sys::SysError;
use crate::sys::process;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

/// Carries out `steps`; `first` is the number of the first one in the whole plan. `waits`: the last one waits for the
/// monitor's `Go`.
pub(crate) fn walk(steps: &[Step], first: u32, mut walk: Walk, monitor: &End, told: bool, waits: bool) -> ! {
    process::set_name(c"minirun: init");
    // Until its last step it is this program: nobody else may trace it or open its /proc entries.
    process::set_dumpable(false);
    process::die_with_parent(libc::SIGKILL);
    for (index, step) in steps.iter().enumerate() {
        let number = first + index as u32;
        let begun = Instant::now();
        if matches!(step, Step::Exec { .. } | Step::Probe { .. }) {
            // Again, since a change of user takes it back; and before the monitor is heard for the last time.
            process::die_with_parent(libc::SIGKILL);
            let told = monitor.send(&Message::Ready).is_ok();
            if !told || (waits && !matches!(monitor.receive(), Ok(Some((Message::Go, _))))) {
                process::exit_now(125);
            }
        }
        let result = step.apply(&mut walk);
        if matches!(step, Step::ShiftedStore { .. } | Step::ShiftedRoot) {
            // It has changed its user.
            process::die_with_parent(libc::SIGKILL);
        }
        let result = result.and_then(|()| hand_over_terminal(&mut walk, monitor));
        if let Err(error) = result {
            let _ = monitor.send(&Message::Failed(Failure::of_step(number, &error)));
            process::exit_now(125);
        }
        if let Some(pid) = walk.successor {
            // It says the rest.
            let _ = monitor.send(&Message::Born { pid: pid.unsigned_abs() });
            process::exit_now(0);
        }
        let skipped = walk.skipped.take();
        if told {
            let micros = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
            let skipped = skipped.map_or(0, i32::unsigned_abs);
            let _ = monitor.send(&Message::Did { step: number, micros, skipped });
        }
    }
    process::exit_now(0)
}

fn hand_over_terminal(walk: &mut Walk, monitor: &End) -> Result<(), SysError> {
    let Some((_, ours)) = &mut walk.terminal else { return Ok(()) };
    match ours.take() {
        Some(ours) => monitor.send_with(&Message::Terminal, &[ours.as_fd().as_raw_fd()]),
        None => Ok(()),
    }
}
