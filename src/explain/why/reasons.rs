//! The state of a container and the reasons for it, gathered from all sources.

use super::files::Files;
use super::naming::signal_name;
use super::verdict::Verdict;
use super::{Code, end, last_words, ports, refusal, stop};
use crate::container::decide::spec;
use crate::container::decide::spec::Origin;
use crate::container::stored::health::HealthStatus;
use crate::container::stored::outcome;
use crate::container::stored::outcome::Asker;
use crate::container::stored::record::{Container, Phase, State};
use crate::diag::{self, Failure};
use crate::explain::layers::stack;
use crate::image;
use crate::store::Store;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Reasons {
    pub container: String,
    pub phase: String,
    pub exit_code: i32,
    /// The monitor recorded the end. A monitor that was killed could not, and older versions did not.
    pub is_recorded: bool,
    /// The signal that ended the first process; `None`: it exited by itself, or the end was not recorded.
    pub signal: Option<String>,
    pub started: Option<String>,
    pub finished: Option<String>,
    /// Signals that minirun sent to it, the newest last.
    pub asked: Vec<SignalRequest>,
    /// It outlived the grace period of a `stop`, so its monitor sent SIGKILL.
    pub grace_ran_out: bool,
    pub out_of_memory: bool,
    /// The last line of its output, after it has ended.
    pub last_line: Option<String>,
    /// What its health checks have found: `starting`, `healthy` or `unhealthy`; `None`: it has none, or does not run.
    pub health: Option<HealthStatus>,
    /// Each word of the command, and where it comes from.
    pub argv: Vec<Word>,
    pub verdicts: Vec<Verdict>,
}

/// A signal that was sent through minirun.
#[derive(Debug, Serialize)]
pub(crate) struct SignalRequest {
    pub by: Asker,
    pub signal: String,
    pub at: String,
    /// The grace period of a `stop`; `None`: not a `stop`, or one that waits for ever.
    pub grace_ms: Option<u32>,
}

impl From<outcome::Asked> for SignalRequest {
    fn from(asked: outcome::Asked) -> Self {
        Self { by: asked.by, signal: signal_name(asked.signal), at: asked.at, grace_ms: asked.grace_ms }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Word {
    pub word: String,
    pub origin: Origin,
}

/// Explains the state of a container. Must run inside the user namespace.
///
/// # Errors
/// When its files or records cannot be read.
pub(crate) fn reasons(store: &Store, container: &Container) -> Result<Reasons, Failure> {
    let image = image::find(store, &container.record.image_id.to_string())?;
    let layers = stack::layers(store, &image)?;
    let state = container.state();
    let argv = spec::argv(&container.record.request, image.config());
    let files = Files { layers: &layers, container };
    let mut verdicts = Vec::new();
    let refused = [diag::ENGINE, diag::NOT_EXECUTABLE, diag::NOT_FOUND].map(i32::from);
    let failed_to_start = !state.error.is_empty() && refused.contains(&state.exit_code);
    let has_ended = matches!(state.phase, Phase::Exited | Phase::Restarting);
    let lines = if has_ended { last_words::lines(container, &state.started) } else { Vec::new() };
    match state.phase {
        Phase::Running => {
            verdicts.extend(end::loops(container, &state));
            verdicts.extend(unhealthy(&state));
            verdicts.extend(stop::stopped(container, &state));
            verdicts.extend(ports::unanswered(container, &image, &state));
            verdicts.extend(stop::will_take_long(&files, &state)?);
        }
        _ if failed_to_start => {
            let is_engine = state.exit_code == i32::from(diag::ENGINE);
            let reason = if is_engine { ports::refused(container) } else { refusal::of_argv(&files, &argv)? };
            verdicts.push(reason.unwrap_or_else(|| could_not_start(container, &state)));
        }
        Phase::Restarting => {
            verdicts.extend(end::loops(container, &state));
            verdicts.extend(end::ended(&files, &state, &argv, &lines)?);
        }
        Phase::Exited => verdicts.extend(end::ended(&files, &state, &argv, &lines)?),
        Phase::Created => {}
    }
    let health = state.health.as_ref().filter(|_| state.phase == Phase::Running).map(|health| health.status);
    let is_recorded = state.outcome.is_some();
    let outcome = state.outcome.unwrap_or_default();
    let known = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Reasons {
        container: container.record.name.clone(),
        phase: state.phase.to_string(),
        exit_code: state.exit_code,
        is_recorded,
        signal: outcome.signal.map(signal_name),
        started: known(state.started),
        finished: known(state.finished),
        asked: outcome.asked.into_iter().map(SignalRequest::from).collect(),
        grace_ran_out: outcome.grace_ran_out,
        out_of_memory: state.oom_killed,
        last_line: if failed_to_start { None } else { lines.last().map(|line| line.text.clone()) },
        health,
        argv: argv.into_iter().map(|(word, origin)| Word { word, origin }).collect(),
        verdicts,
    })
}

/// Returns the error that `run` reported.
fn could_not_start(container: &Container, state: &State) -> Verdict {
    let verdict = Verdict::new(Code::CouldNotStart, &container.record.name, &state.error);
    // A verdict has one line for its advice.
    Verdict { advice: state.hint.as_ref().map(|hint| hint.replace('\n', "; ")), ..verdict }
}

/// Tells of a container whose health check fails.
fn unhealthy(state: &State) -> Option<Verdict> {
    let health = state.health.as_ref().filter(|health| health.status == HealthStatus::Unhealthy)?;
    let last = health.log.last()?;
    let output = last.output.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let found = match (last.exit_code, output) {
        (-1, output) => output.to_owned(),
        (code, "") => format!("exit code {code}"),
        (code, output) => format!("exit code {code}, {output}"),
    };
    Some(Verdict::new(Code::Unhealthy, health.failing_streak, found))
}
