//! Capabilities on the way into a user namespace whose ids are still being mapped.

use crate::sys::{On, SysError};
use caps::CapSet;
use caps::errors::CapsError;

/// Lets a program start that is not root here, as while its ids are still being mapped: it would lose all capabilities as
/// it is executed (capabilities(7), "Ambient capability set").
pub(crate) fn keep_capabilities() -> Result<(), SysError> {
    let kept = (|| {
        let all = caps::read(None, CapSet::Permitted)?;
        caps::set(None, CapSet::Inheritable, &all)?;
        caps::set(None, CapSet::Ambient, &all)
    })();
    kept.map_err(|_: CapsError| SysError { call: "prctl", subject: "PR_CAP_AMBIENT".into(), errno: libc::EPERM })
}

/// Drops the inheritable capabilities of [`keep_capabilities`] once the ids are mapped and the process is root.
pub(crate) fn inherit_nothing() -> Result<(), SysError> {
    let none = caps::clear(None, CapSet::Inheritable);
    none.map_err(|_| SysError { call: "capset", subject: "inheritable".into(), errno: libc::EPERM })
}

/// Gives up every capability, for good: what this process executes gains none either.
pub(crate) fn keep_no_capability() -> Result<(), SysError> {
    let none = (|| {
        for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
            caps::clear(None, set)?;
        }
        Ok(())
    })();
    none.map_err(|_: CapsError| SysError { call: "capset", subject: "none".into(), errno: libc::EPERM })?;
    rustix::thread::set_no_new_privs(true).on("prctl", "PR_SET_NO_NEW_PRIVS")
}
