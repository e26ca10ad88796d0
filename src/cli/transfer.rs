//! The progress of a pull or push: Docker's lines, and in a terminal a bar for each layer.

use super::human;
use crate::registry::{Progress, State};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::collections::HashMap;
use std::sync::Mutex;

/// Prints to standard output, or to standard error where `aside` is set.
pub(super) struct Printer {
    quiet: bool,
    aside: bool,
    bars: Option<Bars>,
}

/// One bar for each layer, by its ID.
struct Bars {
    all: MultiProgress,
    layers: Mutex<HashMap<String, ProgressBar>>,
}

impl Printer {
    pub(super) fn new(quiet: bool, aside: bool) -> Self {
        let target = if aside { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::stdout() };
        let all = MultiProgress::with_draw_target(target);
        // Pipes, and terminals that cannot move the cursor, show no bars.
        let bars = (!quiet && !all.is_hidden()).then(|| Bars { all, layers: Mutex::default() });
        Self { quiet, aside, bars }
    }

    pub(super) fn say(&self, text: &str) {
        match (self.quiet, self.aside) {
            (true, _) => {}
            (false, false) => println!("{text}"),
            (false, true) => eprintln!("{text}"),
        }
    }
}

impl Progress for Printer {
    fn line(&self, text: &str) {
        match &self.bars {
            // Printed above the bars.
            Some(bars) => bars.all.suspend(|| self.say(text)),
            None => self.say(text),
        }
    }

    fn layer(&self, id: &str, state: State) {
        if let Some(bars) = &self.bars {
            bars.show(id, &state);
        } else if let Some(words) = words(&state) {
            self.say(&format!("{id}: {words}"));
        }
    }
}

/// Returns the line of a state where there are no bars.
fn words(state: &State) -> Option<String> {
    let words = match state {
        State::AlreadyExists => "Already exists",
        State::Downloading { done: 0, .. } => "Pulling fs layer",
        State::Downloading { done, total } if done == total => "Download complete",
        State::Downloading { .. } | State::Pushing { .. } => return None,
        State::PullComplete => "Pull complete",
        State::LayerExists => "Layer already exists",
        State::Foreign => "Skipped foreign layer",
        State::Mounted { from } => return Some(format!("Mounted from {from}")),
        State::Pushed => "Pushed",
    };
    Some(words.to_owned())
}

impl Bars {
    fn show(&self, id: &str, state: &State) {
        let mut layers = self.layers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let bar = layers.entry(id.to_owned()).or_insert_with(|| {
            // It is drawn when it has a message.
            let bar = ProgressBar::hidden().with_prefix(id.to_owned()).with_style(still());
            self.all.add(bar)
        });
        match state {
            State::Downloading { done: 0, total } => begin(bar, "Downloading", *total),
            State::Pushing { done: 0, total } => begin(bar, "Pushing", *total),
            State::Downloading { done, total } if done == total => rest(bar, "Extracting"),
            State::Downloading { done, .. } => bar.set_position(*done),
            State::Pushing { done, total } => {
                bar.set_length(*total);
                bar.set_position(*done);
            }
            ended => {
                rest(bar, &words(ended).unwrap_or_default());
                bar.finish();
            }
        }
    }
}

fn begin(bar: &ProgressBar, verb: &str, total: u64) {
    bar.set_length(total);
    bar.set_message(verb.to_owned());
    bar.set_style(moving());
}

fn rest(bar: &ProgressBar, words: &str) {
    bar.set_style(still());
    bar.set_message(words.to_owned());
}

fn still() -> ProgressStyle {
    style("{prefix}: {msg}")
}

/// The style of a moving bar, as Docker draws it.
fn moving() -> ProgressStyle {
    let sizes = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        let total = state.len().unwrap_or_default();
        // A bar that cannot be drawn is drawn the next time.
        let _ = write!(text, "{}/{}", human::size(state.pos()), human::size(total));
    };
    style("{prefix}: {msg} [{bar:40}] {sizes}").with_key("sizes", sizes).progress_chars("=> ")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
