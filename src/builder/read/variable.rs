//! Expands words as Docker's small shell does: quotes, escapes, and the forms of `${…}`.

use std::cell::Cell;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWord {
    #[error("the quote {0} is not closed")]
    Quote(char),
    #[error("`${{` without its `}}`")]
    Brace,
    #[error("invalid expansion `${{{0}}}`")]
    Form(String),
    #[error("{name}: {message}")]
    Required { name: String, message: String },
    #[error("`${{` within `${{` is more than {} deep", DEEPEST)]
    Deep,
    #[error("its variables come to more than {} KiB of text", .0 >> 10)]
    Long(usize),
    #[error("the pattern `{0}` takes too long on a value of this length")]
    Pattern(String),
}

/// Whether a character separates words in Docker.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// The limit for the nesting of `${A:-${B:-…}}`.
const DEEPEST: usize = 100;
/// The limit for the expanded text of one instruction, in bytes: more than a command line can have.
const LONGEST: usize = 1 << 20;
/// The limit for the expanded text of a heredoc, in bytes.
const LONGEST_TEXT: usize = 16 << 20;
/// The limit for the comparisons of one pattern.
const MOST_COMPARISONS: usize = 1 << 24;

/// Expands words; `lookup` returns the value of a variable that is set.
pub struct Lexer<'a> {
    escape: char,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    /// The length of the expanded text so far, over all words.
    given: Cell<usize>,
}

struct Reader<'a> {
    text: Vec<char>,
    at: usize,
    /// Whether quotes are ordinary characters.
    quotes_stay: bool,
    depth: usize,
    lexer: &'a Lexer<'a>,
}

impl<'a> Lexer<'a> {
    pub fn new(escape: char, lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { escape, lookup, given: Cell::new(0) }
    }

    /// Expands a text as one word.
    pub fn word(&self, text: &str) -> Result<String, InvalidWord> {
        Ok(self.reader(text, false).until(None, false)?.0)
    }

    /// Expands only the variables of a text.
    pub fn text(&self, text: &str) -> Result<String, InvalidWord> {
        Ok(self.reader(text, true).until(None, false)?.0)
    }

    fn reader(&self, text: &str, quotes_stay: bool) -> Reader<'_> {
        Reader { text: text.chars().collect(), at: 0, quotes_stay, depth: 0, lexer: self }
    }

    /// Expands a text as several words, split at blanks outside of quotes.
    pub fn words(&self, text: &str) -> Result<Vec<String>, InvalidWord> {
        Ok(self.reader(text, false).until(None, false)?.1)
    }

    /// Splits a text at blanks, and keeps quotes and escapes.
    pub fn raw_words(text: &str, escape: char) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (c, quote) {
                (c, None) if c.is_whitespace() => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                    continue;
                }
                (c, None | Some('"')) if c == escape => {
                    word.push(c);
                    word.extend(chars.next());
                    continue;
                }
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                _ => {}
            }
            word.push(c);
        }
        if !word.is_empty() {
            words.push(word);
        }
        words
    }
}

/// Expanded text, as a whole and as words.
#[derive(Default)]
struct Words {
    words: Vec<String>,
    word: String,
    begun: bool,
}

impl Words {
    fn text(&mut self, text: &str) {
        self.begun = true;
        self.word.push_str(text);
    }

