//! The stages of a Dockerfile: their bases, their names, and the target among them.

use super::instruction;
use super::instruction::{From, Instruction, Step};
use super::parse::{Fault, Source};
use super::variable::Lexer;
use super::vocabulary;
use crate::builder::files::named::{Contexts, Named};
use crate::diag::{Diagnose, inner_of};
use crate::image::name::platform::Platform;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// Why a Dockerfile has no usable stages.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("no such stage: {name}")]
    NoStage { name: String, hint: String },
}

impl Diagnose for PlanError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Fault)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoStage { hint, .. } => Some(hint.clone()),
            Self::Fault(_) => self.inner().and_then(Diagnose::hint),
        }
    }
}

/// The number of a stage, in the order of the Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(usize);

impl StageId {
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

impl fmt::Display for StageId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a stage begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Scratch,
    Stage(StageId),
    Image(String),
    /// The files of a `--build-context`.
    Files(String),
}

#[derive(Debug)]
pub struct Stage {
    pub id: StageId,
    pub alias: Option<String>,
    pub base: Base,
    pub platform: Option<String>,
    /// The steps; the first one is FROM.
    pub steps: Vec<Step>,
}

impl Stage {
    /// Returns its name in messages.
    pub fn name(&self) -> String {
        self.alias.clone().unwrap_or_else(|| format!("stage-{}", self.id))
    }
}

pub struct Plan {
    pub source: Source,
    pub stages: Vec<Stage>,
    pub target: StageId,
    /// The ARGs before the first FROM, and the predefined ones.
    pub globals: BTreeMap<String, String>,
    /// The ARGs before the first FROM, as instructions.
    pub global_args: Vec<Step>,
    pub named: Contexts,
    /// The values of the ARGs before the first FROM without the command line, and all their names.
    pub defaults: BTreeMap<String, String>,
    pub declared: BTreeSet<String>,
    /// The platform of the build.
    pub platform: Platform,
    /// The stages of each name, in order.
    aliases: HashMap<String, Vec<StageId>>,
    /// The build arguments that some ARG names.
    pub consumed: BTreeSet<String>,
}

/// The limit for the values of the ARGs before the first FROM, in bytes.
const MOST_GLOBAL: usize = 32 << 20;

/// Returns the predefined ARGs that describe the platforms of the build and of this machine.
pub(crate) fn platform_arguments(target: &Platform) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (prefix, platform) in [("BUILD", &Platform::here()), ("TARGET", target)] {
        let text = platform.to_string();
        let mut parts = text.split('/');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (os, architecture, variant) = (part(), part(), part());
        for (name, value) in [("PLATFORM", text.clone()), ("OS", os), ("ARCH", architecture), ("VARIANT", variant)] {
            all.insert(format!("{prefix}{name}"), value);
        }
    }
    all
}

