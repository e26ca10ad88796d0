//! How far a pull or push has got: Docker's lines.

use crate::registry::{Progress, State};

/// Prints to standard output, or aside of it for a command whose output this is not.
pub struct Printer {
    quiet: bool,
    aside: bool,
}

impl Printer {
    pub fn new(quiet: bool, aside: bool) -> Self {
        Self { quiet, aside }
    }

    pub fn say(&self, text: &str) {
        match (self.quiet, self.aside) {
            (true, _) => {}
            (false, false) => println!("{text}"),
            (false, true) => eprintln!("{text}"),
        }
    }
}

impl Progress for Printer {
    fn line(&self, text: &str) {
        self.say(text);
    }

    fn layer(&self, id: &str, state: State) {
        let state = match state {
            State::AlreadyExists => "Already exists",
            State::Downloading { done: 0, .. } => "Pulling fs layer",
            State::Downloading { done, total } if done == total => "Download complete",
            State::Downloading { .. } => return,
            State::PullComplete => "Pull complete",
            State::LayerExists => "Layer already exists",
            State::Mounted { from } => return self.say(&format!("{id}: Mounted from {from}")),
            State::Pushing { .. } => return,
            State::Pushed => "Pushed",
        };
        self.say(&format!("{id}: {state}"));
    }
}
