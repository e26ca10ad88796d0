//! `build --check`: what could be better in a Dockerfile.

use super::call;
use crate::builder::Listener;
use crate::builder::files::context;
use crate::builder::files::named::Contexts;
use crate::builder::read::stage::Plan;
use crate::builder::read::{check, parse};
use crate::cli::Context;
use crate::cli::progress::Progress;
use crate::diag::Failure;
use crate::image;
use crate::image::name::platform::Platform;
use std::collections::BTreeMap;

/// Prints the warnings of a Dockerfile in Docker's words.
pub(super) fn lint(
    source: parse::Source,
    opened: &context::Context,
    context: &Context,
    progress: &mut Progress,
    is_json: bool,
) -> Result<u8, Failure> {
    let mut plan = Plan::new(source, &BTreeMap::new(), None, &Platform::here(), Contexts::default())?;
    let known = |name: &str| {
        let image = image::find(&context.store, name).ok()?;
        let env = image.config().config().as_ref()?.env().clone().unwrap_or_default();
        let variables = env.iter().filter_map(|entry| Some(entry.split_once('=')?.0.to_owned())).collect();
        Some(check::Known { variables, platform: image::name::platform::of_config(image.config()) })
    };
    let mut warnings = check::check(&plan, &opened.ignore, &known);
    warnings.append(&mut plan.source.warnings);
    let (warnings, _) = check::selected(&plan.source, warnings);
    if is_json {
        progress.flush();
        call::warnings(&warnings);
        return Ok(u8::from(!warnings.is_empty()));
    }
    warnings.iter().for_each(|warning| progress.warning(warning));
    progress.flush();
    match warnings.len() {
        0 => println!("Check complete, no warnings found."),
        1 => println!("Check complete, 1 warning has been found!"),
        many => println!("Check complete, {many} warnings have been found!"),
    }
    Ok(u8::from(!warnings.is_empty()))
}
