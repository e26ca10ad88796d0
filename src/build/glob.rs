//! Patterns of paths: those of COPY (as Go's `filepath.Match`) and those of `.dockerignore`, which know `**` too.

/// A pattern, compiled.
#[derive(Debug, Clone)]
pub struct Glob(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    /// `**`: anything.
    Deep,
    /// `**/`: nothing, or any number of directories.
    Directories,
    /// `*`: anything within a name.
    Any,
    /// `?`
    One,
    /// `[a-z]`
    Set {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
    Exactly(char),
}

/// Whether a path has a pattern in it at all.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

impl Glob {
    /// `None`: a `[` is never closed.
    pub fn new(text: &str) -> Option<Self> {
        let mut chars = text.chars().peekable();
        let mut pieces = Vec::new();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '*' if chars.peek() == Some(&'*') => {
                    while chars.next_if_eq(&'*').is_some() {}
                    if chars.next_if_eq(&'/').is_some() { Piece::Directories } else { Piece::Deep }
                }
                '*' => Piece::Any,
                '?' => Piece::One,
                '[' => {
                    let negated = chars.next_if(|c| matches!(c, '^' | '!')).is_some();
                    let mut ranges = Vec::new();
                    loop {
                        let mut low = chars.next()?;
                        if low == ']' && !ranges.is_empty() {
                            break;
                        }
                        if low == '\\' {
                            low = chars.next()?;
                        }
                        let mut high = low;
                        if chars.next_if_eq(&'-').is_some() {
                            high = chars.next()?;
                        }
                        ranges.push((low, high));
                    }
                    Piece::Set { ranges, negated }
                }
                '\\' => Piece::Exactly(chars.next().unwrap_or('\\')),
                c => Piece::Exactly(c),
            });
        }
        Some(Self(pieces))
    }

    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        // Which beginnings of the text the pieces so far match.
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for piece in &self.0 {
            let mut next = vec![false; text.len() + 1];
            let mut behind = false;
            for at in 0..=text.len() {
                let one = |fits: &dyn Fn(char) -> bool| at > 0 && reached[at - 1] && fits(text[at - 1]);
                next[at] = match piece {
                    Piece::Deep => reached[at] || (at > 0 && next[at - 1]),
                    Piece::Directories => {
                        let here = reached[at] || (behind && text[at - 1] == '/');
                        behind |= reached[at];
                        here
                    }
                    Piece::Any => reached[at] || (at > 0 && next[at - 1] && text[at - 1] != '/'),
                    Piece::One => one(&|c| c != '/'),
                    Piece::Set { ranges, negated } => {
                        one(&|c| c != '/' && ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated)
                    }
                    Piece::Exactly(wanted) => one(&|c| c == *wanted),
                };
            }
            reached = next;
        }
        reached[text.len()]
    }
}

/// A path without `.`, `..` and doubled slashes, relative to where it begins; `..` never leads above that.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What a `.dockerignore` says of paths.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    /// In order, the last one that matches decides; `true`: it brings back.
    rules: Vec<(Glob, bool)>,
}

impl Ignore {
    pub fn parse(text: &str) -> Self {
        let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().filter(|line| !line.starts_with('#'));
        let rule = |line: &str| {
            let line = line.trim();
            let (brings_back, line) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let cleaned = clean(line);
            // `.` alone means everything.
            let pattern = if cleaned.is_empty() && !line.is_empty() { "**" } else { &cleaned };
            Some((Glob::new(pattern).filter(|_| !pattern.is_empty())?, brings_back))
        };
        Self { rules: lines.filter_map(rule).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Of a path relative to the context. What lies in an ignored directory is ignored with it.
    pub fn ignores(&self, path: &str) -> bool {
        if path.is_empty() {
            return false;
        }
        let mut ignored = false;
        for (glob, brings_back) in &self.rules {
            if ignored == *brings_back && self.matches_here_or_above(glob, path) {
                ignored = !brings_back;
            }
        }
        ignored
    }

    fn matches_here_or_above(&self, glob: &Glob, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.into_iter().any(|end| glob.matches(&path[..end]))
    }

    /// Whether nothing in an ignored directory can be brought back, so that nobody need look.
    pub fn is_final(&self) -> bool {
        !self.rules.iter().any(|(_, brings_back)| *brings_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_as_docker_matches_them() {
        let ignores = |text: &str, path: &str| Ignore::parse(text).ignores(path);
        for (text, path) in [
            ("*.md", "README.md"),
            ("node_modules", "node_modules/a/b"),
            ("/build/", "build"),
            ("**/*.o", "a/b/c.o"),
            ("**/*.o", "c.o"),
            ("a/**", "a/b/c"),
            ("**", "x/y"),
            (".", "x"),
            ("a/*/c", "a/b/c"),
            ("[a-c]?z", "bxz"),
            ("*\n!keep", "other"),
            ("*\n!docs\ndocs/secret", "docs/secret"),
            ("  spaced  ", "spaced"),
            ("a/../b", "b"),
        ] {
            assert!(ignores(text, path), "{text:?} must ignore {path}");
        }
        for (text, path) in [
            ("*.md", "docs/README.md"),
            ("*\n!keep", "keep/x"),
            ("*.md\n!README.md", "README.md"),
            ("#x", "#x"),
            ("a/*/c", "a/b/d/c"),
            ("**/foo", "xfoo"),
            ("a", "ab"),
            ("a?c", "a/c"),
            ("", "x"),
        ] {
            assert!(!ignores(text, path), "{text:?} must not ignore {path}");
        }
    }

    #[test]
    fn paths_stay_beneath_their_root() {
        assert_eq!((clean("/a//./b/"), clean("../../a"), clean("a/..")), ("a/b".into(), "a".into(), String::new()));
    }
}
