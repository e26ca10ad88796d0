//! Variables in values: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?error}`, `${NAME?error}`,
//! `${NAME:+value}`, `${NAME+value}`, all within each other, and `$$`.

use super::node::{Node, Value};
use crate::compose::fault::Fault;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// The variables of interpolation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables(pub BTreeMap<String, String>);

impl Variables {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// What a text asks for and lacks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// A `$` that begins nothing.
    Syntax(String),
    /// `${NAME?error}`
    Required { name: String, message: String },
}

/// The variables that are not set and have no default, in their order.
#[derive(Debug, Default)]
pub(crate) struct Unset(pub Vec<String>);

impl Unset {
    fn note(&mut self, name: &str) {
        if !self.0.iter().any(|known| known == name) {
            self.0.push(name.to_owned());
        }
    }
}

/// Replaces the variables in all values of a tree.
pub(crate) fn interpolate(node: &mut Node, variables: &Variables, unset: &mut Unset) -> Result<(), Fault> {
    match &mut node.value {
        Value::Text(text) if text.contains('$') => match substitute(text, variables, unset) {
            Ok(new) => {
                *text = new;
                Ok(())
            }
            Err(Lack::Syntax(what)) => {
                let fault = Fault::new(node.place, format!("invalid interpolation: {what}"));
                Err(fault.hint("write a dollar sign as $$; a variable as ${NAME} or ${NAME:-default}"))
            }
            Err(Lack::Required { name, message }) => {
                let message = if message.is_empty() { "it is required".to_owned() } else { message };
                let fault = Fault::new(node.place, format!("the variable {name} is not set: {message}"));
                Err(fault.hint(format!("set it: {name}=VALUE minirun compose …, or in the file .env")))
            }
        },
        Value::List(list) => list.iter_mut().try_for_each(|one| interpolate(one, variables, unset)),
        Value::Map(map) => map.values_mut().try_for_each(|entry| interpolate(&mut entry.node, variables, unset)),
        _ => Ok(()),
    }
}

/// Replaces the variables in a text.
pub(crate) fn substitute(text: &str, variables: &Variables, unset: &mut Unset) -> Result<String, Lack> {
    let mut reader = Reader { rest: text.chars().peekable(), variables };
    let mut out = String::new();
    reader.template(&mut out, false, Some(unset))?;
    Ok(out)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    variables: &'a Variables,
}

impl Reader<'_> {
    /// Reads to the end, or to the brace that closes. `unset` is `None` in a part that is not used.
    fn template(&mut self, out: &mut String, in_braces: bool, mut unset: Option<&mut Unset>) -> Result<(), Lack> {
        loop {
            match self.rest.next() {
                None if in_braces => return Err(Lack::Syntax("a closing brace is missing".into())),
                None => return Ok(()),
                Some('}') if in_braces => return Ok(()),
                Some('$') => match self.rest.peek() {
                    Some('$') => {
                        self.rest.next();
                        out.push('$');
                    }
                    Some('{') => {
                        self.rest.next();
                        self.braced(out, unset.as_deref_mut())?;
                    }
                    Some(c) if c.is_ascii_alphabetic() || *c == '_' => {
                        let name = self.name();
                        self.value_of(&name, out, unset.as_deref_mut());
                    }
                    _ => return Err(Lack::Syntax("a single $ names no variable".into())),
                },
                Some(c) => out.push(c),
            }
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        name
    }

    fn value_of(&self, name: &str, out: &mut String, unset: Option<&mut Unset>) {
        match (self.variables.get(name), unset) {
            (Some(value), _) => out.push_str(value),
            (None, Some(unset)) => unset.note(name),
            (None, None) => {}
        }
    }

    fn braced(&mut self, out: &mut String, mut unset: Option<&mut Unset>) -> Result<(), Lack> {
        let name = self.name();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Lack::Syntax("${ is not followed by a variable's name".into()));
        }
        let (empty_counts, operator) = match (self.rest.next(), self.rest.peek()) {
            (Some('}'), _) => {
                self.value_of(&name, out, unset);
                return Ok(());
            }
            (Some(':'), Some('-' | '?' | '+')) => (true, self.rest.next().unwrap_or_default()),
            (Some(operator @ ('-' | '?' | '+')), _) => (false, operator),
            (None, _) => return Err(Lack::Syntax("a closing brace is missing".into())),
            (Some(other), _) => return Err(Lack::Syntax(format!("{other:?} cannot follow ${{{name}"))),
        };
        let value = self.variables.get(&name).filter(|value| !(empty_counts && value.is_empty())).map(str::to_owned);
        let uses_word = (operator == '+') == value.is_some();
        let mut word = String::new();
        self.template(&mut word, true, unset.as_deref_mut().filter(|_| uses_word))?;
        match (operator, value) {
            ('-', Some(value)) | ('?', Some(value)) => out.push_str(&value),
            ('-', None) | ('+', Some(_)) => out.push_str(&word),
            ('?', None) if unset.is_some() => return Err(Lack::Required { name, message: word }),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Lack, Unset, Variables, substitute};

    #[test]
    fn all_forms() {
        let variables = Variables([("A", "x"), ("E", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        let of = |text: &str| substitute(text, &variables, &mut Unset::default());
        for (text, expected) in [
            ("$A-${A}b", "x-xb"),
            ("$$A $$ ${E}", "$A $ "),
            ("${E:-d}${E-d}${U-d}${U:-}", "dd"),
            ("${A:+y}${E:+y}${E+y}${U+y}", "yy"),
            ("${U:-${A:-z}-${U:-w}}", "x-w"),
            ("${A:?never}${A?never}", "xx"),
            ("${A:-${U:?never}}", "x"),
            ("${U:-a:b}$U.", "a:b."),
        ] {
            assert_eq!(of(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(of("${U:?no $A}"), Err(Lack::Required { name: "U".into(), message: "no x".into() }));
        for wrong in ["$", "a $ b", "${", "${A", "${}", "${A!}", "${1}", "${A:}", "$-"] {
            assert!(matches!(of(wrong), Err(Lack::Syntax(_))), "{wrong}");
        }
        let mut unset = Unset::default();
        substitute("$U ${V} ${W:-d} ${A:-$X} $U", &variables, &mut unset).unwrap();
        assert_eq!(unset.0, ["U", "V"]);
    }
}
