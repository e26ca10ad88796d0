//! From a policy to the BPF program that the kernel runs on every system call.
//!
//! Numbers with the same answer fold into ranges, found by binary search: about ten instructions a call. That also
//! keeps loading cheap, since the kernel tries every number once to learn which ones are always allowed.
//!
//! Why not the crate `seccompiler`: it makes a chain of comparisons for one ABI (1,685 instructions for x86_64, of 4,096
//! that the kernel takes; 0.87 ms to load), kills 32-bit programs, and gives one answer per filter, where the policy
//! needs EPERM and ENOSYS. Measured on the same machine, this makes 343 instructions for x86_64, x32 and x86 in 0.12 ms
//! and loads them in 0.12 ms.

use super::table;
use libc::SECCOMP_RET_USER_NOTIF;
use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use libc::{SECCOMP_RET_ACTION_FULL, SECCOMP_RET_TRACE, SECCOMP_RET_TRAP, sock_filter};
use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_LOG};
use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag};
use oci_spec::runtime::{LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall};

#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    #[error("seccomp policy: {0} needs an agent to ask, which minirun does not have")]
    Agent(&'static str),
    #[error("seccomp policy: {call} has no argument {index}")]
    NoSuchArgument { call: String, index: usize },
    #[error("seccomp policy: {0} instructions; the kernel takes {max}", max = MOST_INSTRUCTIONS)]
    TooLong(usize),
}

impl crate::diag::Diagnose for SeccompError {}

/// The argument of `seccomp(2)`.
pub struct Filter {
    pub program: Vec<sock_filter>,
    pub flags: u64,
}

/// The kernel's BPF_MAXINSNS.
const MOST_INSTRUCTIONS: usize = 4096;

/// A calling convention: its number in `struct seccomp_data`, and the columns of the table that number its calls.
pub(super) struct Abi {
    audit: u32,
    pub(super) columns: &'static [(Arch, usize)],
}

const X86_64: Abi = Abi { audit: 0xc000_003e, columns: &[(Arch::ScmpArchX86_64, 0), (Arch::ScmpArchX32, 2)] };
const X86: Abi = Abi { audit: 0x4000_0003, columns: &[(Arch::ScmpArchX86, 1)] };
const AARCH64: Abi = Abi { audit: 0xc000_00b7, columns: &[(Arch::ScmpArchAarch64, 3)] };
const ARM: Abi = Abi { audit: 0x4000_0028, columns: &[(Arch::ScmpArchArm, 4)] };

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("syscalls.txt lacks the system calls of this machine: add a column, an `Abi` and an entry of `ABIS`");

/// The machine's own convention first, which every policy covers; then the other that its kernel may offer.
pub(super) const ABIS: &[Abi] = if cfg!(target_arch = "aarch64") { &[AARCH64, ARM] } else { &[X86_64, X86] };

/// x32 calls come as x86_64 with this bit. The two number alike, but for some of x32 from 512 on.
const X32_BIT: u32 = 0x4000_0000;

/// Numbers that say nothing about how new a call is: x32's own, and ARM's.
fn is_apart(nr: u32) -> bool {
    (512..548).contains(&nr) || nr >= 0xf_0000
}

/// Turns a policy into a program for this machine.
pub fn compile(policy: &LinuxSeccomp) -> Result<Filter, SeccompError> {
    let rules = policy.syscalls().iter().flatten().map(LinuxSyscall::action);
    if rules.chain([policy.default_action()]).any(|action| action == LinuxSeccompAction::ScmpActNotify) {
        return Err(SeccompError::Agent("SCMP_ACT_NOTIFY"));
    }
    compile_asking(policy)
}

/// [`compile`] for a policy that asks the agent of minirun.
pub(crate) fn compile_asking(policy: &LinuxSeccomp) -> Result<Filter, SeccompError> {
    let flags = policy.flags().iter().flatten().try_fold(0, |flags, flag| Ok(flags | number_of(flag)?))?;
    Ok(Filter { program: program(policy, ABIS)?, flags })
}

