//! `--chmod`: modes in octal, or as symbolic changes of a file's mode (chmod(1)).

/// An octal mode, or changes to the mode that a file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chmod {
    Octal(u32),
    Letters(Vec<Change>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The bits of `u`, `g` and `o` that it changes.
    who: u32,
    how: How,
    permissions: Permissions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Add,
    Remove,
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permissions {
    Bits {
        bits: u32,
        /// `X`: execution of directories, and of files that somebody may execute already.
        execute_too: bool,
    },
    /// The bits that `u`, `g` or `o` has, as their shift from the lowest bits.
    Like(u32),
}

const USER: u32 = 0o4700;
const GROUP: u32 = 0o2070;
const OTHERS: u32 = 0o0007;
const STICKY: u32 = 0o1000;
const EXECUTE: u32 = 0o111;

impl Chmod {
    /// Parses a mode. `None`: it is invalid.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).map(Self::Octal);
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            let operators = clause.find(['+', '-', '='])?;
            let (who, rest) = clause.split_at(operators);
            let named = who.chars().try_fold(0, |bits, c| {
                Some(
                    bits | match c {
                        'u' => USER,
                        'g' => GROUP,
                        'o' => OTHERS,
                        'a' => USER | GROUP | OTHERS,
                        _ => return None,
                    },
                )
            })?;
            // Without a class, the change is for all of them: a build has no umask.
            let mut who = if named == 0 { USER | GROUP | OTHERS } else { named };
            if who != OTHERS {
                who |= STICKY;
            }
            let mut characters = rest.chars();
            while let Some(operator) = characters.next() {
                let how = match operator {
                    '+' => How::Add,
                    '-' => How::Remove,
                    _ => How::Set,
                };
                let after = characters.as_str();
                let (letters, next) = after.split_at(after.find(['+', '-', '=']).unwrap_or(after.len()));
                changes.push(Change { who, how, permissions: permissions(letters)? });
                characters = next.chars();
            }
        }
        Some(Self::Letters(changes))
    }

    /// Returns the new mode of a file.
    pub(crate) fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let changes = match self {
            Self::Octal(mode) => return *mode,
            Self::Letters(changes) => changes,
        };
        let may_execute = is_directory || mode & EXECUTE != 0;
        changes.iter().fold(mode, |mode, change| {
            let bits = match change.permissions {
                Permissions::Bits { bits, execute_too } => bits | if execute_too && may_execute { EXECUTE } else { 0 },
                Permissions::Like(shift) => (mode >> shift & 7) * EXECUTE,
            };
            let bits = bits & change.who;
            match change.how {
                How::Add => mode | bits,
                How::Remove => mode & !bits,
                // The sticky bit belongs to no class.
                How::Set => mode & !(change.who & !STICKY) | bits,
            }
        })
    }
}

fn permissions(letters: &str) -> Option<Permissions> {
    match letters {
        "u" => return Some(Permissions::Like(6)),
        "g" => return Some(Permissions::Like(3)),
        "o" => return Some(Permissions::Like(0)),
        _ => {}
    }
    let (mut bits, mut execute_too) = (0, false);
    for letter in letters.chars() {
        match letter {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= EXECUTE,
            'X' => execute_too = true,
            's' => bits |= 0o6000,
            't' => bits |= STICKY,
            _ => return None,
        }
    }
    Some(Permissions::Bits { bits, execute_too })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn changed(text: &str, mode: u32, is_directory: bool) -> String {
        format!("{:o}", Chmod::parse(text).unwrap().apply(mode, is_directory))
    }

    #[test]
    fn as_chmod_reads_them() {
        for (text, file, result) in [
            ("755", 0o600, "755"),
            ("0644", 0o600, "644"),
            ("4755", 0o600, "4755"),
            ("+x", 0o644, "755"),
            ("u+x", 0o644, "744"),
            ("u=rwX,go=rX", 0o600, "644"),
            ("u=rwX,go=rX", 0o700, "755"),
            ("a-w", 0o666, "444"),
            ("go=", 0o755, "700"),
            ("g=u", 0o640, "660"),
            ("o=g-w", 0o660, "664"),
            ("u+s,g+s,+t", 0o755, "7755"),
            ("o+s", 0o755, "755"),
            ("u=rw", 0o4755, "655"),
            ("u-x+X", 0o700, "700"),
        ] {
            assert_eq!(changed(text, file, false), result, "{text} of {file:o}");
        }
        assert_eq!(changed("u=rwX,go=rX", 0o600, true), "755");
        for wrong in ["", "9", "77777", "rwx", "u", "z+x", "u+y", "u=rw,", "+ux"] {
            assert_eq!(Chmod::parse(wrong), None, "{wrong}");
        }
    }
}
