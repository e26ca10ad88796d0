/// Returns whether Docker allows it as the name of a container or a volume.
pub(crate) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && (2..=255).contains(&name.len())
        && chars.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}