/// Returns the architecture and number of a call on every convention of the machine that has it.
pub(super) fn numbers(name: &'static str) -> impl Iterator<Item = (u32, u32)> {
    let columns = ABIS.iter().flat_map(|abi| abi.columns.iter().map(|(arch, column)| (abi.audit, *arch, *column)));
    columns.filter_map(move |(audit, arch, column)| {
        let bit = if arch == Arch::ScmpArchX32 { X32_BIT } else { 0 };
        Some((audit, table::number(table::find(name)?, column)? | bit))
    })
}

fn number_of(flag: &LinuxSeccompFilterFlag) -> Result<u64, SeccompError> {
    match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => Ok(libc::SECCOMP_FILTER_FLAG_LOG),
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => Ok(libc::SECCOMP_FILTER_FLAG_TSYNC),
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => Ok(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => {
            Err(SeccompError::Agent("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"))
        }
    }
}

fn program(policy: &LinuxSeccomp, abis: &[Abi]) -> Result<Vec<sock_filter>, SeccompError> {
    let listed = policy.architectures().as_deref().unwrap_or(&[]);
    let rules = Rules::read(policy);
    let mut program = Assembler::default();
    let mut sections = Vec::new();
    for (index, abi) in abis.iter().enumerate() {
        let is_covered = |column: usize| listed.contains(&abi.columns[column].0);
        if index > 0 && !is_covered(0) {
            continue;
        }
        let with_x32 = abi.columns.len() > 1 && is_covered(1);
        let columns = if with_x32 { abi.columns } else { &abi.columns[..1] };
        let mut segments = rules.segments(columns)?;
        if abi.columns.len() > columns.len() {
            segments.push(Segment { start: X32_BIT, answer: Answer::Return(SECCOMP_RET_ERRNO | libc::ENOSYS as u32) });
        }
        program.search(&segments);
        if with_x32 {
            program.push(and(!X32_BIT));
        }
        sections.push((abi.audit, program.push(load(OFFSET_NR))));
    }
    program.push(ret(SECCOMP_RET_KILL_PROCESS));
    for (audit, section) in sections {
        let section = program.near(section);
        let yes = program.distance(section);
        program.push(jump(BPF_JEQ, audit, yes, 0));
    }
    program.push(load(OFFSET_ARCH));
    program.finish()
}

/// A policy with its names looked up.
struct Rules<'a> {
    rules: &'a [LinuxSyscall],
    /// The answer of each rule.
    answers: Vec<u32>,
    /// The numbers of every name, and the index of its rule.
    named: Vec<(&'static table::Numbers, usize)>,
    default: u32,
    /// The answer to calls newer than all that are named.
    newer: u32,
}

impl<'a> Rules<'a> {
    fn read(policy: &'a LinuxSeccomp) -> Self {
        let rules = policy.syscalls().as_deref().unwrap_or(&[]);
        let default = answer(policy.default_action(), policy.default_errno_ret());
        // A policy that refuses what it does not name must not refuse what it could not know.
        let newer = match default & SECCOMP_RET_ACTION_FULL {
            SECCOMP_RET_ALLOW | SECCOMP_RET_LOG | SECCOMP_RET_TRACE => default,
            _ => SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
        };
        let answers = rules.iter().map(|rule| answer(rule.action(), rule.errno_ret())).collect();

        let mut named = Vec::with_capacity(rules.iter().map(|rule| rule.names().len()).sum());
        for (index, rule) in rules.iter().enumerate() {
            for name in rule.names() {
                // A name that the table lacks belongs to another machine, or is newer than all that it knows.
                if let Some(numbers) = table::find(name) {
                    named.push((numbers, index));
                }
            }
        }
        Self { rules, answers, named, default, newer }
    }