    /// Appends the value of an unquoted variable, whose blanks separate words.
    fn loose(&mut self, text: &str) {
        for c in text.chars() {
            if is_blank(c) || c == '\n' {
                self.end();
            } else {
                self.begun = true;
                self.word.push(c);
            }
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.begun) {
            self.words.push(std::mem::take(&mut self.word));
        }
    }
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// Reads up to and including `stop`, or to the end. `raw`: escapes stay, because the text is a pattern.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Result<(String, Vec<String>), InvalidWord> {
        let mut whole = String::new();
        let mut words = Words::default();
        loop {
            let Some(c) = self.next() else {
                if stop.is_some() {
                    return Err(InvalidWord::Brace);
                }
                break;
            };
            if Some(c) == stop {
                break;
            }
            match c {
                '\'' if !self.quotes_stay => {
                    let text = self.single_quoted()?;
                    whole += &text;
                    words.text(&text);
                }
                '"' if !self.quotes_stay => {
                    let text = self.double_quoted()?;
                    whole += &text;
                    words.text(&text);
                }
                '$' => {
                    let text = self.dollar()?;
                    whole += &text;
                    words.loose(&text);
                }
                c if c == self.lexer.escape => {
                    let Some(escaped) = self.next() else {
                        if raw {
                            whole.push(c);
                        }
                        break;
                    };
                    if raw {
                        whole.push(c);
                    }
                    whole.push(escaped);
                    words.text(escaped.encode_utf8(&mut [0; 4]));
                }
                c => {
                    whole.push(c);
                    words.loose(c.encode_utf8(&mut [0; 4]));
                }
            }
        }
        words.end();
        Ok((whole, words.words))
    }

    fn single_quoted(&mut self) -> Result<String, InvalidWord> {
        let mut text = String::new();
        loop {
            match self.next().ok_or(InvalidWord::Quote('\''))? {
                '\'' => return Ok(text),
                c => text.push(c),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, InvalidWord> {
        let mut text = String::new();
        loop {
            match self.next().ok_or(InvalidWord::Quote('"'))? {
                '"' => return Ok(text),
                '$' => text += &self.dollar()?,
                c if c == self.lexer.escape => {
                    let escaped = self.next().ok_or(InvalidWord::Quote('"'))?;
                    // Before any other character it is an ordinary one.
                    if !matches!(escaped, '"' | '$') && escaped != self.lexer.escape {
                        text.push(c);
                    }
                    text.push(escaped);
                }
                c => text.push(c),
            }
        }
    }

    /// Expands what follows a dollar sign.
    fn dollar(&mut self) -> Result<String, InvalidWord> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(InvalidWord::Deep);
        }
        let text = self.variable()?;
        self.depth -= 1;
        let most = if self.quotes_stay { LONGEST_TEXT } else { LONGEST };
        let given = self.lexer.given.get() + text.len();
        self.lexer.given.set(given);
        if given > most { Err(InvalidWord::Long(most)) } else { Ok(text) }
    }

    fn variable(&mut self) -> Result<String, InvalidWord> {
        if self.peek() != Some('{') {
            let name = self.name();
            return Ok(if name.is_empty() { "$".into() } else { self.value(&name).unwrap_or_default() });
        }
        self.at += 1;
        let begin = self.at;
        let name = self.name();
        if name.is_empty() {
            return Err(if self.peek().is_none() { InvalidWord::Brace } else { self.unknown_form(begin) });
        }
        let value = self.value(&name);
        match self.next().ok_or(InvalidWord::Brace)? {
            '}' => Ok(value.unwrap_or_default()),
            ':' => {
                let operator = self.next().ok_or(InvalidWord::Brace)?;
                if !matches!(operator, '-' | '+' | '?') {
                    return Err(self.unknown_form(begin));
                }
                let (word, _) = self.until(Some('}'), false)?;
                choose(&name, operator, value.filter(|v| !v.is_empty()), word)
            }
            operator @ ('-' | '+' | '?') => {
                let (word, _) = self.until(Some('}'), false)?;
                choose(&name, operator, value, word)
            }
            end @ ('#' | '%') => {
                let greedy = self.peek() == Some(end);
                self.at += usize::from(greedy);
                let (pattern, _) = self.until(Some('}'), true)?;
                cut(&value.unwrap_or_default(), &pattern, end == '#', greedy)
            }
            '/' => {
                let all = self.peek() == Some('/');
                self.at += usize::from(all);
                let (pattern, _) = self.until(Some('/'), true)?;
                let (replacement, _) = self.until(Some('}'), true)?;
                replace(&value.unwrap_or_default(), &pattern, &replacement, all)
            }
            _ => Err(self.unknown_form(begin)),
        }
    }

    fn unknown_form(&self, begin: usize) -> InvalidWord {
        InvalidWord::Form(self.text[begin..].iter().take_while(|c| **c != '}').collect())
    }

    /// Reads the name of a variable, a number, or a special parameter.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            let special = name.is_empty() && "@*#?-!$".contains(c);
            let fits = c == '_' || c.is_ascii_alphabetic() || c.is_ascii_digit() || special;
            if !fits {
                break;
            }
            name.push(c);
            self.at += 1;
            if special || (c.is_ascii_digit() && name.len() == 1 && !self.peek().is_some_and(|n| n.is_ascii_digit())) {
                break;
            }
        }
        name
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.lexer.lookup)(name)
    }
}

