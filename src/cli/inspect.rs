//! `inspect`: images and containers as JSON.

use super::{Context, format};
use crate::container::record::{Container, RecordError};
use crate::diag::Failure;
use crate::{container, image};
use clap::{Args, ValueEnum};
use serde_json::Value;

#[derive(Args)]
pub struct InspectArgs {
    /// Print by a Go template
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Look for one kind only
    #[arg(long)]
    r#type: Option<Kind>,
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Kind {
    Container,
    Image,
}

#[derive(Debug, thiserror::Error)]
#[error("no such container or image: {0}")]
struct NotFound(String);

impl crate::diag::Diagnose for NotFound {
    fn hint(&self) -> Option<String> {
        Some("see which there are: minirun ps -a, minirun images".into())
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

pub fn inspect(arguments: &InspectArgs, context: &Context) -> Result<u8, Failure> {
    let mut found = Vec::new();
    let mut code = 0;
    for name in &arguments.names {
        match look(name, arguments.r#type, context) {
            Ok(object) => found.push(object),
            Err(failure) => {
                crate::diag::report(failure.as_ref());
                code = 1;
            }
        }
    }
    match &arguments.format {
        Some(template) => {
            for object in &found {
                println!("{}", format::render(template, object)?);
            }
        }
        None => println!("{}", serde_json::to_string_pretty(&Value::Array(found)).unwrap_or_default()),
    }
    Ok(code)
}

/// A container first, then an image, as Docker looks.
fn look(name: &str, kind: Option<Kind>, context: &Context) -> Result<Value, Failure> {
    if kind != Some(Kind::Image) {
        match Container::find(&context.store, name) {
            Ok(container) => return Ok(container::inspect::json(&context.store, &container)?),
            Err(RecordError::NotFound(_)) if kind.is_none() => {}
            Err(error) => return Err(error.into()),
        }
    }
    match image::find(&context.store, name) {
        Ok(image) => Ok(image::inspect::json(&context.store, &image)?),
        Err(image::ImageError::NotFound { .. }) if kind.is_none() => Err(NotFound(name.to_owned()).into()),
        Err(error) => Err(error.into()),
    }
}