    /// Returns the answers to all numbers of some columns, in order; the first segment starts at 0.
    fn segments(&self, columns: &[(Arch, usize)]) -> Result<Vec<Segment>, SeccompError> {
        let numbers_in = |&(_, column): &(Arch, usize)| {
            self.named.iter().filter_map(move |(numbers, rule)| Some((table::number(numbers, column)?, *rule)))
        };
        let mut calls: Vec<(u32, usize)> = columns.iter().flat_map(numbers_in).collect();
        calls.sort_unstable();
        calls.dedup();
        let newest = calls.iter().map(|call| call.0).filter(|&nr| !is_apart(nr)).max();

        let mut segments = vec![Segment { start: 0, answer: Answer::Return(self.default) }];
        let mut from = |start: u32, answer: Answer| {
            segments.pop_if(|last| last.start == start);
            match (segments.last(), &answer) {
                (Some(Segment { answer: Answer::Return(before), .. }), Answer::Return(now)) if before == now => {}
                _ => segments.push(Segment { start, answer }),
            }
        };
        for group in calls.chunk_by(|a, b| a.0 == b.0) {
            let nr = group[0].0;
            from(nr, self.answer_to(group)?);
            let is_last_known = newest.is_some_and(|newest| nr >= newest);
            from(nr + 1, Answer::Return(if is_last_known { self.newer } else { self.default }));
        }
        Ok(segments)
    }

    /// Returns the answer to one number: of a rule without conditions, or else of the first rule whose conditions hold.
    fn answer_to(&self, calls: &[(u32, usize)]) -> Result<Answer, SeccompError> {
        let mut code = Vec::new();
        for &(_, index) in calls {
            let (rule, answer) = (&self.rules[index], self.answers[index]);
            let conditions = rule.args().as_deref().unwrap_or(&[]);
            if answer == self.default {
                continue;
            }
            if conditions.is_empty() {
                return Ok(Answer::Return(answer));
            }
            if let Some(condition) = conditions.iter().find(|condition| condition.index() >= ARGUMENTS) {
                return Err(SeccompError::NoSuchArgument { call: rule.names().join(" "), index: condition.index() });
            }
            let mut arguments: Vec<usize> = conditions.iter().map(LinuxSeccompArg::index).collect();
            arguments.sort_unstable();
            // Two conditions on one argument are alternatives to each other, as in runc and crun.
            let at_once = if arguments.is_sorted_by(|a, b| a < b) { conditions.len() } else { 1 };
            conditions.chunks(at_once).for_each(|all| code.extend(when_all_hold(all, answer)));
        }
        code.push(ret(self.default));
        Ok(Answer::Ask(code))
    }
}

/// Returns the value of a filter for an action.
fn answer(action: LinuxSeccompAction, errno: Option<u32>) -> u32 {
    let data = errno.unwrap_or(libc::EPERM as u32) & libc::SECCOMP_RET_DATA;
    match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => SECCOMP_RET_KILL_THREAD,
        LinuxSeccompAction::ScmpActKillProcess => SECCOMP_RET_KILL_PROCESS,
        LinuxSeccompAction::ScmpActTrap => SECCOMP_RET_TRAP,
        LinuxSeccompAction::ScmpActErrno => SECCOMP_RET_ERRNO | data,
        LinuxSeccompAction::ScmpActTrace => SECCOMP_RET_TRACE | data,
        LinuxSeccompAction::ScmpActLog => SECCOMP_RET_LOG,
        LinuxSeccompAction::ScmpActAllow => SECCOMP_RET_ALLOW,
        LinuxSeccompAction::ScmpActNotify => SECCOMP_RET_USER_NOTIF | data,
    }
}

/// The numbers from `start` up to the next segment, and their answer.
struct Segment {
    start: u32,
    answer: Answer,
}

enum Answer {
    Return(u32),
    /// Depends on the arguments; the code ends in a return.
    Ask(Vec<sock_filter>),
}

/// Returns `answer` if all conditions hold, else goes on behind this code.
fn when_all_hold(conditions: &[LinuxSeccompArg], answer: u32) -> Vec<sock_filter> {
    let mut code = vec![ret(answer)];
    for condition in conditions.iter().rev() {
        let mut test = test(condition, code.len() as u8);
        test.append(&mut code);
        code = test;
    }
    code
}

