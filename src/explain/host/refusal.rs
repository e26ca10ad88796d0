//! Why user namespaces are refused: the reasons look alike to the caller, and each has another remedy.

use crate::explain::proc::{read, status};
use crate::explain::words::{Words, place};
use crate::userns::attempt::Refusal;

/// Settings of the host that tell the reasons apart.
#[derive(Debug, Default)]
pub(super) struct HostSigns {
    /// `user.max_user_namespaces`
    pub limit: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, Debian's own
    pub unprivileged: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, Ubuntu's own
    pub apparmor: Option<u64>,
    /// The caller runs under a seccomp filter.
    pub filtered: bool,
    pub root: bool,
    /// The binary, as AppArmor must name it.
    pub binary: String,
}

impl HostSigns {
    pub(super) fn of_this_host() -> Self {
        let sysctl = |name: &str| read(&format!("/proc/sys/{name}")).and_then(|text| text.parse().ok());
        Self {
            limit: sysctl("user/max_user_namespaces"),
            unprivileged: sysctl("kernel/unprivileged_userns_clone"),
            apparmor: sysctl("kernel/apparmor_restrict_unprivileged_userns"),
            filtered: status("self", "Seccomp").as_deref() == Some("2"),
            root: rustix::process::geteuid().is_root(),
            binary: std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default(),
        }
    }
}

/// Returns the reason, and what mends it.
pub(super) fn explain(refusal: &Refusal, signs: &HostSigns, words: &Words) -> (String, Option<String>) {
    let permanent = |setting: &str| {
        format!(
            "echo {setting} | sudo tee /etc/sysctl.d/90-minirun.conf && sudo sysctl -p /etc/sysctl.d/90-minirun.conf"
        )
    };
    if signs.limit == Some(0) {
        return (words.host_forbidden_for_all.into(), Some(permanent("user.max_user_namespaces=15000")));
    }
    if refusal.errno == libc::ENOSPC {
        let limit = signs.limit.map(|limit| limit.to_string()).unwrap_or_default();
        return (
            place(words.host_namespaces_used_up, &[("limit", &limit)]),
            Some(permanent("user.max_user_namespaces=15000")),
        );
    }
    if signs.unprivileged == Some(0) && !signs.root {
        return (words.host_kept_for_root.into(), Some(permanent("kernel.unprivileged_userns_clone=1")));
    }
    if signs.apparmor == Some(1) && !signs.root {
        return (words.host_restricted_by_apparmor.into(), Some(profile(&signs.binary)));
    }
    match refusal.errno {
        libc::EPERM if signs.filtered => (
            words.host_forbidden_by_seccomp.into(),
            Some(place(words.host_start_with, &[("option", "seccomp=unconfined")])),
        ),
        libc::EPERM => (words.host_refused_silently.into(), None),
        libc::EACCES => (words.host_refused_by_module.into(), Some(words.host_look_for_denial.into())),
        libc::EINVAL | libc::ENOSYS => (words.host_no_user_namespaces.into(), None),
        _ => (refusal.what.clone(), None),
    }
}

/// Returns the commands for an AppArmor profile that lets this program create user namespaces.
fn profile(binary: &str) -> String {
    format!(
        "sudo tee /etc/apparmor.d/minirun <<'END'\n\
         abi <abi/4.0>,\n\
         include <tunables/global>\n\
         profile minirun \"{binary}\" flags=(unconfined) {{\n  userns,\n}}\n\
         END\n\
         sudo apparmor_parser -r /etc/apparmor.d/minirun"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::words::Language;

    fn found(errno: i32, signs: HostSigns) -> String {
        explain(&Refusal { errno, what: "unshare".into() }, &signs, Language::English.words()).0
    }

    #[test]
    fn refusals_that_look_alike_are_told_apart() {
        let on = |change: fn(&mut HostSigns)| {
            let mut signs = HostSigns { limit: Some(15000), ..HostSigns::default() };
            change(&mut signs);
            signs
        };
        assert!(found(libc::ENOSPC, on(|s| s.limit = Some(0))).contains("max_user_namespaces is 0"));
        assert!(found(libc::ENOSPC, on(|_| ())).contains("all used up"));
        assert!(found(libc::EPERM, on(|s| s.unprivileged = Some(0))).contains("unprivileged_userns_clone"));
        assert!(found(libc::EACCES, on(|s| s.apparmor = Some(1))).contains("AppArmor"));
        assert!(found(libc::EPERM, on(|s| s.apparmor = Some(1))).contains("AppArmor"));
        assert!(found(libc::EPERM, on(|s| s.filtered = true)).contains("seccomp"));
        assert!(found(libc::EPERM, on(|_| ())).contains("chroot"));
        assert!(found(libc::EACCES, on(|_| ())).contains("security module"));
    }

    #[test]
    fn what_restricts_others_is_not_held_against_root() {
        let signs =
            HostSigns { unprivileged: Some(0), apparmor: Some(1), filtered: true, root: true, ..HostSigns::default() };
        assert!(found(libc::EPERM, signs).contains("seccomp"));
    }
}
