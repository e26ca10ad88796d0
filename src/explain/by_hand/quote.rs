//! Words of a shell.

use crate::diag::printable;

/// As one word of a shell. What a terminal would obey stands there by its number: whoever prints the script is safe.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from("'");
    for c in word.chars() {
        match c {
            '\'' => text += r"'\''",
            '\n' | '\t' => text.push(c),
            c if printable(c.encode_utf8(&mut [0; 4])) != c.to_string() => {
                let bytes: String = c.to_string().bytes().map(|byte| format!("\\{byte:03o}")).collect();
                text += &format!("'\"$(printf '{bytes}')\"'");
            }
            c => text.push(c),
        }
    }
    text + "'"
}
