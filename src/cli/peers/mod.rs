//! What Docker and Podman call things, and what to type here where minirun has no such name. Read only to answer a mistake, and by
//! the test that writes docs/compatibility.md.

/// `who | command, other names | flags`; a flag is `long` or `short,long`.
const NAMES: &str = include_str!("names.txt");
/// `command: sentence` or `command --flag: sentence`; `*` is any command.
const ADVICE: &str = include_str!("advice.txt");

/// A command of Docker or Podman.
pub struct Peer {
    /// `docker` or `podman`.
    pub who: &'static str,
    /// The shortest name first.
    pub names: Vec<&'static str>,
    pub flags: Vec<Flag>,
}

/// A flag of such a command.
pub struct Flag {
    pub short: Option<char>,
    pub long: &'static str,
}

/// Returns the commands of both: where both have one, Docker's entry comes first, and Podman's holds what it adds.
pub fn peers() -> impl Iterator<Item = Peer> {
    entries(NAMES).filter_map(|line| {
        let mut fields = line.split('|').map(str::trim);
        let (who, names, flags) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Peer { who, names: names.split(", ").collect(), flags: flags.split_whitespace().map(flag).collect() })
    })
}

fn flag(text: &'static str) -> Flag {
    match text.split_once(',') {
        Some((short, long)) => Flag { short: short.chars().next(), long },
        None => Flag { short: None, long: text },
    }
}

/// Returns what to do instead of a command that minirun lacks. A group (`pod`) answers for all its commands (`pod create`).
pub fn advice_for_command(name: &str) -> Option<&'static str> {
    let group = name.split(' ').next().unwrap_or(name);
    advice(name).or_else(|| advice(group))
}

/// Returns what to do instead of a flag that a command lacks.
pub fn advice_for_flag(command: &str, long: &str) -> Option<&'static str> {
    let for_this = || advice(&format!("{command} --{long}"));
    for_this().or_else(|| advice(&format!("* --{long}"))).or_else(|| advice_for_command(command))
}

/// Returns in what a command or flag that minirun has differs from its namesake.
pub fn difference(subject: &str) -> Option<&'static str> {
    let line = entries(ADVICE).find_map(|line| line.strip_prefix("~ ")?.strip_prefix(subject)?.strip_prefix(": "));
    line.map(str::trim)
}

/// Returns every subject of the table of advice: `pod`, `run --gpus`; those of differences with `~ ` before them.
pub fn subjects() -> impl Iterator<Item = &'static str> {
    entries(ADVICE).filter_map(|line| line.split_once(": ")).map(|(subject, _)| subject)
}

fn advice(subject: &str) -> Option<&'static str> {
    entries(ADVICE).find_map(|line| line.strip_prefix(subject)?.strip_prefix(": ")).map(str::trim)
}

fn entries(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}
