//! The calls that wait for the agent, one after the other, and the events of those that it traces.

use crate::sys::seccomp::{Answer, Listener, Notification};
use crate::sys::trace::{self, Event};
use crate::sys::{SysError, process};
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub(super) struct Calls<'a> {
    /// The host's /proc.
    pub proc: BorrowedFd<'a>,
    pub listener: &'a Listener,
    /// Calls that came while the agent was at another.
    queue: VecDeque<Notification>,
    /// Tells of events of traced threads.
    signals: OwnedFd,
}

/// What there is to do.
pub(super) enum Next {
    Call(Notification),
    /// A traced thread has come to something.
    Event,
    /// No process is left that could call.
    End,
}

impl<'a> Calls<'a> {
    pub(super) fn new(proc: BorrowedFd<'a>, listener: &'a Listener) -> Result<Self, SysError> {
        Ok(Self { proc, listener, queue: VecDeque::new(), signals: process::signalfd(&[libc::SIGCHLD])? })
    }

    /// Waits for what comes next.
    pub(super) fn next(&mut self) -> Next {
        loop {
            if let Some(call) = self.queue.pop_front() {
                return Next::Call(call);
            }
            let (heard, has_signal) = self.wait();
            if has_signal {
                return Next::Event;
            }
            if heard.contains(PollFlags::IN) {
                if let Some(call) = self.listener.receive() {
                    return Next::Call(call);
                }
            } else if heard.intersects(PollFlags::HUP | PollFlags::ERR) {
                return Next::End;
            }
        }
    }

    fn wait(&self) -> (PollFlags, bool) {
        let mut events = [PollFd::new(self.listener, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
        let _ = poll(&mut events, None);
        let has_signal = events[1].revents().contains(PollFlags::IN);
        while has_signal && process::read_signal(self.signals.as_fd()).is_some() {}
        (events[0].revents(), has_signal)
    }

    /// Follows a thread through a call that the agent has it make, which the filter may ask about. `false`: it came to something else.
    pub(super) fn follow_injected(&mut self, tid: i32, nr: i64) -> bool {
        loop {
            if let Some((_, event)) = trace::next_event(tid, false) {
                return event == Event::Call;
            }
            let (heard, _) = self.wait();
            if heard.contains(PollFlags::IN)
                && let Some(call) = self.listener.receive()
            {
                if call.pid == tid && i64::from(call.nr) == nr {
                    self.answer(&call, Answer::Continue);
                } else {
                    self.queue.push_back(call);
                }
            }
        }
    }

    pub(super) fn answer(&self, call: &Notification, answer: Answer) {
        self.listener.answer(call, answer);
    }
}
