//! `--secret` and `--ssh`, as they are typed.

use super::error::BuildArgsError;
use crate::builder::Secret;
use std::path::PathBuf;

pub(super) fn secret(text: &str) -> Result<Secret, BuildArgsError> {
    let field = |names: &[&str]| {
        let fields = text.split(',').filter_map(|field| field.split_once('='));
        fields.filter(|(name, _)| names.contains(name)).map(|(_, value)| value).next()
    };
    let wrong = |why| BuildArgsError::Secret(text.to_owned(), why);
    let id = field(&["id"]).ok_or_else(|| wrong("id=… is missing"))?;
    let file = field(&["src", "source"]);
    let variable = field(&["env"]).or_else(|| file.is_none().then_some(id).filter(|id| std::env::var_os(id).is_some()));
    let contents = match (file, variable) {
        (Some(file), _) => std::fs::read(file).map_err(|e| BuildArgsError::Read(file.into(), e))?,
        (None, Some(name)) => std::env::var(name).map_err(|_| wrong("the variable is not set"))?.into_bytes(),
        (None, None) => std::fs::read(id).map_err(|_| wrong("src=FILE or env=NAME is missing"))?,
    };
    Ok(Secret { id: id.to_owned(), contents })
}

pub(super) fn agent(text: &str) -> Result<(String, PathBuf), BuildArgsError> {
    let (id, socket) = match text.split_once('=') {
        Some((id, socket)) => (id, PathBuf::from(socket)),
        None => (text, std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from).unwrap_or_default()),
    };
    if !socket.exists() {
        return Err(BuildArgsError::Ssh(text.to_owned()));
    }
    Ok((id.to_owned(), std::path::absolute(&socket).unwrap_or(socket)))
}