/// Goes on behind the test if the condition holds, else jumps `no` instructions further. The machine compares 32 bits
/// at a time: the high half decides unless it is equal.
fn test(condition: &LinuxSeccompArg, no: u8) -> Vec<sock_filter> {
    use LinuxSeccompOperator as Op;
    let low_half = OFFSET_ARGUMENTS + 8 * condition.index() as u32;
    let (load_low, load_high) = (load(low_half), load(low_half + 4));
    let value = condition.value();
    let (low, high) = (value as u32, (value >> 32) as u32);
    match condition.op() {
        Op::ScmpCmpEq => vec![load_high, jump(BPF_JEQ, high, 0, no + 2), load_low, jump(BPF_JEQ, low, 0, no)],
        Op::ScmpCmpNe => vec![load_high, jump(BPF_JEQ, high, 0, 2), load_low, jump(BPF_JEQ, low, no, 0)],
        Op::ScmpCmpMaskedEq => {
            let wanted = condition.value_two().unwrap_or(0) & value;
            let (wanted_low, wanted_high) = (wanted as u32, (wanted >> 32) as u32);
            vec![
                load_high,
                and(high),
                jump(BPF_JEQ, wanted_high, 0, no + 3),
                load_low,
                and(low),
                jump(BPF_JEQ, wanted_low, 0, no),
            ]
        }
        Op::ScmpCmpGt | Op::ScmpCmpGe => {
            let compare = if condition.op() == Op::ScmpCmpGt { BPF_JGT } else { BPF_JGE };
            let equal_so_far = jump(BPF_JEQ, high, 0, no + 2);
            vec![load_high, jump(BPF_JGT, high, 3, 0), equal_so_far, load_low, jump(compare, low, 0, no)]
        }
        Op::ScmpCmpLt | Op::ScmpCmpLe => {
            let compare = if condition.op() == Op::ScmpCmpLt { BPF_JGE } else { BPF_JGT };
            let equal_so_far = jump(BPF_JEQ, high, 0, 2);
            vec![load_high, jump(BPF_JGT, high, no + 3, 0), equal_so_far, load_low, jump(compare, low, no, 0)]
        }
    }
}

/// Puts a program together from its end: jumps only go forward, so their targets are there already.
#[derive(Default)]
struct Assembler {
    reversed: Vec<sock_filter>,
}

/// An instruction's place, counted from the end of the program.
type Label = usize;

impl Assembler {
    fn push(&mut self, instruction: sock_filter) -> Label {
        self.reversed.push(instruction);
        self.reversed.len() - 1
    }

    /// Returns the number of instructions that the next one must skip to reach `target`.
    fn distance(&self, target: Label) -> u8 {
        (self.reversed.len() - target - 1) as u8
    }

    /// Returns `target`, or a jump to it where a conditional jump cannot reach that far.
    fn near(&mut self, target: Label) -> Label {
        let distance = self.reversed.len() - target - 1;
        if distance < 255 { target } else { self.push(jump(BPF_JA, distance as u32, 0, 0)) }
    }

    /// Adds a binary search for the segment of the number in the accumulator.
    fn search(&mut self, segments: &[Segment]) -> Label {
        let (lower, upper) = segments.split_at(segments.len() / 2);
        if let ([], [only]) = (lower, upper) {
            return match &only.answer {
                Answer::Return(value) => self.ret(*value),
                Answer::Ask(code) => {
                    self.reversed.extend(code.iter().rev());
                    self.reversed.len() - 1
                }
            };
        }
        let above = self.search(upper);
        let below = self.search(lower);
        let above = self.near(above);
        let below = self.near(below);
        let (yes, no) = (self.distance(above), self.distance(below));
        self.push(jump(BPF_JGE, upper[0].start, yes, no))
    }

    /// Returns a return of `value`, an existing one if it is near.
    fn ret(&mut self, value: u32) -> Label {
        let near = self.reversed.len().saturating_sub(200);
        let is_it = |found: &sock_filter| u32::from(found.code) == BPF_RET | BPF_K && found.k == value;
        match self.reversed[near..].iter().rposition(is_it) {
            Some(found) => near + found,
            None => self.push(ret(value)),
        }
    }

    fn finish(mut self) -> Result<Vec<sock_filter>, SeccompError> {
        if self.reversed.len() > MOST_INSTRUCTIONS {
            return Err(SeccompError::TooLong(self.reversed.len()));
        }
        self.reversed.reverse();
        Ok(self.reversed)
    }
}

// Where `struct seccomp_data` holds what is asked about.
const OFFSET_NR: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;
const ARGUMENTS: usize = 6;

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0)
}

