//! What a process inside the user namespace is told by the one outside that has started it: one message, and the only one.

use super::here::{self, of_host};
use crate::store::Store;
use crate::sys::{SysError, descriptor, memfd, socket};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

/// What a process inside is told of the outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outside {
    /// The store's directory.
    #[serde(with = "bytes")]
    root: PathBuf,
    /// The user namespace in which the command was typed, as its link in `/proc` names it.
    namespace: PathBuf,
}

impl Outside {
    /// Returns what a process that this one starts is told.
    pub(crate) fn of(store: &Store) -> Self {
        Self { root: store.root.clone(), namespace: of_host().unwrap_or_default() }
    }

    /// Notes that this process is inside. Returns the store's directory.
    ///
    /// # Errors
    /// `EPERM` where this process is in the user namespace that it should have left.
    pub(crate) fn take(self) -> Result<PathBuf, SysError> {
        here::note_outside(self.namespace)?;
        Ok(self.root)
    }
}

/// The first word of the command line of a process that works inside for a command outside, as `ps` shows it.
pub(crate) const NAME: &str = "minirun-inside";

#[derive(Serialize, Deserialize)]
struct Errand<W> {
    outside: Outside,
    work: W,
}

const SUBJECT: &str = "errand";

/// Sends an errand to the process that has, or will get, the other end of `socket`.
pub(super) fn send(socket: &OwnedFd, store: &Store, work: impl Serialize) -> Result<(), SysError> {
    let errand = Errand { outside: Outside::of(store), work };
    let text = serde_json::to_vec(&errand).map_err(|_| malformed())?;
    let file = memfd::write(SUBJECT, &text)?;
    socket::send(socket.as_fd(), SUBJECT.as_bytes(), &[file.as_raw_fd()])
}

/// Receives the errand of this process, as its first act. Returns the store's directory and the work.
///
/// # Errors
/// `EPROTO` where nobody has sent this process on an errand.
pub(crate) fn receive<W: DeserializeOwned>() -> Result<(PathBuf, W), SysError> {
    let socket = descriptor::take_handed().ok_or_else(malformed)?;
    let mut buffer = [0; SUBJECT.len()];
    let received = socket::receive(socket.as_fd(), &mut buffer)?;
    let file = received.and_then(|(_, mut descriptors)| descriptors.pop()).ok_or_else(malformed)?;
    let text = memfd::read(File::from(file), SUBJECT)?;
    let errand: Errand<W> = serde_json::from_slice(&text).map_err(|_| malformed())?;
    let root = errand.outside.take()?;
    let _ = OUTER.set(Mutex::new(socket));
    Ok((root, errand.work))
}

fn malformed() -> SysError {
    SysError { call: "recvmsg", subject: SUBJECT.into(), errno: libc::EPROTO }
}

/// The socket to the outer half, in the inner one.
static OUTER: OnceLock<Mutex<OwnedFd>> = OnceLock::new();

/// Asks the half of this command that stayed outside. Returns `None` if there is none, or if it has no answer.
pub(crate) fn ask(question: &[u8]) -> Option<Vec<u8>> {
    let socket = OUTER.get()?.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    socket::send(socket.as_fd(), question, &[]).ok()?;
    let mut buffer = vec![0; socket::LONGEST];
    let (length, _) = socket::receive(socket.as_fd(), &mut buffer).ok()??;
    buffer.truncate(length);
    Some(buffer)
}

/// Paths and words of a command line, of any bytes: each byte is a character of JSON's text.
pub(crate) mod bytes {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    pub(crate) fn serialize<S: Serializer>(text: &impl AsRef<OsStr>, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = text.as_ref().as_bytes().iter();
        serializer.serialize_str(&bytes.map(|byte| char::from(*byte)).collect::<String>())
    }

    pub(crate) fn deserialize<'de, T: From<OsString>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = text.chars().map(|c| u8::try_from(c).map_err(D::Error::custom));
        Ok(OsString::from_vec(bytes.collect::<Result<_, _>>()?).into())
    }
}
