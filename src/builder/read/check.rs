//! Checks a Dockerfile for what is valid but likely to be a mistake. Warnings have the names of Docker's own checks.

use super::instruction::{Copy, From, Instruction, Step};
use super::parse::{Node, Source, Warning};
use super::stage::{Base, Plan, Stage};
use super::variable::Lexer;
use super::vocabulary;
use crate::builder::files::glob::{Ignore, clean, is_pattern};
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// The rules that apply only if `# check=experimental=…` names them.
const EXPERIMENTAL: [&str; 1] = ["InvalidDefinitionDescription"];

/// Returns the warnings that `# check=skip=…` does not drop, and whether `error=true` makes them errors.
pub fn selected(source: &Source, warnings: Vec<Warning>) -> (Vec<Warning>, bool) {
    let (mut skipped, mut asked) = (BTreeSet::new(), BTreeSet::new());
    let mut fails = false;
    for setting in source.directives.check.iter().flat_map(|text| text.split(';')) {
        match setting.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            Some(("skip", list)) => skipped.extend(list.split(',').map(|rule| rule.trim().to_owned())),
            Some(("experimental", list)) => asked.extend(list.split(',').map(|rule| rule.trim().to_owned())),
            Some(("error", value)) => fails = value.eq_ignore_ascii_case("true"),
            _ => {}
        }
    }
    let kept = warnings.into_iter().filter(|w| !skipped.contains("all") && !skipped.contains(w.rule));
    let kept = kept.filter(|w| !EXPERIMENTAL.contains(&w.rule) || asked.contains("all") || asked.contains(w.rule));
    (kept.collect(), fails)
}

/// The limit for the names of variables that all stages together inherit: each stage has a list of its own.
const MOST_NAMES: usize = 1 << 18;

/// A base image as far as the checks need it.
pub struct Known {
    /// The names of its variables.
    pub variables: Vec<String>,
    pub platform: Platform,
}

/// Checks a plan. `known` returns a base image, if it is known.
pub fn check(plan: &Plan, ignore: &Ignore, known: &dyn Fn(&str) -> Option<Known>) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    // For each stage, the variables that a stage based on it inherits. `None`: not all of them are known.
    let mut variables: Vec<Option<BTreeSet<String>>> = Vec::new();
    let mut left = MOST_NAMES;
    for stage in &plan.stages {
        let line = stage.steps.first().map_or(0, |step| step.node.first);
        if let Some(alias) = &stage.alias
            && let Some(first) = names.insert(alias, line)
        {
            let message = format!("`{alias}` is also the name of the stage in line {first}");
            found.push(Warning { rule: "DuplicateStageName", line, message });
        }
        let begin = match &stage.base {
            Base::Scratch | Base::Files(_) => Some(BTreeSet::new()),
            Base::Stage(base) => variables[base.index()].as_ref().and_then(|names| {
                left = left.checked_sub(names.len())?;
                Some(names.clone())
            }),
            Base::Image(name) => {
                let known = known(name);
                if let Some(Known { platform, .. }) = &known {
                    base_platform(plan, stage, name, platform, &mut found);
                }
                known.map(|known| known.variables.into_iter().collect())
            }
        };
        if let Some(Step { instruction: Instruction::From(from), node }) = stage.steps.first() {
            base_name(plan, from, node, &mut found);
            platform_flag(plan, from, node, &mut found);
        }
        descriptions(plan, stage, &mut found);
        let mut walk =
            Walk { plan, ignore, known: begin, args: BTreeSet::new(), has_directory: false, found: &mut found };
        walk.known.iter_mut().for_each(|known| known.extend(["PATH".to_owned()]));
        stage.steps.iter().for_each(|step| walk.step(step));
        variables.push(walk.known);
        only_one(&stage.steps, &mut found);
    }
    found.sort_by_key(|warning| warning.line);
    found
}

/// Returns the variables of a text.
fn variables(plan: &Plan, text: &str) -> BTreeSet<String> {
    let names = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        names.borrow_mut().insert(name.to_owned());
        None
    };
    let _ = Lexer::new(plan.source.directives.escape, &lookup).word(text);
    names.into_inner()
}

