//! Splits a Dockerfile into instructions as Docker does: directives, comments, continuation lines and heredocs.

use super::variable::{Lexer, is_blank};
use crate::diag::{Diagnose, ErrorCode};
use std::fmt;

/// An error in a Dockerfile, and its place.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Fault {
    pub file: String,
    pub place: Place,
    /// The line as written.
    pub shown: String,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(f, "{}:{line}:{column}: {}\n{line:>6} | {}\n       | ", self.file, self.message, self.shown)?;
        // Tabs keep the marker below its column.
        let before = self.shown.chars().take(column.saturating_sub(1));
        before.map(|c| if c == '\t' { '\t' } else { ' ' }).try_for_each(|c| write!(f, "{c}"))?;
        write!(f, "^")
    }
}

impl Diagnose for Fault {
    fn code(&self) -> Option<ErrorCode> {
        Some(ErrorCode::Dockerfile)
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// A warning, which does not stop the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The rule's name in Docker's own checks.
    pub rule: &'static str,
    pub line: usize,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    pub name: String,
    pub content: String,
    /// Whether variables are expanded: the name has no quotes.
    pub expands: bool,
    /// `<<-`: whether leading tabs are removed.
    pub chomps: bool,
}

/// One instruction, with its lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The instruction's word in capitals.
    pub word: String,
    /// The word as written.
    pub written: String,
    /// The flags: `--name` and its value.
    pub flags: Vec<(String, Option<String>)>,
    pub rest: String,
    pub heredocs: Vec<Heredoc>,
    /// The comments above it.
    pub comments: Vec<String>,
    /// The first and last line.
    pub first: usize,
    pub last: usize,
}

#[derive(Debug, Clone, Default)]
pub struct Directives {
    pub syntax: Option<String>,
    pub check: Option<String>,
    pub escape: char,
}

#[derive(Clone)]
pub struct Source {
    /// The name of the file in messages.
    pub name: String,
    lines: Vec<String>,
    /// Whether each line ends with CR and LF.
    crlf: Vec<bool>,
    pub directives: Directives,
    /// The number of lines at the top that are directives.
    pub directive_lines: usize,
    pub nodes: Vec<Node>,
    pub warnings: Vec<Warning>,
}

