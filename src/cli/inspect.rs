//! `inspect`: images and containers as JSON.

use super::{Context, format};
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::explain::layers::subject::{self, Subject};
use crate::{container, image};
use clap::{Args, ValueEnum};
use serde_json::Value;

#[derive(Args)]
pub(super) struct InspectArgs {
    /// Print through a Go template
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Look only for containers, or only for images
    #[arg(long)]
    r#type: Option<ObjectType>,
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum ObjectType {
    Container,
    Image,
}

impl InspectArgs {
    /// Returns the arguments for one type of object.
    pub(super) fn of(self, kind: ObjectType) -> Self {
        Self { r#type: Some(kind), ..self }
    }
}

pub(super) fn inspect(arguments: &InspectArgs, context: &Context) -> Result<u8, Failure> {
    let mut objects = Vec::new();
    let mut code = 0;
    for name in &arguments.names {
        match inspect_one(name, arguments.r#type, context) {
            Ok(object) => objects.push(object),
            Err(failure) => {
                crate::cli::stderr::report(failure.as_ref());
                code = 1;
            }
        }
    }
    match &arguments.format {
        Some(template) => {
            for object in &objects {
                println!("{}", format::render(template, object)?);
            }
        }
        None => println!("{}", serde_json::to_string_pretty(&Value::Array(objects)).unwrap_or_default()),
    }
    Ok(code)
}

fn inspect_one(name: &str, wanted: Option<ObjectType>, context: &Context) -> Result<Value, Failure> {
    let store = &context.store;
    let subject = match wanted {
        Some(ObjectType::Container) => return Ok(container::inspect::json(store, &Container::find(store, name)?)?),
        Some(ObjectType::Image) => Subject::Image(Box::new(image::find(store, name)?)),
        None => subject::find(store, name)?,
    };
    Ok(match subject {
        Subject::Container(container) => container::inspect::json(store, &container)?,
        Subject::Image(image) => image::inspect::json(store, &image)?,
    })
}
