//! Values put into texts.

use crate::diag::printable;

/// Replaces each `{}` by a value, in order. Control characters in values are made visible, since values may come from an
/// untrusted image.
pub(crate) fn fill(text: &str, values: &[&dyn std::fmt::Display]) -> String {
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (part, value) in parts.zip(values) {
        filled += &printable(&value.to_string());
        filled += part;
    }
    filled
}

/// Replaces each `{name}` by the value of that name; other names stay. Control characters are made visible as in [`fill`].
pub(crate) fn place(text: &str, values: &[(&str, &str)]) -> String {
    let mut placed = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        placed += before;
        let value = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        match value {
            Some((value, after)) => {
                placed += &printable(value);
                rest = after;
            }
            None => {
                placed.push('{');
                rest = after;
            }
        }
    }
    placed + rest
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn values_in_their_places() {
        let values = [("subject", "a {found}"), ("found", "b")];
        assert_eq!(place("{found}: {subject} {other} { {found", &values), "b: a {found} {other} { {found");
    }
}
