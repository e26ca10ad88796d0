//! `run --dry-run`: the plan of a start, with nothing made.

use super::Context;
use super::step_printer::{ExplainFormat, StepPrinter};
use crate::container::decide::create;
use crate::container::live::{launch, networks};
use crate::container::request::{Network, Request};
use crate::container::rootfs::layering::Layering;
use crate::container::rootfs::shift;
use crate::diag::Failure;
use crate::explain::words::Language;
use crate::image::ImageError;
use crate::network::egress;

/// Prints the steps that `run` would carry out. An image that is not in the store is named, and not pulled.
pub(super) fn print(
    context: &Context,
    request: Request,
    how: ExplainFormat,
    language: Language,
) -> Result<u8, Failure> {
    let store = &context.store;
    let image = match crate::image::find(store, &request.image) {
        Err(ImageError::NotFound { .. }) => {
            println!("{} would be pulled; what it says is not known yet", request.image);
            return Ok(0);
        }
        other => other?,
    };
    let decided = create::decide(store, &image, request)?;
    let (record, spec) = (&decided.record, &decided.spec);
    let ids = shift::ids(store, record.request.host_ids)?;
    let mut plan =
        launch::plan(store, record, spec, &ids, None, Layering::of(store), networks::foreseen(store, record)?)?;
    if record.request.network == Network::Private
        && let Ok(way) = egress::Way::find(&record.request.way_out, launch::network_of(&record.request))
    {
        plan.lead_out(&way);
    }
    let directory = store.path("containers").join(&record.id);
    StepPrinter::new(how, language, store.root.clone(), directory).print_plan(&plan);
    Ok(0)
}
