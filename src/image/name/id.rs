//! Ids as people type them: a prefix of hexadecimal digits, sometimes with a typing error.

/// Returns a hint at a similar id or name, for a text that is neither.
pub(crate) fn suggestion(kind: &str, text: &str, ids: &[String], names: &[String]) -> Option<String> {
    if let Some(slip) = not_hexadecimal(text) {
        return Some(match nearest(text, ids.iter().map(String::as_str)) {
            Some(near) => format!("{slip}; the nearest {kind} is {}", near.get(..12).unwrap_or(near)),
            None => slip,
        });
    }
    similar(text, names).map(|near| format!("did you mean: {near}"))
}

/// Returns a name that a text may be a slip of. Names are compared with and without their tags.
pub(crate) fn similar<'a>(text: &str, names: &'a [String]) -> Option<&'a String> {
    let alike = |name: &&String| {
        strsim::levenshtein(text, name) <= 2
            || strsim::levenshtein(text, name.split(':').next().unwrap_or_default()) <= 1
    };
    names.iter().find(alike)
}

/// Returns what is wrong with a text that looks like an id with a typing error.
pub(crate) fn not_hexadecimal(text: &str) -> Option<String> {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    let (mut wrong, mut digits) = (Vec::new(), 0);
    for (i, c) in text.chars().enumerate() {
        match c {
            '0'..='9' => digits += 1,
            'a'..='f' => {}
            _ => wrong.push((i + 1, c)),
        }
    }
    let &(place, letter) = wrong.first()?;
    // A name such as `redis` is not a mistyped id.
    if text.len() < 4 || digits == 0 || wrong.len() * 4 > text.len() {
        return None;
    }
    Some(format!("`{letter}` at position {place} is not a hexadecimal digit"))
}

/// Returns the candidate whose beginning is most similar to `text`, if one is similar at all.
fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    let allowed = (text.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::levenshtein(text, candidate.get(..text.len()).unwrap_or(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_a_name() {
        assert_eq!(not_hexadecimal("1e6229dd21rd").as_deref(), Some("`r` at position 11 is not a hexadecimal digit"));
        for name in ["redis", "node18", "alpine", "1e6229dd21", "deadbeef", "v1.2"] {
            assert_eq!(not_hexadecimal(name), None, "{name}");
        }
    }

    #[test]
    fn the_nearest_id_shares_most_of_its_beginning() {
        let ids = ["0123456789ab", "1e6229dd21ad", "7b3d00000000"];
        assert_eq!(nearest("1e6229dd21rd", ids), Some("1e6229dd21ad"));
        assert_eq!(nearest("ffffffff", ids), None);
    }
}
