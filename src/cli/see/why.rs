//! `why`: the reasons of a container's state.

use crate::cli::flags::ReportFlags;
use crate::cli::{Context, human, inside, json};
use crate::container::decide::spec::Origin;
use crate::container::request::{Request, STOP_TIMEOUT};
use crate::container::stored::health::HealthStatus;
use crate::container::stored::outcome::Asker;
use crate::container::stored::record::Container;
use crate::diag::{Failure, printable};
use crate::explain::why::{Code, Reasons, SignalRequest, Target, Verdict, Word, passage, reasons};
use crate::explain::words::{Language, Words, place};
use clap::Args;

#[derive(Args)]
pub(crate) struct WhyArgs {
    #[command(flatten)]
    report: ReportFlags,
    /// Explain what stands between it and another container: NAME[:PORT[/udp]]
    #[arg(long, value_name = "NAME[:PORT]", value_parser = Target::parse)]
    to: Option<Target>,
    container: String,
}

impl WhyArgs {
    pub(crate) fn run(self, context: &Context) -> Result<u8, Failure> {
        if let Some(target) = self.to {
            return to(context, &self.container, &target, self.report.json);
        }
        let place = Container::find(&context.store, &self.container)?.place();
        inside::enter_at(&context.store, place)?;
        let container = Container::find(&context.store, &self.container)?;
        let reasons = reasons(&context.store, &container)?;
        if self.report.json {
            json::print(&reasons)?;
        } else {
            print!("{}", text(&reasons, &container.record.request, Language::current()));
        }
        Ok(0)
    }
}

/// Explains why a container does not reach another.
fn to(context: &Context, container: &str, target: &Target, is_json: bool) -> Result<u8, Failure> {
    Container::find(&context.store, container)?;
    inside::enter(&context.store)?;
    let container = Container::find(&context.store, container)?;
    let passage = passage(&context.store, &container, target)?;
    if is_json {
        json::print(&passage)?;
        return Ok(0);
    }
    let words = Language::current().words();
    let name = passage.container.as_str();
    let mut text = String::new();
    for peer in passage.peers.iter().filter(|_| passage.verdicts.is_empty()) {
        let sentence = match peer.network {
            None => words.reaches_beside,
            Some(_) if passage.is_running => words.reaches,
            Some(_) => words.will_reach,
        };
        let listening = peer.listening.join(", ");
        let network = peer.network.as_deref().unwrap_or_default();
        let subject = ("subject", peer.container.as_str());
        let said = place(sentence, &[("name", name), subject, ("found", &peer.address), ("network", network)]);
        text += &format!("{}\n", human::sentence(&said, 0));
        if !listening.is_empty() {
            let said = place(words.listens_on, &[subject, ("found", &listening)]);
            text += &format!("{}\n", human::sentence(&said, 0));
        }
    }
    for verdict in &passage.verdicts {
        text += &explained(verdict, words, &[("name", name)]);
    }
    print!("{text}");
    Ok(0)
}

/// Returns what is wrong and what mends it. `more`: values beside those of the verdict.
fn explained(verdict: &Verdict, words: &Words, more: &[(&str, &str)]) -> String {
    let (reason, mend) = verdict.texts(words);
    let Verdict { subject, found, advice, .. } = verdict;
    let own = [("subject", subject.as_str()), ("found", found), ("advice", advice.as_deref().unwrap_or_default())];
    let values = [&own[..], more].concat();
    let (found, advice) = (place(reason, &values), place(mend, &values));
    format!("{}\n   → {}\n", human::sentence(&found, 0), human::sentence(&advice, 5))
}

