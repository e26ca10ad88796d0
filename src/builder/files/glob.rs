//! Path patterns: those of COPY and of `images` (as Go's `filepath.Match`) and those of `.dockerignore`, which also have
//! `**`. The time of a match is bounded by the pattern's length times the path's.

/// A pattern as text. It is parsed for each match, which costs no memory beyond the text.
#[derive(Debug, Clone)]
pub struct Glob {
    text: Box<str>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Plain text without special characters.
    Plain,
    /// `**` and plain text: as in moby, it matches the end of any path, also within a name.
    End,
    Pattern,
}

#[derive(Debug, Clone, Copy)]
enum Piece<'a> {
    /// `**` at the end matches anything.
    Deep,
    /// `**/`, or `**` before other text, matches any number of directories, or none.
    Directories,
    /// `*` matches anything within a name.
    Any,
    /// `?` matches one character of a name.
    One,
    /// `[a-z]`, without the brackets.
    Set(&'a str),
    Exactly(char),
}

/// Whether a path contains a pattern.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

impl Glob {
    /// Parses a pattern. `None`: a `[` is not closed.
    pub fn new(text: &str) -> Option<Self> {
        let mut rest = text;
        while !rest.is_empty() {
            rest = next_piece(rest)?.1;
        }
        let is_plain = |text: &str| !text.contains(['*', '?', '[', '\\']);
        let kind = match text.strip_prefix("**") {
            _ if is_plain(text) => Kind::Plain,
            Some(end) if is_plain(end) => Kind::End,
            _ => Kind::Pattern,
        };
        Some(Self { text: text.into(), kind })
    }

    pub fn matches(&self, path: &str) -> bool {
        match self.kind {
            Kind::Plain => *self.text == *path,
            Kind::End => {
                let end = self.text.strip_prefix("**").unwrap_or_default();
                path.ends_with(end) || end.strip_prefix('/') == Some(path)
            }
            Kind::Pattern => self.matches_pattern(path, false),
        }
    }

    /// Whether it matches the path or one of its parent directories.
    fn matches_here_or_above(&self, path: &str) -> bool {
        match self.kind {
            Kind::Pattern => self.matches_pattern(path, true),
            Kind::Plain | Kind::End => {
                let mut ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
                ends.any(|end| path.get(..end).is_some_and(|above| self.matches(above)))
            }
        }
    }

    fn matches_pattern(&self, path: &str, or_above: bool) -> bool {
        // Most patterns differ from most paths in the first character.
        let first = self.text.chars().next().filter(|c| !matches!(c, '*' | '?' | '[' | '\\'));
        if first.is_some_and(|first| !path.starts_with(first)) {
            return false;
        }
        let text: Vec<char> = path.chars().collect();
        // `reached[n]`: the pieces so far match the first n characters.
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        let mut pattern = &*self.text;
        while let Some((piece, rest)) = next_piece(pattern) {
            pattern = rest;
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
                    Piece::Set(set) => one(&|c| c != '/' && is_in(set, c)),
                    Piece::Exactly(wanted) => one(&|c| c == wanted),
                };
            }
            if !next.contains(&true) {
                return false;
            }
            reached = next;
        }
        reached[text.len()] || or_above && (0..text.len()).any(|at| reached[at] && text[at] == '/')
    }
}

/// Returns the first piece of a pattern, and the rest. `None`: the pattern is empty, or a `[` is not closed.
fn next_piece(text: &str) -> Option<(Piece<'_>, &str)> {
    let mut chars = text.chars();
    let piece = match chars.next()? {
        '*' if chars.as_str().starts_with('*') => {
            let rest = chars.as_str().trim_start_matches('*');
            let rest = rest.strip_prefix('/').unwrap_or(rest);
            return Some((if rest.is_empty() { Piece::Deep } else { Piece::Directories }, rest));
        }
        '*' => Piece::Any,
        '?' => Piece::One,
        '[' => {
            let begin = chars.as_str();
            chars = begin.strip_prefix(['^', '!']).unwrap_or(begin).chars();
            let mut is_empty = true;
            loop {
                let at = chars.as_str().len();
                match next_range(&mut chars)? {
                    None if !is_empty => return Some((Piece::Set(begin.get(..begin.len() - at)?), chars.as_str())),
                    _ => is_empty = false,
                }
            }
        }
        '\\' => Piece::Exactly(chars.next().unwrap_or('\\')),
        c => Piece::Exactly(c),
    };
    Some((piece, chars.as_str()))
}

