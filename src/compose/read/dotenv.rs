//! Files of variables, `.env` and `env_file`: names, quotes, comments, and variables within values.

use super::interpolate::{Lack, Unset, Variables, substitute};

/// What is wrong with a line, which counts from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub line: usize,
    pub why: String,
}

/// Reads the variables in their order. A value may use those before it and `around`. Where it has no value, it is `None`.
pub(crate) fn parse(text: &str, around: &Variables) -> Result<Vec<(String, Option<String>)>, Wrong> {
    let mut known = around.clone();
    let mut found = Vec::new();
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let wrong = |why: &str| Wrong { line: index + 1, why: why.to_owned() };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let (name, value) = match line.split_once(['=', ':']) {
            Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
            None => (line.trim_end(), None),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
            return Err(wrong(&format!("invalid name {name:?} of a variable")));
        }
        let Some(value) = value else {
            found.push((name.to_owned(), known.get(name).map(str::to_owned)));
            continue;
        };
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let mut text = value.chars().skip(1).collect::<String>();
                let quoted = loop {
                    if let Some(quoted) = quoted(&text, quote) {
                        break quoted;
                    }
                    let (_, more) = lines.next().ok_or_else(|| wrong("a closing quotation mark is missing"))?;
                    text = text + "\n" + more;
                };
                if quote == '"' { expanded(&quoted, &known).map_err(|why| wrong(&why))? } else { quoted }
            }
            _ => {
                let bare = value.split_once(" #").map_or(value, |(value, _)| value);
                let bare = if bare.starts_with('#') { "" } else { bare.trim_end() };
                expanded(bare, &known).map_err(|why| wrong(&why))?
            }
        };
        known.0.insert(name.to_owned(), value.clone());
        found.push((name.to_owned(), Some(value)));
    }
    Ok(found)
}

/// Returns what stands before the closing quotation mark, with its escapes resolved.
fn quoted(text: &str, quote: char) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Some(out),
            '\\' => match (quote, chars.next()?) {
                ('\'', '\'') => out.push('\''),
                ('"', 'n') => out.push('\n'),
                ('"', 'r') => out.push('\r'),
                ('"', 't') => out.push('\t'),
                // A variable's sign that is escaped stays one.
                ('"', '$') => out.push_str("$$"),
                ('"', c @ ('"' | '\\')) => out.push(c),
                (_, c) => out.extend(['\\', c]),
            },
            c => out.push(c),
        }
    }
    None
}

fn expanded(text: &str, known: &Variables) -> Result<String, String> {
    if !text.contains('$') {
        return Ok(text.to_owned());
    }
    substitute(text, known, &mut Unset::default()).map_err(|lack| match lack {
        Lack::Syntax(what) => what,
        Lack::Required { name, message } => format!("the variable {name} is not set: {message}"),
    })
}

#[cfg(test)]
mod tests {
    use super::{Wrong, parse};
    use crate::compose::read::interpolate::Variables;

    #[test]
    fn values() {
        let around = Variables([("HOME".to_owned(), "/h".to_owned())].into());
        let text = "# c\nA=1\nexport B = two words # c\nC=\"a\\n$A\" # c\nD='$A #'\nE=\nHOME\nNONE\nF=${A}-${HOME}\nG=\"x\ny\"\nH=\"\\$A\"\nI: j";
        let found = parse(text, &around).unwrap();
        let of = |name: &str| found.iter().find(|(known, _)| known == name).unwrap().1.as_deref();
        let all = ["A", "B", "C", "D", "E", "HOME", "NONE", "F", "G", "H", "I"].map(of);
        let expected = ["1", "two words", "a\n1", "$A #", "", "/h", "", "1-/h", "x\ny", "$A", "j"];
        for (index, (found, expected)) in all.into_iter().zip(expected).enumerate() {
            assert_eq!(found, (index != 6).then_some(expected));
        }
        let wrong = |text: &str| parse(text, &around).unwrap_err();
        assert_eq!(wrong("A=1\n=2"), Wrong { line: 2, why: "invalid name \"\" of a variable".into() });
        assert_eq!(wrong("\nA=\"x").line, 2);
        assert_eq!(wrong("a b=1").line, 1);
    }
}