/// Checks the variables in the base of a FROM.
fn base_name(plan: &Plan, from: &From, node: &Node, found: &mut Vec<Warning>) {
    let mut warn = |rule, message| found.push(Warning { rule, line: node.first, message });
    for text in [Some(&from.image), from.platform.as_ref()].into_iter().flatten() {
        for name in variables(plan, text).difference(&plan.declared) {
            let near = vocabulary::guess(name, plan.declared.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean ${near}?")).unwrap_or_default();
            warn("UndefinedArgInFrom", format!("no ARG before the first FROM names ${name}{near}"));
        }
    }
    if from.image.contains('$') {
        let lookup = |name: &str| plan.defaults.get(name).cloned();
        let name = Lexer::new(plan.source.directives.escape, &lookup).word(&from.image).unwrap_or_default();
        if name.parse::<Reference>().is_err() {
            let message =
                format!("without --build-arg, `{}` is `{name}`, which is not the name of an image", from.image);
            warn("InvalidDefaultArgInFrom", message);
        }
    }
}

fn platform_flag(plan: &Plan, from: &From, node: &Node, found: &mut Vec<Warning>) {
    let Some(text) = &from.platform else { return };
    let mut warn = |rule, message| found.push(Warning { rule, line: node.first, message });
    if matches!(text.as_str(), "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let message = format!("--platform={text} is the default");
        warn("RedundantTargetPlatform", message);
    }
    // A stage that is named after its platform is fixed on purpose.
    let says_so = |alias: &String| text.split('/').any(|part| alias.contains(part));
    if variables(plan, text).is_empty() && !from.alias.as_ref().is_some_and(says_so) {
        let message =
            format!("--platform={text} builds for this platform only; a variable leaves the choice to --platform");
        warn("FromPlatformFlagConstDisallowed", message);
    }
}

fn base_platform(plan: &Plan, stage: &Stage, name: &str, is: &Platform, found: &mut Vec<Warning>) {
    let wanted = stage.platform.as_ref().and_then(|text| text.parse().ok()).unwrap_or_else(|| plan.platform.clone());
    if !wanted.takes(is) {
        let line = stage.steps.first().map_or(0, |step| step.node.first);
        let message = format!("base image {name} is for {is}, and this build for {wanted}");
        found.push(Warning { rule: "InvalidBaseImagePlatform", line, message });
    }
}

/// Checks that a comment right above a FROM or ARG has the form of a description.
fn descriptions(plan: &Plan, stage: &Stage, found: &mut Vec<Warning>) {
    for step in &stage.steps {
        let names: Vec<&str> = match &step.instruction {
            Instruction::From(from) => from.alias.as_deref().into_iter().collect(),
            Instruction::Arg(all) => all.iter().map(|(name, _)| name.as_str()).collect(),
            _ => continue,
        };
        let comment = plan.source.comment_above(&step.node);
        let describes =
            |name: &&str| comment.iter().any(|line| line.strip_prefix(*name).is_some_and(|r| r.starts_with(' ')));
        if !comment.is_empty() && !names.is_empty() && !names.iter().any(describes) {
            let message = format!("the comment above should be `# {} DESCRIPTION`, or stand apart", names[0]);
            found.push(Warning { rule: "InvalidDefinitionDescription", line: step.node.first, message });
        }
    }
}

/// Warns of instructions of which only the last one counts.
fn only_one(steps: &[Step], found: &mut Vec<Warning>) {
    for word in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
        let all: Vec<&Step> = steps.iter().filter(|step| step.node.word == word).collect();
        for step in all.iter().rev().skip(1) {
            let message = format!("there are several {word} in this stage, and only the last one counts");
            found.push(Warning { rule: "MultipleInstructionsDisallowed", line: step.node.first, message });
        }
    }
}

struct Walk<'a> {
    plan: &'a Plan,
    ignore: &'a Ignore,
    known: Option<BTreeSet<String>>,
    args: BTreeSet<String>,
    /// Whether an absolute WORKDIR precedes.
    has_directory: bool,
    found: &'a mut Vec<Warning>,
}