impl Source {
    pub fn parse(name: &str, text: &str) -> Result<Self, Fault> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut source = Self {
            name: name.to_owned(),
            directives: Directives { escape: '\\', ..Directives::default() },
            crlf: text.split_inclusive('\n').map(|line| line.ends_with("\r\n")).collect(),
            lines,
            directive_lines: 0,
            nodes: Vec::new(),
            warnings: Vec::new(),
        };
        source.read_directives()?;
        source.read_nodes()?;
        if source.nodes.is_empty() {
            return Err(source.fault(Place { line: 1, column: 1 }, "the file has no instruction", None));
        }
        Ok(source)
    }

    /// Returns an instruction on one line.
    pub fn text(&self, node: &Node) -> String {
        let flags = node.flags.iter().map(|(name, value)| match value {
            Some(value) => format!("--{name}={value} "),
            None => format!("--{name} "),
        });
        let flags: String = flags.collect();
        let rest: Vec<&str> = node.rest.split_whitespace().collect();
        // A script is shown by its first line.
        let script = node.heredocs.first().and_then(|heredoc| heredoc.content.lines().next());
        let script = script.map(|line| format!(" ({line} …)")).unwrap_or_default();
        format!("{} {flags}{}{script}", node.word, rest.join(" ")).trim_end().to_owned()
    }

    /// Parses the directives at the top; the first other line ends them.
    fn read_directives(&mut self) -> Result<(), Fault> {
        let mut seen = Vec::new();
        for (number, line) in self.lines.clone().iter().enumerate() {
            let Some(comment) = line.trim().strip_prefix('#') else { break };
            let Some((key, value)) = comment.split_once('=') else { break };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            if !matches!(key.as_str(), "syntax" | "escape" | "check") {
                break;
            }
            let place = Place { line: number + 1, column: 1 };
            if seen.contains(&key) {
                return Err(self.fault(place, &format!("the directive `{key}` is given twice"), None));
            }
            match (key.as_str(), value) {
                ("syntax", _) => self.directives.syntax = Some(value.to_owned()),
                ("check", _) => self.directives.check = Some(value.to_owned()),
                (_, "\\") => {}
                (_, "`") => self.directives.escape = '`',
                _ => {
                    let hint = "write `# escape=\\` or ``# escape=` ``";
                    return Err(self.fault(place, &format!("`{value}` cannot be the escape character"), Some(hint)));
                }
            }
            seen.push(key);
            self.directive_lines = number + 1;
        }
        Ok(())
    }

    fn read_nodes(&mut self) -> Result<(), Fault> {
        let mut at = 0;
        let mut comments = Vec::new();
        while at < self.lines.len() {
            let first = at + 1;
            let line = self.lines[at].trim_start().to_owned();
            at += 1;
            if let Some(comment) = line.strip_prefix('#') {
                comments.push(comment.trim().to_owned());
                continue;
            }
            let (mut joined, mut goes_on) = self.continued(&line);
            if !goes_on && joined.trim().is_empty() {
                continue;
            }
            let mut last = at;
            while goes_on && at < self.lines.len() {
                let line = &self.lines[at];
                at += 1;
                if line.trim_start().starts_with('#') {
                    continue;
                }
                if line.trim().is_empty() {
                    self.warnings.push(Warning {
                        rule: "NoEmptyContinuation",
                        line: at,
                        message: "an empty line within an instruction is ignored; a later version of Docker refuses it"
                            .into(),
                    });
                    continue;
                }
                let (more, again) = self.continued(line);
                joined += &more;
                goes_on = again;
                last = at;
            }
            if joined.trim().is_empty() {
                continue;
            }
            let mut node = self.node(&joined, first, last)?;
            for mut heredoc in self.heredocs(&node, &joined) {
                let mut ended = false;
                while let Some(line) = self.lines.get(at) {
                    at += 1;
                    let line = if heredoc.chomps { line.trim_start_matches('\t') } else { line };
                    if line == heredoc.name {
                        ended = true;
                        break;
                    }
                    heredoc.content.push_str(line);
                    // A file keeps its CRs; in a script, the shell would take them for parts of words.
                    heredoc.content.push_str(if self.crlf[at - 1] && node.word != "RUN" { "\r\n" } else { "\n" });
                }
                if !ended {
                    let place = self.find(&node, &heredoc.name);
                    let hint = format!("end it by a line that is `{}` and nothing else", heredoc.name);
                    return Err(self.fault(place, "this heredoc has no end", Some(&hint)));
                }
                node.last = at;
                node.heredocs.push(heredoc);
            }
            node.comments = std::mem::take(&mut comments);
            self.nodes.push(node);
        }
        Ok(())
    }

    /// Removes the continuation character at the end of a line, unless it is escaped.
    fn continued(&self, line: &str) -> (String, bool) {
        let escape = self.directives.escape;
        let trimmed = line.trim_end_matches([' ', '\t']);
        match trimmed.strip_suffix(escape) {
            Some(rest) if !rest.ends_with(escape) => (rest.to_owned(), true),
            _ => (line.to_owned(), false),
        }
    }

    fn node(&self, joined: &str, first: usize, last: usize) -> Result<Node, Fault> {
        let joined = joined.trim();
        let (word, rest) = joined.split_once(is_blank).unwrap_or((joined, ""));
        let (flags, rest) = self.split_flags(rest.trim_start_matches(is_blank));
        let (written, word) = (word.to_owned(), word.to_ascii_uppercase());
        Ok(Node {
            word,
            written,
            flags,
            rest: rest.trim().to_owned(),
            heredocs: Vec::new(),
            comments: Vec::new(),
            first,
            last,
        })
    }

    /// Splits off the flags: the leading words that begin with two dashes.
    fn split_flags(&self, text: &str) -> (Vec<(String, Option<String>)>, String) {
        let mut flags = Vec::new();
        let mut rest = text;
        while let Some(body) = rest.strip_prefix("--") {
            if body.is_empty() || body.starts_with(is_blank) {
                rest = body.trim_start_matches(is_blank);
                break;
            }
            let (mut word, mut quote, mut end) = (String::new(), None, rest.len());
            let mut chars = rest.char_indices();
            while let Some((at, c)) = chars.next() {
                match (c, quote) {
                    (c, None) if is_blank(c) => {
                        end = at;
                        break;
                    }
                    (c, _) if c == self.directives.escape => word.extend(chars.next().map(|(_, c)| c)),
                    ('"' | '\'', None) => quote = Some(c),
                    (c, Some(open)) if c == open => quote = None,
                    (c, _) => word.push(c),
                }
            }
            let word = word.strip_prefix("--").unwrap_or(&word);
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            };
            flags.push((name, value));
            rest = rest.split_at(end).1.trim_start_matches(is_blank);
        }
        (flags, rest.to_owned())
    }

    fn heredocs(&self, node: &Node, joined: &str) -> Vec<Heredoc> {
        let rest = node.rest.trim_start();
        let directive = match node.word.as_str() {
            "ONBUILD" => rest.split(is_blank).next().unwrap_or_default().to_ascii_uppercase(),
            word => word.to_owned(),
        };
        if !matches!(directive.as_str(), "RUN" | "COPY" | "ADD") || rest.starts_with('[') {
            return Vec::new();
        }
        Lexer::raw_words(joined, self.directives.escape).iter().filter_map(|word| heredoc(word)).collect()
    }

    /// Returns the lines of the comment right above an instruction.
    pub fn comment_above(&self, node: &Node) -> Vec<&str> {
        let above = self.lines.iter().take(node.first - 1).skip(self.directive_lines).rev();
        let mut lines: Vec<&str> = above.map_while(|line| line.trim().strip_prefix('#')).map(str::trim).collect();
        lines.reverse();
        lines
    }

    pub fn fault(&self, place: Place, message: &str, hint: Option<&str>) -> Fault {
        Fault {
            file: self.name.clone(),
            place,
            shown: self.lines.get(place.line.saturating_sub(1)).cloned().unwrap_or_default(),
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        }
    }

    /// Returns the place of a word of an instruction, or else of the instruction.
    pub fn find(&self, node: &Node, word: &str) -> Place {
        let lines = self.lines.iter().enumerate().take(node.last).skip(node.first - 1);
        let found =
            lines.filter(|_| !word.is_empty()).find_map(|(number, line)| Some((number, line, line.find(word)?)));
        match found {
            Some((number, line, at)) => Place { line: number + 1, column: line.split_at(at).0.chars().count() + 1 },
            None => {
                let line = self.lines.get(node.first - 1).map_or("", String::as_str);
                Place { line: node.first, column: line.chars().take_while(|c| c.is_whitespace()).count() + 1 }
            }
        }
    }

    pub fn fault_at(&self, node: &Node, word: &str, message: &str, hint: Option<&str>) -> Fault {
        self.fault(self.find(node, word), message, hint)
    }
}

