//! `-o` and `--annotation`, as they are typed.

use super::error::BuildArgsError;
use crate::builder::read::annotation::Annotation;
use crate::builder::{Output, OutputKind};
use crate::image::name::reference::Reference;
use std::io::IsTerminal;

/// Parses `-o`: a path alone, or fields.
pub(super) fn output(text: &str) -> Result<Output, BuildArgsError> {
    let wrong = |why: String| BuildArgsError::Output(text.to_owned(), why);
    let path = |text: &str| match text {
        "-" => None,
        path => Some(std::path::absolute(path).unwrap_or_else(|_| path.into())),
    };
    let mut output =
        Output { kind: OutputKind::Local, target: None, names: Vec::new(), pushes: false, annotations: Vec::new() };
    if !text.contains('=') {
        output.kind = if text == "-" { OutputKind::Tar } else { OutputKind::Local };
        output.target = path(text);
        return Ok(output);
    }
    let (mut kind, mut dest) = (None, None);
    for (key, value) in csv(text) {
        match key.as_str() {
            "type" => kind = Some(value),
            "dest" => dest = Some(value),
            "name" => {
                for name in value.split(',') {
                    let name: Reference = name.parse().map_err(|error| wrong(format!("{error}")))?;
                    output.names.push(name.or_latest());
                }
            }
            _ if key.starts_with("annotation.") || key.starts_with("annotation-") => {
                let (place, name) = annotated(&key).ok_or_else(|| wrong(format!("{key:?} has no name")))?;
                output.annotations.extend(Annotation::parse(place, name, &value).map_err(wrong)?);
            }
            "push" => output.pushes = value != "false",
            other => {
                return Err(wrong(format!(
                    "no such setting {other:?}; settings: type, dest, name, push, annotation.NAME"
                )));
            }
        }
    }
    output.kind = match kind.as_deref().ok_or_else(|| wrong("type=… is missing".into()))? {
        "local" => OutputKind::Local,
        "tar" => OutputKind::Tar,
        "oci" => OutputKind::Oci,
        // Without a file it goes where the daemon would put it.
        "docker" if dest.is_none() => OutputKind::Image,
        "docker" => OutputKind::Docker,
        "image" => OutputKind::Image,
        "registry" => {
            output.pushes = true;
            OutputKind::Image
        }
        "cacheonly" => OutputKind::Nothing,
        _ => return Err(wrong("no such type".into())),
    };
    let is_elsewhere = matches!(output.kind, OutputKind::Image | OutputKind::Nothing);
    if is_elsewhere && dest.is_some() {
        return Err(wrong("this type has no dest".into()));
    }
    if output.kind != OutputKind::Image && (output.pushes || !output.names.is_empty()) {
        return Err(wrong("name and push are settings of type=image and type=registry".into()));
    }
    output.target = dest.as_deref().and_then(path);
    match (output.kind, &output.target) {
        (OutputKind::Local, None) => Err(wrong("dest=DIR is missing".into())),
        (_, None) if !is_elsewhere && std::io::stdout().is_terminal() => {
            Err(wrong("standard output is a terminal; add dest=FILE".into()))
        }
        _ => Ok(output),
    }
}

/// Returns the place and the name in `annotation.NAME` and `annotation-PLACE.NAME`.
fn annotated(key: &str) -> Option<(&str, &str)> {
    let rest = key.strip_prefix("annotation")?;
    // The place may have a platform in brackets, and that may have dots.
    let dot = match rest.find(']') {
        Some(bracket) => bracket + rest.get(bracket..)?.find('.')?,
        None => rest.find('.')?,
    };
    let (place, name) = (rest.get(..dot)?, rest.get(dot + 1..)?);
    Some((place.strip_prefix('-').unwrap_or("manifest"), name))
}

/// Parses `[TYPE:]NAME=VALUE`.
pub(super) fn annotation(text: &str) -> Result<Vec<Annotation>, BuildArgsError> {
    let wrong = |why: String| BuildArgsError::Annotation(text.to_owned(), why);
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("NAME=VALUE is missing".into()))?;
    let (places, name) = name.split_once(':').unwrap_or(("manifest", name));
    Annotation::parse(places, name, value).map_err(wrong)
}

/// Parses `a=1,b=2`; a field in quotes may contain commas.
pub(super) fn csv(text: &str) -> Vec<(String, String)> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            c => fields.last_mut().into_iter().for_each(|field| field.push(c)),
        }
    }
    let pair = |field: String| match field.split_once('=') {
        Some((key, value)) => (key.trim().to_owned(), value.to_owned()),
        None => (field, "true".to_owned()),
    };
    fields.into_iter().map(pair).collect()
}