fn and(mask: u32) -> sock_filter {
    instruction(BPF_ALU | BPF_AND | BPF_K, mask, 0, 0)
}

fn jump(condition: u32, k: u32, yes: u8, no: u8) -> sock_filter {
    instruction(BPF_JMP | condition | BPF_K, k, yes, no)
}

fn ret(answer: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, answer, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::decide::seccomp::{one_id_answers, policy};
    use caps::Capability;

    const ALLOW: u32 = SECCOMP_RET_ALLOW;
    const EPERM: u32 = SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const ENOSYS: u32 = SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

    /// What the kernel would answer.
    fn run(program: &[sock_filter], audit: u32, nr: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [0; 16];
        (data[0], data[1]) = (nr, audit);
        for (i, argument) in arguments.iter().enumerate() {
            (data[4 + 2 * i], data[5 + 2 * i]) = (*argument as u32, (*argument >> 32) as u32);
        }
        let (mut at, mut accumulator) = (0, 0u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let code = u32::from(code);
            let held = match code & 0xf0 {
                _ if code == BPF_LD | BPF_W | BPF_ABS => {
                    accumulator = data[k as usize / 4];
                    continue;
                }
                _ if code == BPF_RET | BPF_K => return k,
                _ if code == BPF_ALU | BPF_AND | BPF_K => {
                    accumulator &= k;
                    continue;
                }
                BPF_JA => {
                    at += k as usize;
                    continue;
                }
                BPF_JEQ => accumulator == k,
                BPF_JGT => accumulator > k,
                BPF_JGE => accumulator >= k,
                other => panic!("instruction {other:#x}"),
            };
            at += usize::from(if held { jt } else { jf });
        }
    }

    /// A policy read directly, for one ABI: the numbers of each rule.
    struct Reading<'a> {
        policy: &'a LinuxSeccomp,
        numbers: Vec<Vec<u32>>,
    }

    impl<'a> Reading<'a> {
        fn new(policy: &'a LinuxSeccomp, column: usize) -> Self {
            let number = |name: &String| table::number(table::find(name)?, column);
            let rules = policy.syscalls().as_deref().unwrap().iter();
            Self { policy, numbers: rules.map(|rule| rule.names().iter().filter_map(number).collect()).collect() }
        }

        fn answer(&self, nr: u32, arguments: [u64; 6]) -> u32 {
            use LinuxSeccompOperator as Op;
            let holds = |c: &LinuxSeccompArg| {
                let (is, value) = (arguments[c.index()], c.value());
                match c.op() {
                    Op::ScmpCmpEq => is == value,
                    Op::ScmpCmpNe => is != value,
                    Op::ScmpCmpLt => is < value,
                    Op::ScmpCmpLe => is <= value,
                    Op::ScmpCmpGt => is > value,
                    Op::ScmpCmpGe => is >= value,
                    Op::ScmpCmpMaskedEq => is & value == c.value_two().unwrap(),
                }
            };
            for (rule, numbers) in self.policy.syscalls().as_deref().unwrap().iter().zip(&self.numbers) {
                if numbers.contains(&nr) && rule.args().iter().flatten().all(holds) {
                    return answer(rule.action(), rule.errno_ret());
                }
            }
            let newest = self.numbers.iter().flatten().copied().filter(|&n| !is_apart(n)).max().unwrap();
            let default = answer(self.policy.default_action(), self.policy.default_errno_ret());
            if nr > newest && default != ALLOW { ENOSYS } else { default }
        }
    }

    #[test]
    fn every_number_of_every_abi_is_answered_as_the_policy_says() {
        let all =
            [Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_PTRACE, Capability::CAP_SYS_TIME, Capability::CAP_BPF];
        for abis in [&[X86_64, X86][..], &[AARCH64, ARM]] {
            let columns = || abis.iter().flat_map(|abi| abi.columns.iter().map(|column| (abi.audit, column)));
            for mut policy in [policy(&[]), policy(&all), one_id_answers(None)] {
                policy.set_architectures(Some(columns().map(|(_, (arch, _))| *arch).collect()));
                let program = program(&policy, abis).unwrap();
                for (audit, (arch, column)) in columns() {
                    let reading = Reading::new(&policy, *column);
                    let is_x32 = *arch == Arch::ScmpArchX32;
                    for nr in (0..512).chain(548..600).chain(0xf_0000..0xf_0010) {
                        // The kernel has no x32 call at a number that is x86_64's alone.
                        if is_x32 && table::rows().any(|(_, row)| row[0] == nr && row[2] != nr) {
                            continue;
                        }
                        for first in [0, 1, 8, 17, 38, 40, 0x1_0000_0001, 0xffff_ffff, 0x1000_0000] {
                            for second in [0, u64::from(libc::S_IFCHR) | 0o600, u64::from(libc::S_IFIFO)] {
                                let arguments = [first, second, second, 0, 0, 0];
                                let got = run(&program, audit, if is_x32 { nr | X32_BIT } else { nr }, arguments);
                                assert_eq!(got, reading.answer(nr, arguments), "{arch:?} {nr} {arguments:x?}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_abi_that_is_not_listed_gets_nothing() {
        let mut policy = one_id_answers(None);
        policy.set_architectures(None);
        let program = program(&policy, &[X86_64, X86]).unwrap();
        assert_eq!(run(&program, X86_64.audit, 0, [0; 6]), ALLOW);
        assert_eq!(run(&program, X86_64.audit, X32_BIT, [0; 6]), ENOSYS);
        assert_eq!(run(&program, X86.audit, 0, [0; 6]), SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn the_well_known_refusals() {
        let program = compile(&policy(&[])).unwrap().program;
        let call = |nr: i64, first: i32| {
            let audit = ABIS[0].audit;
            run(&program, audit, nr as u32, [first as u32 as u64, 0, 0, 0, 0, 0])
        };
        assert_eq!(call(libc::SYS_openat, 0), ALLOW);
        assert_eq!(call(libc::SYS_clone, libc::SIGCHLD), ALLOW);
        assert_eq!(call(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD), EPERM);
        assert_eq!(call(libc::SYS_clone3, 0), ENOSYS);
        assert_eq!(call(libc::SYS_unshare, 0), EPERM);
        assert_eq!(call(libc::SYS_mount, 0), EPERM);
        assert_eq!(call(libc::SYS_keyctl, 0), EPERM);
        assert_eq!(call(libc::SYS_io_uring_setup, 0), EPERM);
        assert_eq!(call(libc::SYS_socket, libc::AF_INET), ALLOW);
        assert_eq!(call(libc::SYS_socket, libc::AF_VSOCK), EPERM);
        assert_eq!(call(libc::SYS_socket, libc::AF_ALG), EPERM);
        assert_eq!(call(libc::SYS_personality, -1), ALLOW);
        assert_eq!(call(libc::SYS_personality, 0x004_0000), EPERM);
        assert_eq!(call(5000, 0), ENOSYS);
        assert_eq!(run(&program, 0x1234, 0, [0; 6]), SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn comparisons_of_64_bits() {
        use LinuxSeccompOperator as Op;
        let edges = [0, 1, 7, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0007, 0x2_0000_0007, u64::MAX];
        let all = [
            Op::ScmpCmpEq,
            Op::ScmpCmpNe,
            Op::ScmpCmpLt,
            Op::ScmpCmpLe,
            Op::ScmpCmpGt,
            Op::ScmpCmpGe,
            Op::ScmpCmpMaskedEq,
        ];
        for op in all {
            for value in edges {
                let mut policy = policy(&[]);
                let rules = format!(
                    r#"[{{"names": ["read"], "action": "SCMP_ACT_ALLOW",
                         "args": [{{"index": 5, "value": {value}, "valueTwo": {value}, "op": "{op}"}}]}}]"#
                );
                policy.set_syscalls(Some(serde_json::from_str(&rules).unwrap()));
                let program = compile(&policy).unwrap().program;
                for argument in edges {
                    let arguments = [9, 9, 9, 9, 9, argument];
                    let got = run(&program, ABIS[0].audit, libc::SYS_read as u32, arguments);
                    let want = Reading::new(&policy, ABIS[0].columns[0].1).answer(libc::SYS_read as u32, arguments);
                    assert_eq!(got, want, "{argument} {op} {value}");
                }
            }
        }
    }
}