/// Returns the next character or range of a set. `Some(None)`: a bracket, which closes the set unless it comes first.
fn next_range(chars: &mut std::str::Chars) -> Option<Option<(char, char)>> {
    let mut low = chars.next()?;
    if low == ']' {
        return Some(None);
    }
    if low == '\\' {
        low = chars.next()?;
    }
    let Some(rest) = chars.as_str().strip_prefix('-') else { return Some(Some((low, low))) };
    *chars = rest.chars();
    let mut high = chars.next()?;
    if high == '\\' {
        high = chars.next()?;
    }
    Some(Some((low, high)))
}

fn is_in(set: &str, c: char) -> bool {
    let ranges = set.strip_prefix(['^', '!']);
    let is_negated = ranges.is_some();
    let mut chars = ranges.unwrap_or(set).chars();
    let mut found = false;
    while let Some(range) = next_range(&mut chars) {
        let (low, high) = range.unwrap_or((']', ']'));
        found |= (low..=high).contains(&c);
    }
    found != is_negated
}

/// Removes `.`, `..` and empty parts from a path, and its leading slash. `..` never leads above the beginning.
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

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    #[error("line {line}: syntax error in pattern `{pattern}`: its `[` is never closed")]
    Syntax { line: usize, pattern: String },
    #[error("line {line}: illegal exclusion pattern `!`: nothing comes after it")]
    NoPattern { line: usize },
}

/// The rules of a `.dockerignore`.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    /// In order; the last one that matches decides. `true`: it includes the path again.
    rules: Vec<(Glob, bool)>,
}

impl Ignore {
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let lines = (1..).zip(text.strip_prefix('\u{feff}').unwrap_or(text).lines());
        let mut rules = Vec::new();
        for (line, text) in lines.filter(|(_, text)| !text.starts_with('#')) {
            let text = text.trim();
            let (brings_back, text) = match text.strip_prefix('!') {
                Some("") => return Err(InvalidPattern::NoPattern { line }),
                Some(rest) => (true, rest.trim()),
                None => (false, text),
            };
            // `.` and paths above the context match nothing in it.
            let Some(pattern) = lexically_beneath(text).filter(|pattern| !pattern.is_empty()) else { continue };
            let invalid = || InvalidPattern::Syntax { line, pattern: text.to_owned() };
            rules.push((Glob::new(&pattern).ok_or_else(invalid)?, brings_back));
        }
        Ok(Self { rules })
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a path, relative to the context, is ignored, by itself or by a directory above it.
    pub fn ignores(&self, path: &str) -> bool {
        if path.is_empty() {
            return false;
        }
        let mut ignored = false;
        for (glob, brings_back) in &self.rules {
            if ignored == *brings_back && glob.matches_here_or_above(path) {
                ignored = !brings_back;
            }
        }
        ignored
    }

    /// Whether no rule includes a path again, so that ignored directories need not be read.
    pub fn is_final(&self) -> bool {
        !self.rules.iter().any(|(_, brings_back)| *brings_back)
    }
}

/// Returns a path as [`clean`] does. `None`: it leads above its beginning.
fn lexically_beneath(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if path.starts_with('/') => drop(parts.pop()),
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_as_docker_matches_them() {
        let ignores = |text: &str, path: &str| Ignore::parse(text).unwrap().ignores(path);
        for (text, path) in [
            ("*.md", "README.md"),
            ("node_modules", "node_modules/a/b"),
            ("/build/", "build"),
            ("**/*.o", "a/b/c.o"),
            ("**/*.o", "c.o"),
            ("a/**", "a/b/c"),
            ("**", "x/y"),
            ("**/*.md", "a/b/README.md"),
            ("**foo", "a/xfoo"),
            ("a**b", "ax/b"),
            ("**/x/**", "a/x/b/c"),
            ("[]a]x", "]x"),
            ("[a\\-c]x", "-x"),
            ("[^a]x", "bx"),
            ("/a", "a"),
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
            (".", "x"),
            ("/", "x"),
            ("..", "x"),
            ("../x", "x"),
            ("a/..", "x"),
            ("a**b", "axb"),
            ("[^a]x", "ax"),
        ] {
            assert!(!ignores(text, path), "{text:?} must not ignore {path}");
        }
    }

    #[test]
    fn patterns_that_mean_nothing_are_told() {
        let message = |text: &str| Ignore::parse(text).unwrap_err().to_string();
        assert!(message("ok\n# [\n a/[b ").starts_with("line 3: syntax error in pattern `a/[b`"));
        assert!(message("a\n!\n").starts_with("line 2: illegal exclusion pattern `!`"));
    }

    #[test]
    fn paths_stay_beneath_their_root() {
        assert_eq!((clean("/a//./b/"), clean("../../a"), clean("a/..")), ("a/b".into(), "a".into(), String::new()));
    }
}