fn choose(name: &str, operator: char, value: Option<String>, word: String) -> Result<String, InvalidWord> {
    match (operator, value) {
        ('+', Some(_)) => Ok(word),
        ('+', None) => Ok(String::new()),
        (_, Some(value)) => Ok(value),
        ('-', None) => Ok(word),
        _ => {
            let message = if word.is_empty() { "it is not set".into() } else { word };
            Err(InvalidWord::Required { name: name.to_owned(), message })
        }
    }
}

/// Removes the shortest or longest prefix or suffix that matches.
fn cut(value: &str, pattern: &str, from_front: bool, greedy: bool) -> Result<String, InvalidWord> {
    let mut chars: Vec<char> = value.chars().collect();
    let mut pattern = Pattern::new(pattern);
    if !from_front {
        chars.reverse();
        pattern.pieces.reverse();
    }
    let matched = if greedy { pattern.longest(&chars)? } else { pattern.shortest(&chars)? };
    let Some(length) = matched else { return Ok(value.to_owned()) };
    let kept = chars.split_off(length);
    Ok(if from_front { kept.into_iter().collect() } else { kept.into_iter().rev().collect() })
}

fn replace(value: &str, pattern: &str, replacement: &str, all: bool) -> Result<String, InvalidWord> {
    let mut pattern = Pattern::new(pattern);
    let chars: Vec<char> = value.chars().collect();
    let mut result = String::new();
    let mut at = 0;
    while at < chars.len() {
        // An empty pattern replaces nothing.
        match pattern.longest(&chars[at..])?.filter(|length| *length > 0) {
            Some(length) => {
                result.push_str(replacement);
                at += length;
                if !all {
                    break;
                }
            }
            None => {
                result.push(chars[at]);
                at += 1;
            }
        }
        if result.len() > LONGEST_TEXT {
            return Err(InvalidWord::Long(LONGEST_TEXT));
        }
    }
    result.extend(&chars[at..]);
    Ok(result)
}

/// A pattern of `#`, `%` and `/`: `*`, `?` and escaped characters.
struct Pattern {
    text: String,
    pieces: Vec<Piece>,
    comparisons: usize,
}

#[derive(PartialEq)]
enum Piece {
    Any,
    One,
    Exactly(char),
}

