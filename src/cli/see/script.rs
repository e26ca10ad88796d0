//! `script`: a shell script that starts a container by hand.

use crate::cli::flags::ReportFlags;
use crate::cli::{Context, json};
use crate::container::decide::create;
use crate::container::decide::create::Decided;
use crate::container::live::{launch, networks};
use crate::container::request::Request;
use crate::container::rootfs::layering::Layering;
use crate::container::rootfs::shift;
use crate::diag::Failure;
use crate::explain::by_hand::{self, Part, Surroundings};
use crate::explain::layers::subject::{self, Subject};
use crate::explain::words::Language;
use crate::userns::IdMap;
use clap::Args;
use serde::Serialize;

#[derive(Args)]
pub(crate) struct ScriptArgs {
    #[command(flatten)]
    report: ReportFlags,
    #[arg(value_name = "IMAGE|CONTAINER")]
    name: String,
}

#[derive(Serialize)]
struct Parts<'a> {
    name: &'a str,
    parts: &'a [Part],
}

impl ScriptArgs {
    pub(crate) fn run(self, context: &Context) -> Result<u8, Failure> {
        let store = &context.store;
        let subject = subject::find(store, &self.name)?;
        let upper = subject.container().map(|container| container.directory.join("upper"));
        let decided = match subject {
            Subject::Container(container) => {
                Decided { spec: container.spec()?.clone(), record: container.record.clone() }
            }
            // Decided as `run` without options would.
            Subject::Image(image) => {
                create::decide(store, &image, Request { image: self.name.clone(), ..Request::default() })?
            }
        };
        let directory = store.path("containers").join(&decided.record.id);
        let places = networks::foreseen(store, &decided.record)?;
        let address = places.first().map(|place| place.v4);
        let plan = launch::plan(
            store,
            &decided.record,
            &decided.spec,
            &IdMap::of_caller(),
            None,
            Layering::of(store),
            places,
        )?;
        let surroundings = Surroundings {
            store: &store.root,
            upper: upper.as_deref(),
            directory: &directory,
            files: &decided.files(address),
            ids: &IdMap::of_caller(),
            is_shifted: shift::ids(store, decided.record.request.host_ids)?.is_shifted(),
        };
        let language = Language::current();
        let parts = by_hand::parts(&plan, &surroundings, language);
        if self.report.json {
            json::print(&Parts { name: &self.name, parts: &parts })?;
        } else {
            print!("{}", by_hand::script(&parts, &self.name, language));
        }
        Ok(0)
    }
}