impl Plan {
    pub fn new(
        mut source: Source,
        build_args: &BTreeMap<String, String>,
        target: Option<&str>,
        platform: &Platform,
        named: Contexts,
    ) -> Result<Self, PlanError> {
        let steps = instruction::steps(&mut source)?;
        let mut globals = platform_arguments(platform);
        let (mut defaults, mut declared) = (globals.clone(), globals.keys().cloned().collect::<BTreeSet<String>>());
        let mut consumed = BTreeSet::new();
        let mut global_args = Vec::new();
        let mut stages: Vec<Stage> = Vec::new();
        let mut aliases: HashMap<String, Vec<StageId>> = HashMap::new();
        let mut size = 0;
        for step in steps {
            match (&step.instruction, stages.last_mut()) {
                (Instruction::From(from), _) => {
                    let id = StageId(stages.len());
                    let stage = stage(&source, &step, from, id, &aliases, &globals, &named)?;
                    if let Some(alias) = &stage.alias {
                        aliases.entry(alias.clone()).or_default().push(stage.id);
                    }
                    stages.push(Stage { steps: vec![step], ..stage });
                }
                (Instruction::Arg(all), None) => {
                    for (name, default) in all {
                        // An error in it is reported when the value is expanded.
                        let by_default = default.as_ref().and_then(|text| word(&source, &step, text, &defaults).ok());
                        defaults.extend(by_default.map(|value| (name.clone(), value)));
                        declared.insert(name.clone());
                        let value = match (build_args.get(name), default) {
                            (Some(given), _) => Some(given.clone()),
                            (None, Some(text)) => Some(word(&source, &step, text, &globals)?),
                            (None, None) => None,
                        };
                        consumed.insert(name.clone());
                        size += value.as_ref().map_or(0, String::len);
                        if size > MOST_GLOBAL {
                            let message = "the ARGs up to here are longer than the config of an image can be";
                            return Err(source.fault_at(&step.node, "", message, None).into());
                        }
                        globals.extend(value.map(|value| (name.clone(), value)));
                    }
                    global_args.push(step.clone());
                }
                (_, None) => {
                    let message = format!("{} comes before the first FROM", step.node.word);
                    let hint = "begin with the base image: FROM alpine";
                    return Err(source.fault_at(&step.node, "", &message, Some(hint)).into());
                }
                (_, Some(stage)) => stage.steps.push(step),
            }
        }
        for stage in &mut stages {
            // The named context replaces the stage with all its steps.
            if let Some(base) = stage.alias.as_ref().and_then(|alias| named_base(&named, alias)) {
                stage.base = base;
                stage.steps.truncate(1);
            }
        }
        let Some(last) = stages.len().checked_sub(1) else {
            let hint = "begin with the base image: FROM alpine";
            let place = super::parse::Place { line: 1, column: 1 };
            return Err(source.fault(place, "the file has no FROM", Some(hint)).into());
        };
        let platform = platform.clone();
        let mut plan = Self {
            source,
            stages,
            target: StageId(last),
            globals,
            global_args,
            defaults,
            declared,
            platform,
            named,
            aliases,
            consumed,
        };
        plan.check_froms()?;
        if let Some(name) = target {
            plan.target = plan.before(plan.stages.len(), name).ok_or_else(|| {
                let names: Vec<String> = plan.stages.iter().map(Stage::name).collect();
                let near = vocabulary::guess(name, names.iter().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("did you mean --target {near}?"),
                    None => format!("the stages are {}", names.join(", ")),
                };
                PlanError::NoStage { name: name.to_owned(), hint }
            })?;
        }
        Ok(plan)
    }

    pub(crate) fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.0]
    }

    /// Returns the stages that a step copies from or mounts.
    pub(crate) fn sources_of(&self, id: StageId, step: &Step) -> Vec<StageId> {
        froms(&step.instruction).iter().filter_map(|from| self.stage_named(id, from)).collect()
    }

    /// Returns the stage of a name or number as another stage sees it: of several, the last one before that stage.
    pub fn stage_named(&self, seen_by: StageId, name: &str) -> Option<StageId> {
        if self.named.has(name) {
            return None;
        }
        self.before(seen_by.0, name).or_else(|| self.before(self.stages.len(), name))
    }

    fn before(&self, number: usize, name: &str) -> Option<StageId> {
        let lower = name.to_ascii_lowercase();
        let named = self.aliases.get(&lower).and_then(|all| {
            let before = all.partition_point(|stage| stage.0 < number);
            before.checked_sub(1).map(|last| all[last])
        });
        named.or_else(|| lower.parse().ok().filter(|stage| *stage < number).map(StageId))
    }

    /// Refuses a `from` that cannot be a stage.
    fn check_froms(&self) -> Result<(), Fault> {
        for step in self.stages.iter().flat_map(|stage| &stage.steps) {
            for from in froms(&step.instruction) {
                let fault = |message: &str, hint: &str| {
                    Err(self.source.fault_at(&step.node, &format!("from={from}"), message, Some(hint)))
                };
                if from.contains('$') {
                    let message = format!("`{from}`: no variable is replaced here");
                    return fault(&message, "give it a stage's name: FROM IMAGE:$TAG AS NAME, then --from=NAME");
                }
                if from.parse::<usize>().is_ok()
                    && self.stage_named(StageId(0), &from).is_none()
                    && !self.named.has(&from)
                {
                    let message = format!("no such stage: {from}");
                    return fault(&message, &format!("the stages are 0 to {}", self.stages.len() - 1));
                }
            }
        }
        Ok(())
    }
}