impl Pattern {
    fn new(text: &str) -> Self {
        let mut chars = text.chars();
        let mut pieces = Vec::new();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '*' => Piece::Any,
                '?' => Piece::One,
                '\\' => Piece::Exactly(chars.next().unwrap_or('\\')),
                c => Piece::Exactly(c),
            });
        }
        Self { text: text.to_owned(), pieces, comparisons: 0 }
    }

    fn longest(&mut self, text: &[char]) -> Result<Option<usize>, InvalidWord> {
        self.prefix(text, false)
    }

    fn shortest(&mut self, text: &[char]) -> Result<Option<usize>, InvalidWord> {
        self.prefix(text, true)
    }

    /// Returns the length of the shortest or longest prefix that matches.
    fn prefix(&mut self, text: &[char], shortest: bool) -> Result<Option<usize>, InvalidWord> {
        let last = self.pieces.len();
        // `reached[n]`: the text so far matches the first n pieces.
        let mut reached = vec![false; last + 1];
        reached[0] = true;
        self.skip(&mut reached);
        let mut found = None;
        for at in 0..=text.len() {
            if reached[last] {
                found = Some(at);
                if shortest {
                    break;
                }
            }
            let Some(c) = text.get(at).filter(|_| reached.contains(&true)) else { break };
            self.comparisons += last + 1;
            if self.comparisons > MOST_COMPARISONS {
                return Err(InvalidWord::Pattern(self.text.clone()));
            }
            let mut next = vec![false; last + 1];
            for (number, piece) in self.pieces.iter().enumerate().filter(|(number, _)| reached[*number]) {
                match piece {
                    Piece::Any => next[number] = true,
                    Piece::One => next[number + 1] = true,
                    Piece::Exactly(wanted) if wanted == c => next[number + 1] = true,
                    Piece::Exactly(_) => {}
                }
            }
            self.skip(&mut next);
            reached = next;
        }
        Ok(found)
    }

    /// Adds the states that a `*` reaches without a character.
    fn skip(&self, reached: &mut [bool]) {
        for (number, piece) in self.pieces.iter().enumerate() {
            if reached[number] && *piece == Piece::Any {
                reached[number + 1] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "A" => Some("a b".into()),
            "EMPTY" => Some(String::new()),
            "FILE" => Some("dir/name.tar.gz".into()),
            "1" => Some("one".into()),
            _ => None,
        }
    }

    fn word(text: &str) -> Result<String, InvalidWord> {
        Lexer::new('\\', &lookup).word(text)
    }

    #[test]
    fn words_as_in_dockers_shell() {
        for (text, expected) in [
            ("hello", "hello"),
            ("he'll''o'", "hello"),
            ("\"$A\" '$A' \\$A $A", "a b $A $A a b"),
            ("\"a\\\"b\\c\"", "a\"b\\c"),
            ("${A}x$NONE.", "a bx."),
            ("${EMPTY:-d}${EMPTY-d}${NONE-d}${NONE:-$A}", "dda b"),
            ("${A:+x}${EMPTY:+x}${EMPTY+y}${NONE+z}", "xy"),
            ("${FILE%.*} ${FILE%%.*} ${FILE#*/} ${FILE##*.}", "dir/name.tar dir/name name.tar.gz gz"),
            (
                "${FILE/a/A} ${FILE//a/A} ${FILE//\\//-} ${FILE/n*r/x}",
                "dir/nAme.tar.gz dir/nAme.tAr.gz dir-name.tar.gz dir/x.gz",
            ),
            ("$1$", "one$"),
            ("a\\ b", "a b"),
        ] {
            assert_eq!(word(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_words_say_why() {
        assert_eq!(word("'a"), Err(InvalidWord::Quote('\'')));
        assert_eq!(word("${A"), Err(InvalidWord::Brace));
        assert_eq!(word("${A:x}"), Err(InvalidWord::Form("A:x".into())));
        assert_eq!(word("${}"), Err(InvalidWord::Form(String::new())));
        let required = InvalidWord::Required { name: "NONE".into(), message: "say which".into() };
        assert_eq!(word("${NONE:?say which}"), Err(required));
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        let nested = |depth: usize| format!("{}x{}", "${NONE:-".repeat(depth), "}".repeat(depth));
        assert_eq!(word(&nested(50)).as_deref(), Ok("x"));
        assert_eq!(word(&nested(20_000)), Err(InvalidWord::Deep));
        let long = |name: &str| (name == "L").then(|| "ab".repeat(200_000));
        let lexer = Lexer::new('\\', &long);
        assert!(lexer.word("$L").is_ok_and(|text| text.len() == 400_000));
        assert_eq!(lexer.word("$L$L"), Err(InvalidWord::Long(LONGEST)));
        let fresh = |text: &str| Lexer::new('\\', &long).word(text);
        assert_eq!(fresh("${L##*b}").as_deref(), Ok(""));
        assert_eq!(fresh("${L//a/}").map(|text| text.len()), Ok(200_000));
        assert_eq!(fresh("${L//a*c/x}"), Err(InvalidWord::Pattern("a*c".into())));
        assert!(matches!(fresh("${L//a/aaaaaaaaaaaaaaaa}"), Err(InvalidWord::Long(_))));
    }

    #[test]
    fn blanks_of_a_loose_variable_part_words() {
        let lexer = Lexer::new('\\', &lookup);
        assert_eq!(lexer.words("x$A \"$A\" '' c\\ d").unwrap(), ["xa", "b", "a b", "", "c d"]);
        assert_eq!(Lexer::raw_words("a='b c' d\\ e \"f\"g", '\\'), ["a='b c'", "d\\ e", "\"f\"g"]);
    }
}