fn text(reasons: &Reasons, created: &Request, language: Language) -> String {
    let words = language.words();
    let (code, name) = (reasons.exit_code.to_string(), reasons.container.as_str());
    let mut text = String::new();
    let has_ended = ["exited", "restarting"].contains(&reasons.phase.as_str());
    let titles = [words.what_ran, words.how_it_ended, words.last_line];
    let indent = titles[..if has_ended { 3 } else { 1 }].iter().map(|title| title.chars().count()).max().unwrap_or(0);
    let from = |origin: &Origin| match origin {
        Origin::EntrypointOption => words.from_entrypoint_option,
        Origin::ImageEntrypoint => words.from_image_entrypoint,
        Origin::CommandLine => words.from_command_line,
        Origin::ImageCmd => words.from_image_cmd,
    };
    let widest = reasons.argv.iter().map(|word| from(&word.origin).chars().count()).max().unwrap_or(0);
    let room = human::width().map_or(usize::MAX, |all| all.saturating_sub(indent + widest + 6).max(10));
    let shown: Vec<String> = reasons.argv.iter().map(|Word { word, .. }| printable(word).into_owned()).collect();
    let width = shown.iter().map(|word| word.chars().count()).max().unwrap_or(0).min(40).min(room);
    for (index, (Word { origin, .. }, word)) in reasons.argv.iter().zip(shown).enumerate() {
        let title = if index == 0 { words.what_ran } else { "" };
        // A long word is wrapped.
        let mut lines = human::wrapped(&word, room).into_iter();
        text += &format!("{title:<indent$}   {:<width$}   {}\n", lines.next().unwrap_or_default(), from(origin));
        lines.for_each(|line| text += &format!("{:indent$}   {line}\n", ""));
    }
    let ended = if has_ended { how_it_ended(reasons, words) } else { Vec::new() };
    let last = reasons.last_line.iter().map(|line| printable(line.trim_start()).into_owned());
    for (title, lines) in [(words.how_it_ended, ended), (words.last_line, last.collect())] {
        for (index, line) in lines.iter().enumerate() {
            let line = human::sentence(line, indent + 3);
            text += &format!("{:<indent$}   {line}\n", if index == 0 { title } else { "" });
        }
    }
    text.push('\n');
    if reasons.verdicts.is_empty() {
        let sentence = match (reasons.phase.as_str(), reasons.health) {
            ("exited", _) if is_asked(reasons) => words.ended_as_asked,
            ("exited", _) => words.ended_well,
            ("running", Some(HealthStatus::Healthy)) => words.runs_healthy,
            ("running", Some(_)) => words.runs_starting,
            ("running", None) => words.runs_well,
            _ => words.was_never_started,
        };
        text += &place(sentence, &[("name", name), ("code", &code)]);
        text.push('\n');
    }
    let grace = grace(created.stop_timeout, words);
    for verdict in &reasons.verdicts {
        let is_it = |asked: &&SignalRequest| match verdict.code {
            Code::GraceRanOut => asked.by == Asker::Stop,
            _ => asked.signal == verdict.found,
        };
        let request = reasons.asked.iter().rfind(is_it);
        let asked = request.map(|asked| asked_for(asked, words)).unwrap_or_default();
        let grace = request.and_then(|asked| asked.grace_ms).map_or_else(|| grace.clone(), |ms| seconds(ms, words));
        let values = [
            ("name", name),
            ("image", &created.image),
            ("code", &code),
            ("grace", &grace),
            ("at", request.map(|asked| time(&asked.at)).unwrap_or_default()),
            ("asked", &asked),
        ];
        text += &explained(verdict, words, &values);
    }
    text
}

/// Whether the last signal is one that ends programs; others, such as SIGHUP, often only make them read their settings.
fn is_asked(reasons: &Reasons) -> bool {
    const TO_END: [&str; 4] = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGKILL"];
    let last = reasons.asked.last();
    last.is_some_and(|asked| asked.by == Asker::Stop || TO_END.contains(&asked.signal.as_str()))
}

/// Returns the lines about the end that the monitor recorded.
fn how_it_ended(reasons: &Reasons, words: &Words) -> Vec<String> {
    let code = reasons.exit_code.to_string();
    let mut lines: Vec<String> = reasons.asked.iter().map(|asked| asked_for(asked, words)).collect();
    if reasons.grace_ran_out {
        let stop = reasons.asked.iter().rfind(|asked| asked.by == Asker::Stop).and_then(|asked| asked.grace_ms);
        lines.push(place(words.asked_and_killed, &[("grace", &seconds(stop.unwrap_or_default(), words))]));
    }
    lines.push(match &reasons.signal {
        Some(signal) => place(words.ended_by, &[("signal", signal), ("code", &code)]),
        None if !reasons.is_recorded => place(words.ended_unseen, &[("code", &code)]),
        None => place(words.exited_by_itself, &[("code", &code)]),
    });
    lines
}

fn asked_for(asked: &SignalRequest, words: &Words) -> String {
    let sentence = match asked.by {
        Asker::Stop => words.asked_by_stop,
        Asker::Kill => words.asked_by_kill,
        Asker::Health => words.asked_by_health,
        Asker::Client => words.asked_by_client,
        Asker::Monitor => words.asked_by_monitor,
    };
    place(sentence, &[("signal", &asked.signal), ("at", time(&asked.at))])
}

/// Returns a time without the fractions of a second.
fn time(text: &str) -> &str {
    text.split('.').next().unwrap_or(text)
}

/// Returns how long `stop` waits for a container, in words.
fn grace(timeout: Option<u32>, words: &Words) -> String {
    seconds(timeout.unwrap_or(STOP_TIMEOUT).saturating_mul(1000), words)
}

fn seconds(ms: u32, words: &Words) -> String {
    place(words.seconds, &[("number", &(f64::from(ms) / 1000.0).to_string())])
}