/// Returns what a name of the command line puts in the place of a stage's base.
fn named_base(named: &Contexts, name: &str) -> Option<Base> {
    named.get(name).map(|context| match context {
        Named::Image(image) => Base::Image(image.clone()),
        Named::Files(_) => Base::Files(name.to_owned()),
    })
}

/// Returns the names of stages and images that an instruction copies from or mounts.
fn froms(instruction: &Instruction) -> Vec<String> {
    match instruction {
        Instruction::Copy(copy) => copy.from.iter().cloned().collect(),
        Instruction::Run(run) => {
            let fields = run.mounts.iter().flat_map(|mount| mount.split(','));
            fields.filter_map(|field| field.strip_prefix("from=")).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn word(source: &Source, step: &Step, text: &str, values: &BTreeMap<String, String>) -> Result<String, Fault> {
    let lookup = |name: &str| values.get(name).cloned();
    let lexer = Lexer::new(source.directives.escape, &lookup);
    lexer.word(text).map_err(|error| source.fault_at(&step.node, text, &error.to_string(), None))
}

fn stage(
    source: &Source,
    step: &Step,
    from: &From,
    id: StageId,
    aliases: &HashMap<String, Vec<StageId>>,
    globals: &BTreeMap<String, String>,
    named: &Contexts,
) -> Result<Stage, Fault> {
    let image = word(source, step, &from.image, globals)?;
    if image.is_empty() {
        let hint = "give the ARG a default before the first FROM, or: --build-arg NAME=VALUE";
        let message = format!("`{}` is empty: the stage has no base image", from.image);
        return Err(source.fault_at(&step.node, &from.image, &message, Some(hint)));
    }
    let platform = from.platform.as_ref().map(|text| word(source, step, text, globals)).transpose()?;
    // A FROM has only names of stages: a number is the name of an image.
    let stage = aliases.get(&image.to_ascii_lowercase()).and_then(|all| all.last().copied());
    let base = match (named_base(named, &image), stage) {
        (Some(base), _) => base,
        (None, Some(stage)) => Base::Stage(stage),
        (None, None) if image == "scratch" => Base::Scratch,
        (None, None) => Base::Image(image),
    };
    Ok(Stage { id, alias: from.alias.clone(), base, platform: platform.filter(|p| !p.is_empty()), steps: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str, target: Option<&str>) -> Plan {
        let source = Source::parse("Dockerfile", text).unwrap();
        let args = BTreeMap::from([("BASE".to_owned(), "alpine".to_owned())]);
        Plan::new(source, &args, target, &Platform::here(), Contexts::default()).unwrap()
    }

    #[test]
    fn stages_have_names_and_numbers() {
        let text = "ARG BASE=x\nFROM $BASE AS a\nFROM scratch AS b\nFROM a AS c\nCOPY --from=1 / /\nFROM c\nFROM a\nRUN --mount=from=c,target=/x true";
        let all = plan(text, None);
        assert_eq!(all.stages[0].base, Base::Image("alpine".into()));
        let target = |name| plan(text, name).target.0;
        assert_eq!((target(None), target(Some("A")), target(Some("3"))), (4, 0, 3));
        assert_eq!(
            [(4, "C"), (1, "c"), (0, "5")].map(|(id, name)| all.stage_named(StageId(id), name)),
            [Some(StageId(2)), Some(StageId(2)), None]
        );
    }
}
