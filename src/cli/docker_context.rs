//! `context`: Docker's contexts, of which there is one.

use super::format::Format;
use super::inspect;
use super::listing::{Fields, Listing, Row};
use crate::diag::{Diagnose, Failure};
use clap::Subcommand;
use serde_json::json;

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum ContextCommand {
    /// List the contexts: there is one
    Ls {
        /// Print only names
        #[arg(short, long)]
        quiet: bool,
        /// Print through a template: json, '{{.Name}}'
        #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
        format: Format,
    },
    /// Print the name of the current context
    Show,
    /// Set the current context, which is the one there is
    Use {
        /// The context's name: default
        name: String,
    },
    /// Show contexts as JSON
    Inspect {
        /// The context's name: default
        names: Vec<String>,
        /// Print through a Go template
        #[arg(short, long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
        format: Format,
    },
}

const DEFAULT: &str = "default";
const DESCRIPTION: &str = "minirun on this machine, without a daemon";

#[derive(Debug, thiserror::Error)]
#[error("no such context: {0}")]
struct NoContext(String);

impl Diagnose for NoContext {
    fn hint(&self) -> Option<String> {
        Some("there is one context, default: without a daemon there is no other machine to talk to".into())
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

const FIELDS: Fields = &[
    ("Name", "NAME"),
    ("Current", "CURRENT"),
    ("Description", "DESCRIPTION"),
    ("DockerEndpoint", "DOCKER ENDPOINT"),
    ("Error", "ERROR"),
];

impl ContextCommand {
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Ls { quiet, format } => {
                let columns = if quiet { vec!["Name"] } else { vec!["Name", "Description", "DockerEndpoint", "Error"] };
                let listing = Listing::new(FIELDS, columns, &format)?;
                if quiet && format == Format::Default {
                    println!("{DEFAULT}");
                    return Ok(0);
                }
                let mut row = Row::default();
                // In the table, a star marks the current one.
                row.set("Name", if format == Format::Default { "default *" } else { DEFAULT });
                row.set("Current", "true");
                row.set("Description", DESCRIPTION);
                row.set("DockerEndpoint", "");
                row.set("Error", "");
                listing.print(&[row])?;
            }
            Self::Show => println!("{DEFAULT}"),
            Self::Use { name } if name == DEFAULT => println!("{DEFAULT}"),
            Self::Use { name } => return Err(NoContext(name).into()),
            Self::Inspect { names, format } => {
                if let Some(name) = names.into_iter().find(|name| name != DEFAULT) {
                    return Err(NoContext(name).into());
                }
                let shown = json!({
                    "Name": DEFAULT,
                    "Metadata": { "Description": DESCRIPTION },
                    "Endpoints": { "docker": { "Host": "", "SkipTLSVerify": false } },
                    "TLSMaterial": {},
                    "Storage": { "MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>" },
                });
                inspect::print(&format, vec![shown])?;
            }
        }
        Ok(0)
    }
}
