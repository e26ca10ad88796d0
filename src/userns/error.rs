//! Why there is no user namespace, and what to do.

use crate::diag::{Diagnose, ErrorCode, inner_of};
use crate::sys::SysError;
use std::fs;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum UsernsError {
    #[error("cannot make a user namespace")]
    Create(#[source] SysError),
    #[error("{program} refused to map the subordinate ids of {subject}: {said}")]
    Helper { program: &'static str, subject: String, said: String },
    #[error("cannot map ids into the user namespace")]
    Map(#[source] SysError),
    #[error("{} was made with the ids of a {store} user, but now there is {now}", path.display())]
    OtherMap { path: PathBuf, store: String, now: &'static str },
    #[error("cannot go on inside the user namespace")]
    Inside(#[source] SysError),
    #[error("the process that was to go into the user namespace was killed")]
    Killed,
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for UsernsError {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Create(_) => Some(ErrorCode::NoUserNamespace),
            _ => self.inner().and_then(Diagnose::code),
        }
    }

    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Inside, Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Create(error) => Some(why_no_namespace(error.errno)),
            Self::Helper { .. } => Some("compare /etc/subuid and /etc/subgid with: minirun doctor".into()),
            Self::Map(_) => Some("see what this host lacks: minirun doctor".into()),
            Self::OtherMap { .. } => {
                Some("give back what changed (minirun doctor tells), or use another store: minirun --root DIR …".into())
            }
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}

fn why_no_namespace(errno: i32) -> String {
    let sysctl = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default().trim().to_owned();
    if sysctl("user/max_user_namespaces") == "0" {
        "this host allows none; as root: sysctl -w user.max_user_namespaces=15000".into()
    } else if sysctl("kernel/unprivileged_userns_clone") == "0" {
        "this host keeps them for root; as root: sysctl -w kernel.unprivileged_userns_clone=1".into()
    } else if sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1" {
        "AppArmor restricts them here; minirun doctor prints the profile that allows minirun's".into()
    } else if errno == libc::EPERM {
        "an outer container's seccomp policy forbids it; see minirun doctor".into()
    } else {
        "see what this host lacks: minirun doctor".into()
    }
}
