//! A Dockerfile's stages: what each stands on, which are needed for the one that is asked for.

use super::instruction;
use super::instruction::{From, Instruction, Step};
use super::parse::{Fault, Source};
use super::variable::Lexer;
use crate::builder::BuildError;
use crate::builder::files::named::Contexts;
use crate::image::name::platform::Platform;
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Scratch,
    Stage(usize),
    Image(String),
    /// A `--build-context`: nothing but its files.
    Files(String),
}

#[derive(Debug)]
pub struct Stage {
    pub number: usize,
    pub alias: Option<String>,
    pub base: Base,
    pub platform: Option<String>,
    /// FROM is the first.
    pub steps: Vec<Step>,
}

impl Stage {
    /// What it is called in messages.
    pub fn name(&self) -> String {
        self.alias.clone().unwrap_or_else(|| format!("stage-{}", self.number))
    }
}

pub struct Plan {
    pub source: Source,
    pub stages: Vec<Stage>,
    pub target: usize,
    /// ARGs before the first FROM, and those that are always there.
    pub globals: BTreeMap<String, String>,
    /// The ARGs before the first FROM, as they are written.
    pub global_args: Vec<Step>,
    pub named: Contexts,
    /// What the ARGs before the first FROM have without the command line; all of their names.
    pub defaults: BTreeMap<String, String>,
    pub declared: BTreeSet<String>,
    /// That the build is for.
    pub platform: Platform,
    /// The stages that have a name, in order.
    aliases: HashMap<String, Vec<usize>>,
    /// Build arguments that some ARG names.
    pub consumed: BTreeSet<String>,
}

/// What the values of the ARGs before the first FROM may come to.
const MOST_GLOBAL: usize = 32 << 20;

/// What every build knows of platforms.
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
    ) -> Result<Self, BuildError> {
        let steps = instruction::steps(&mut source)?;
        let mut globals = platform_arguments(platform);
        let (mut defaults, mut declared) = (globals.clone(), globals.keys().cloned().collect::<BTreeSet<String>>());
        let mut consumed = BTreeSet::new();
        let mut global_args = Vec::new();
        let mut stages: Vec<Stage> = Vec::new();
        let mut aliases: HashMap<String, Vec<usize>> = HashMap::new();
        let mut size = 0;
        for step in steps {
            match (&step.instruction, stages.last_mut()) {
                (Instruction::From(from), _) => {
                    let stage = stage(&source, &step, from, stages.len(), &aliases, &globals, &named)?;
                    if let Some(alias) = &stage.alias {
                        aliases.entry(alias.clone()).or_default().push(stage.number);
                    }
                    stages.push(Stage { steps: vec![step], ..stage });
                }
                (Instruction::Arg(all), None) => {
                    for (name, default) in all {
                        // Whether that is a word, the value itself will tell.
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
                            let message = "the ARGs up to here come to more text than any image can have";
                            return Err(source.fault_at(&step.node, "", message, None).into());
                        }
                        globals.extend(value.map(|value| (name.clone(), value)));
                    }
                    global_args.push(step.clone());
                }
                (_, None) => {
                    let message = format!("{} comes before the first FROM", step.node.word);
                    let hint = "begin with the image that yours stands on: FROM alpine";
                    return Err(source.fault_at(&step.node, "", &message, Some(hint)).into());
                }
                (_, Some(stage)) => stage.steps.push(step),
            }
        }
        for stage in &mut stages {
            // It takes the place of the stage, whatever that was to do.
            if let Some(base) = stage.alias.as_ref().and_then(|alias| named.base(alias)) {
                stage.base = base;
                stage.steps.truncate(1);
            }
        }
        let Some(last) = stages.len().checked_sub(1) else {
            let hint = "begin with the image that yours stands on: FROM alpine";
            let place = super::parse::Place { line: 1, column: 1 };
            return Err(source.fault(place, "there is no FROM in this file", Some(hint)).into());
        };
        let platform = platform.clone();
        let mut plan = Self {
            source,
            stages,
            target: last,
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
                let near = instruction::guess(name, names.iter().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("did you mean --target {near}?"),
                    None => format!("the stages are {}", names.join(", ")),
                };
                BuildError::NoStage { name: name.to_owned(), hint }
            })?;
        }
        Ok(plan)
    }

    /// The stage that goes by a name or a number, as `number` sees it: one that comes before it first.
    pub fn stage_named(&self, number: usize, name: &str) -> Option<usize> {
        if self.named.has(name) {
            return None;
        }
        self.before(number, name).or_else(|| self.before(self.stages.len(), name))
    }

    fn before(&self, number: usize, name: &str) -> Option<usize> {
        let lower = name.to_ascii_lowercase();
        let named = self.aliases.get(&lower).and_then(|all| {
            let before = all.partition_point(|stage| *stage < number);
            before.checked_sub(1).map(|last| all[last])
        });
        named.or_else(|| lower.parse().ok().filter(|stage| *stage < number))
    }

    /// What takes from a stage that cannot be.
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
                if from.parse::<usize>().is_ok() && self.stage_named(0, &from).is_none() && !self.named.has(&from) {
                    let message = format!("there is no stage {from}");
                    return fault(&message, &format!("the stages are 0 to {}", self.stages.len() - 1));
                }
            }
        }
        Ok(())
    }
}

/// Stages or images that an instruction takes from.
pub(crate) fn froms(instruction: &Instruction) -> Vec<String> {
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
    number: usize,
    aliases: &HashMap<String, Vec<usize>>,
    globals: &BTreeMap<String, String>,
    named: &Contexts,
) -> Result<Stage, Fault> {
    let image = word(source, step, &from.image, globals)?;
    if image.is_empty() {
        let hint = "give the ARG a default before the first FROM, or: --build-arg NAME=VALUE";
        let message = format!("`{}` is empty: no image to stand on", from.image);
        return Err(source.fault_at(&step.node, &from.image, &message, Some(hint)));
    }
    let platform = from.platform.as_ref().map(|text| word(source, step, text, globals)).transpose()?;
    // By its name only: a number would be an image's.
    let stage = aliases.get(&image.to_ascii_lowercase()).and_then(|all| all.last().copied());
    let base = match (named.base(&image), stage) {
        (Some(base), _) => base,
        (None, Some(number)) => Base::Stage(number),
        (None, None) if image == "scratch" => Base::Scratch,
        (None, None) => Base::Image(image),
    };
    Ok(Stage {
        number,
        alias: from.alias.clone(),
        base,
        platform: platform.filter(|p| !p.is_empty()),
        steps: Vec::new(),
    })
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
        assert_eq!((all.target, plan(text, Some("A")).target, plan(text, Some("3")).target), (4, 0, 3));
        assert_eq!(
            (all.stage_named(4, "C"), all.stage_named(1, "c"), all.stage_named(0, "5")),
            (Some(2), Some(2), None)
        );
    }
}
