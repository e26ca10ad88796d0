//! The half of a copy that sees a container: a process of its own, in the container's user namespace, with a pipe to the
//! other half.

use super::error::FilesError;
use crate::diag::{Diagnose, in_one_line};
use crate::sys::process::{self, Fork};
use crate::sys::{On, SysError};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};

/// A half that was started.
pub(super) struct Half {
    pid: i32,
    answer: File,
}

/// What a half says at its end.
#[derive(Serialize, Deserialize)]
struct Answer {
    error: Option<(String, Option<String>)>,
}

/// The direction of the bytes, as this process sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    FromHalf,
    ToHalf,
}

impl Half {
    /// Starts a half, which does `work` with its end of the pipe. Returns it with this process's end.
    pub(super) fn start(
        direction: Direction,
        work: impl FnOnce(File) -> Result<(), FilesError>,
    ) -> Result<(Self, File), SysError> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).on("pipe2", "");
        let ((reader, writer), (answer, answers)) = (pipe()?, pipe()?);
        // A pipe this long lets both halves work at once.
        let _ = rustix::pipe::fcntl_setpipe_size(&writer, 1 << 20);
        let (ours, theirs) = if direction == Direction::FromHalf { (reader, writer) } else { (writer, reader) };
        match process::fork()? {
            Fork::Parent(pid) => Ok((Self { pid, answer: answer.into() }, ours.into())),
            Fork::Child => {
                drop((ours, answer));
                process::die_with_parent(libc::SIGKILL);
                let error = work(theirs.into()).err().filter(|error| !error.is_broken_pipe());
                let error = error.map(|error| (in_one_line(&error), error.hint()));
                let text = serde_json::to_vec(&Answer { error }).unwrap_or_default();
                let _ = File::from(answers).write_all(&text);
                process::exit_now(0)
            }
        }
    }

    /// Waits until it has ended.
    pub(super) fn finish(mut self) -> Result<(), FilesError> {
        let mut text = Vec::new();
        self.answer.read_to_end(&mut text).on("read", "a pipe")?;
        process::wait(self.pid)?;
        match serde_json::from_slice(&text) {
            Ok(Answer { error: None }) => Ok(()),
            Ok(Answer { error: Some((text, hint)) }) => Err(FilesError::Half { text, hint }),
            Err(_) => Err(FilesError::Killed),
        }
    }
}