impl Walk<'_> {
    fn warn(&mut self, step: &Step, rule: &'static str, message: String) {
        self.found.push(Warning { rule, line: step.node.first, message });
    }

    fn step(&mut self, step: &Step) {
        for text in texts(&step.instruction) {
            self.uses(step, &text);
        }
        match &step.instruction {
            Instruction::Arg(all) => self.args.extend(all.iter().map(|(name, _)| name.clone())),
            Instruction::Env(all) => {
                let names = all.iter().map(|(name, _)| name.clone());
                self.known.iter_mut().for_each(|known| known.extend(names.clone()));
                self.args.extend(names);
            }
            Instruction::Workdir(path) => {
                let absolute = path.starts_with(['/', '$', '"']);
                if !absolute && !self.has_directory {
                    let message = format!("`{path}` depends on the base image's directory; write it absolutely");
                    self.warn(step, "WorkdirRelativePath", message);
                }
                self.has_directory |= absolute;
            }
            Instruction::Copy(copy) if copy.from.is_none() => self.copy(step, copy),
            _ => {}
        }
    }

    fn copy(&mut self, step: &Step, copy: &Copy) {
        for source in &copy.sources {
            let plain = !source.contains(['$', ':']) && !is_pattern(source) && super::parse::heredoc(source).is_none();
            if plain && self.ignore.ignores(&clean(source)) {
                self.warn(step, "CopyIgnoredFile", format!("`{source}` is excluded by .dockerignore"));
            }
        }
    }

    /// Warns of unset variables in a text.
    fn uses(&mut self, step: &Step, text: &str) {
        let Some(known) = &self.known else { return };
        let missing = RefCell::new(BTreeSet::new());
        let lookup = |name: &str| {
            let is_set = known.contains(name) || self.args.contains(name);
            if !is_set {
                missing.borrow_mut().insert(name.to_owned());
            }
            None
        };
        let _ = Lexer::new(self.plan.source.directives.escape, &lookup).word(text);
        // A variable with a default may be unset on purpose.
        let missing = missing
            .into_inner()
            .into_iter()
            .filter(|name| !text.contains(&format!("${{{name}:")) && !text.contains(&format!("${{{name}-")));
        let missing: Vec<String> = missing.collect();
        if missing.is_empty() {
            return;
        }
        // With so many names, a typing mistake is unlikely.
        let is_short = known.len() + self.args.len() <= 500;
        let names: Vec<String> = if is_short { known.iter().chain(&self.args).cloned().collect() } else { Vec::new() };
        for name in missing {
            let near = vocabulary::guess(&name, names.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean ${near}?")).unwrap_or_default();
            self.warn(step, "UndefinedVar", format!("nothing sets ${name}{near}"));
        }
    }
}

/// Returns the texts of an instruction whose variables are expanded.
fn texts(instruction: &Instruction) -> Vec<String> {
    match instruction {
        Instruction::Arg(all) => all.iter().filter_map(|(_, value)| value.clone()).collect(),
        Instruction::Env(all) | Instruction::Label(all) => all.iter().map(|(_, value)| value.clone()).collect(),
        Instruction::Expose(all) | Instruction::Volume(all) => all.clone(),
        Instruction::User(text) | Instruction::Workdir(text) | Instruction::Stopsignal(text) => vec![text.clone()],
        Instruction::Copy(copy) => {
            let sources = copy.sources.iter().filter(|source| super::parse::heredoc(source).is_none());
            sources.chain([&copy.target]).chain(&copy.chown).cloned().collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::files::named::Contexts;
    use crate::image::name::platform::Platform;

    fn rules(text: &str) -> Vec<String> {
        let source = Source::parse("Dockerfile", text).unwrap();
        let plan = Plan::new(source, &BTreeMap::new(), None, &Platform::here(), Contexts::default()).unwrap();
        let known = |name: &str| {
            let platform = if name == "foreign" { "linux/s390x".parse().unwrap() } else { Platform::here() };
            let is_known = name == "alpine" || name == "foreign";
            is_known.then(|| Known { variables: vec!["BASE".to_owned()], platform })
        };
        let found = check(&plan, &Ignore::parse("secret\n").unwrap(), &known);
        found.iter().map(|w| format!("{} {}", w.line, w.rule)).collect()
    }

    #[test]
    fn what_docker_warns_of() {
        let text = "FROM alpine AS a\nARG NAME=x\nENV A=$NMAE B=$BASE C=${X:-y}\nWORKDIR app\nCOPY secret /\nCMD [\"a\"]\nCMD [\"b\"]\nFROM a AS a\nENV D=$A$NAME\nFROM unknown\nENV E=$ANY\n";
        let expected = [
            "3 UndefinedVar",
            "4 WorkdirRelativePath",
            "5 CopyIgnoredFile",
            "6 MultipleInstructionsDisallowed",
            "8 DuplicateStageName",
            "9 UndefinedVar",
        ];
        assert_eq!(rules(text), expected);
    }

    #[test]
    fn many_stages_cost_what_they_are_long() {
        let stage = |n: usize| format!("FROM s{n} AS s{}\nENV A{n}=$B\n", n + 1);
        let text = |stages: usize| "FROM scratch AS s0\n".to_owned() + &(0..stages).map(stage).collect::<String>();
        assert_eq!(rules(&text(500)).len(), 500);
        // After the limit, the variables of a stage are unknown.
        let warned = rules(&text(5000)).len();
        assert!((500..1000).contains(&warned), "{warned}");
    }
}
