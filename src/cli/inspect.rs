//! `inspect`: images and containers as JSON.

use super::Context;
use super::format::{Format, FormatError, Renderer};
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::explain::layers::subject::{self, Subject};
use crate::image::stored::usage::bytes;
use crate::{container, image};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

#[derive(Args)]
pub(super) struct InspectArgs {
    /// Print through a Go template, or one line of JSON each: json
    #[arg(short, long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
    /// Print the sizes of containers' files too
    #[arg(short, long)]
    size: bool,
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
    if arguments.size {
        // Only there can all files be read.
        super::inside::enter(&context.store)?;
    }
    let mut objects = Vec::new();
    let mut code = 0;
    for name in &arguments.names {
        match inspect_one(name, arguments, context) {
            Ok(object) => objects.push(object),
            Err(failure) => {
                crate::cli::stderr::report(failure.as_ref());
                code = 1;
            }
        }
    }
    print(&arguments.format, objects)?;
    Ok(code)
}

/// Prints objects as Docker's `inspect` does: as one list, or each through a template.
///
/// # Errors
/// When the template names a field that an object does not have.
pub(super) fn print(format: &Format, objects: Vec<Value>) -> Result<(), FormatError> {
    match format {
        Format::Default => {
            println!("{}", serde_json::to_string_pretty(&Value::Array(objects)).unwrap_or_default());
        }
        Format::Json => objects.iter().for_each(|object| println!("{object}")),
        Format::Table(template) | Format::Lines(template) => {
            let renderer = Renderer::new(template)?;
            for object in &objects {
                println!("{}", renderer.render(object)?);
            }
        }
    }
    Ok(())
}

fn inspect_one(name: &str, arguments: &InspectArgs, context: &Context) -> Result<Value, Failure> {
    let store = &context.store;
    let subject = match arguments.r#type {
        Some(ObjectType::Container) => Subject::Container(Box::new(Container::find(store, name)?)),
        Some(ObjectType::Image) => Subject::Image(Box::new(image::find(store, name)?)),
        None => subject::find(store, name)?,
    };
    match subject {
        Subject::Container(container) => {
            let mut shown = container::inspect::json(store, &container)?;
            if arguments.size {
                let own = bytes(&container.directory.join("upper"))?;
                let below = image::find(store, &container.record.image_id.to_string())?.size(store)?;
                shown["SizeRw"] = json!(own);
                shown["SizeRootFs"] = json!(own + below);
            }
            Ok(shown)
        }
        Subject::Image(image) => Ok(image::inspect::json(store, &image)?),
    }
}