/// Parses the beginning of a heredoc, as `<<EOF`, `<<-EOF` or `3<<"EOF"`.
pub(crate) fn heredoc(word: &str) -> Option<Heredoc> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (chomps, raw) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let name: String = raw.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    if name.is_empty() || raw.contains('<') {
        return None;
    }
    Some(Heredoc { expands: name == raw, name, content: String::new(), chomps })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(text: &str) -> Vec<(String, String)> {
        let source = Source::parse("Dockerfile", text).unwrap();
        source.nodes.into_iter().map(|n| (n.word, n.rest)).collect()
    }

    #[test]
    fn lines_are_joined_as_docker_joins_them() {
        let text =
            "# a comment\n\nfrom alpine\nRUN a && \\\n  # within\n\n  b \\  \n  c\n  # indented\nRUN x \\\\\nCMD z";
        let expected = [("FROM", "alpine"), ("RUN", "a &&   b   c"), ("RUN", "x \\\\"), ("CMD", "z")];
        assert_eq!(nodes(text), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn directives_end_at_the_first_line_that_is_none() {
        let source =
            Source::parse("Dockerfile", "# syntax=docker/dockerfile:1\n# Escape = `\nFROM a\nRUN a `\n b").unwrap();
        assert_eq!(source.directives.syntax.as_deref(), Some("docker/dockerfile:1"));
        assert_eq!(source.nodes[1].rest, "a  b");
        let source = Source::parse("Dockerfile", "# hello\n# escape=`\nFROM a").unwrap();
        assert_eq!(source.directives.escape, '\\');
    }

    #[test]
    fn heredocs_belong_to_their_instruction() {
        let text = "FROM a\nRUN <<EOF cat <<-'E2'\none $A\nEOF\n\ttwo\n\tE2\nCOPY <<x /y\nx\nENV A=<<no";
        let source = Source::parse("Dockerfile", text).unwrap();
        let run = &source.nodes[1].heredocs;
        assert_eq!((run[0].content.as_str(), run[0].expands), ("one $A\n", true));
        assert_eq!((run[1].content.as_str(), run[1].expands), ("two\n", false));
        assert_eq!(source.nodes[2].heredocs[0].content, "");
        assert_eq!((source.nodes[3].first, source.nodes[3].rest.as_str()), (9, "A=<<no"));
        assert!(Source::parse("Dockerfile", "FROM a\nRUN <<EOF\nx").is_err());
    }

    #[test]
    fn flags_come_first() {
        let source = Source::parse("Dockerfile", "FROM a\nCOPY --chown=1:2 --link --exclude=\"a b\" -- x --y").unwrap();
        let flag = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let node = &source.nodes[1];
        assert_eq!(node.flags, [flag("chown", Some("1:2")), flag("link", None), flag("exclude", Some("a b"))]);
        assert_eq!(node.rest, "x --y");
    }
}
