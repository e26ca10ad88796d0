//! A command in one line becomes words, as a shell would split it.

/// Splits a command at blanks outside of quotation marks. `None`: a quotation mark is not closed.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn as_a_shell_does() {
        let of = |text| split(text).unwrap();
        assert_eq!(of("sh -c 'echo \"a b\"' \"x\\\"y\" a\\ b ''"), ["sh", "-c", "echo \"a b\"", "x\"y", "a b", ""]);
        assert!(of("  ").is_empty() && split("'a").is_none() && split("a\\").is_none());
    }
}
