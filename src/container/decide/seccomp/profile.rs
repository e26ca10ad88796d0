//! A seccomp profile of the caller's, as the policy of one container: its rules without those whose conditions do not hold.

use super::architectures;
use crate::container::request::{Condition, Profile, Rule};
use caps::Capability;
use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSyscall};

/// Returns the policy that a profile is for a container with these capabilities.
pub(crate) fn of_profile(profile: &Profile, capabilities: &[Capability]) -> LinuxSeccomp {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let around = Around { capabilities, kernel: version(&kernel) };
    let rules = profile.syscalls.iter().flatten().filter(|rule| around.has(rule)).map(rule).collect();
    let mut policy = LinuxSeccomp::default();
    policy
        .set_default_action(profile.default_action)
        .set_default_errno_ret(profile.default_errno_ret)
        .set_architectures(Some(machines(profile)))
        .set_flags(profile.flags.clone())
        .set_syscalls(Some(rules));
    policy
}

/// Returns the architectures of a profile; where it names none, those of the default policy.
fn machines(profile: &Profile) -> Vec<Arch> {
    let own = architectures();
    let map = profile.arch_map.iter().flatten().find(|map| Some(&map.architecture) == own.first());
    let mapped = map.map(|map| {
        let others = map.sub_architectures.iter().flatten().copied();
        std::iter::once(map.architecture).chain(others).collect()
    });
    mapped.or_else(|| profile.architectures.clone().filter(|all| !all.is_empty())).unwrap_or(own)
}

fn rule(rule: &Rule) -> LinuxSyscall {
    let names = rule.names.iter().chain(&rule.name).cloned().collect();
    let mut syscall = LinuxSyscall::default();
    let args = rule.args.clone().filter(|args| !args.is_empty());
    syscall.set_names(names).set_action(rule.action).set_errno_ret(rule.errno_ret).set_args(args);
    syscall
}

/// What conditions are about.
struct Around<'a> {
    capabilities: &'a [Capability],
    kernel: Vec<u32>,
}

impl Around<'_> {
    fn has(&self, rule: &Rule) -> bool {
        let excludes = rule.excludes.as_ref().unwrap_or(&NONE);
        let includes = rule.includes.as_ref().unwrap_or(&NONE);
        let is_excluded = excludes.caps.iter().any(|name| self.holds(name))
            || excludes.arches.iter().any(|arch| is_own(arch))
            || excludes.min_kernel.as_ref().is_some_and(|least| self.kernel >= version(least));
        let is_included = includes.caps.iter().all(|name| self.holds(name))
            && (includes.arches.is_empty() || includes.arches.iter().any(|arch| is_own(arch)))
            && includes.min_kernel.as_ref().is_none_or(|least| self.kernel >= version(least));
        is_included && !is_excluded
    }

    fn holds(&self, name: &str) -> bool {
        name.parse().is_ok_and(|capability| self.capabilities.contains(&capability))
    }
}

static NONE: Condition = Condition { caps: Vec::new(), arches: Vec::new(), min_kernel: None };

/// Whether Go's name of an architecture is one that this machine runs.
fn is_own(name: &str) -> bool {
    let own: &[&str] = if cfg!(target_arch = "aarch64") { &["arm64", "arm"] } else { &["amd64", "x32", "x86"] };
    own.contains(&name)
}

/// Returns the first two numbers of a kernel's version.
fn version(text: &str) -> Vec<u32> {
    text.split(|c: char| !c.is_ascii_digit()).take(2).filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::decide::seccomp::compile;

    const TEXT: &str = r#"{
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
                    {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}],
        "syscalls": [
            {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}, "excludes": {}},
            {"name": "write", "action": "SCMP_ACT_ALLOW", "args": null},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.0"}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]},
             "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["s390_pci_mmio_read"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390"]}}
        ]}"#;

    #[test]
    fn rules_hold_where_their_conditions_do() {
        let profile: Profile = serde_json::from_str(TEXT).unwrap();
        let names = |capabilities: &[Capability]| -> Vec<String> {
            let policy = of_profile(&profile, capabilities);
            compile(&policy).unwrap();
            policy.syscalls().iter().flatten().flat_map(|rule| rule.names().clone()).collect()
        };
        assert_eq!(names(&[]), ["read", "no_such_call", "write", "ptrace", "clone"]);
        assert_eq!(names(&[Capability::CAP_SYS_ADMIN]), ["read", "no_such_call", "write", "mount", "ptrace"]);
        let again: Profile = serde_json::from_str(&serde_json::to_string(&profile).unwrap()).unwrap();
        assert_eq!(again, profile);
        assert_eq!(version("6.12.0-rc1"), [6, 12]);
    }
}
