//! Lists the targets of a Dockerfile, and what each needs. Nothing is fetched and nothing is executed.

use super::instruction::{From, Instruction, Step};
use super::mount::{Asked, mount};
use super::stage::{Base, Plan, StageId};
use super::state::State;
use super::variable::Lexer;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Target {
    /// `None` for a stage without a name.
    pub name: Option<String>,
    pub description: Option<String>,
    pub is_default: bool,
    /// The base image or stage, as written.
    pub base: String,
    pub platform: Option<String>,
    /// The first and last line of its FROM.
    pub lines: (usize, usize),
}

/// A build argument.
pub(crate) struct Argument {
    pub name: String,
    pub value: Option<String>,
    pub description: Option<String>,
    pub lines: (usize, usize),
}

/// A secret or an SSH agent that a target needs.
pub(crate) struct Need {
    pub name: String,
    pub is_required: bool,
    pub lines: (usize, usize),
}

/// What one target needs, including the stages that it depends on.
#[derive(Default)]
pub(crate) struct Outline {
    pub name: Option<String>,
    pub description: Option<String>,
    /// The build arguments, in the order of their lines.
    pub arguments: Vec<Argument>,
    pub secrets: Vec<Need>,
    pub agents: Vec<Need>,
    /// The ids of cache mounts.
    pub caches: BTreeSet<String>,
}

/// Returns the description of a name in the comment above its instruction, which begins with the name.
fn description(step: &Step, name: &str) -> Option<String> {
    let begins = |comment: &String| comment.strip_prefix(name)?.strip_prefix(' ').map(|text| text.trim().to_owned());
    step.node.comments.iter().find_map(begins)
}

fn lines(step: &Step) -> (usize, usize) {
    (step.node.first, step.node.last)
}

fn from(step: &Step) -> Option<&From> {
    match &step.instruction {
        Instruction::From(from) => Some(from),
        _ => None,
    }
}

/// Returns all stages, in order.
pub(crate) fn targets(plan: &Plan) -> Vec<Target> {
    let last = plan.stages.len() - 1;
    let target = |(number, stage): (usize, &super::stage::Stage)| {
        let step = stage.steps.first()?;
        Some(Target {
            name: stage.alias.clone(),
            description: stage.alias.as_ref().and_then(|alias| description(step, alias)),
            is_default: number == last,
            base: from(step)?.image.clone(),
            platform: stage.platform.clone(),
            lines: lines(step),
        })
    };
    plan.stages.iter().enumerate().filter_map(target).collect()
}

/// Returns what the plan's target needs.
pub(crate) fn outline(plan: &Plan, build_args: &BTreeMap<String, String>) -> Outline {
    let stage = plan.stage(plan.target);
    let name = stage.alias.clone();
    let described = stage.steps.first().zip(name.as_ref()).and_then(|(step, name)| description(step, name));
    let mut outline = Outline { name, description: described, ..Outline::default() };
    let mut reader = Reader { plan, build_args, outline: &mut outline };
    let mut states: BTreeMap<StageId, State> = BTreeMap::new();
    let reached = reader.reached();
    // The base of a stage comes before it.
    for id in reached {
        let mut state = match plan.stage(id).base {
            Base::Stage(base) => states.get(&base).map(State::next_stage),
            _ => None,
        };
        let state = state.get_or_insert_with(|| State::scratch(&plan.platform));
        reader.stage(id, state);
        states.insert(id, state.clone());
    }
    outline.arguments.sort_by_key(|argument| argument.lines);
    outline
}

struct Reader<'a> {
    plan: &'a Plan,
    build_args: &'a BTreeMap<String, String>,
    outline: &'a mut Outline,
}

impl Reader<'_> {
    /// Returns the stages that the target needs.
    fn reached(&self) -> BTreeSet<StageId> {
        let mut reached = BTreeSet::new();
        let mut open = vec![self.plan.target];
        while let Some(id) = open.pop() {
            if !reached.insert(id) {
                continue;
            }
            let stage = self.plan.stage(id);
            if let Base::Stage(base) = stage.base {
                open.push(base);
            }
            open.extend(stage.steps.iter().flat_map(|step| self.plan.sources_of(id, step)));
        }
        reached
    }

    fn stage(&mut self, id: StageId, state: &mut State) {
        let escape = self.plan.source.directives.escape;
        for step in &self.plan.stage(id).steps {
            match &step.instruction {
                Instruction::From(from) => self.globals(from),
                Instruction::Arg(all) => {
                    for (name, default) in all {
                        let default = default.as_ref().and_then(|text| state.word(escape, text).ok());
                        let global = || self.plan.globals.get(name).cloned();
                        let value = self.build_args.get(name).cloned().or(default).or_else(global);
                        state.argument(name, value.clone());
                        self.argument(step, name, value);
                    }
                }
                Instruction::Run(run) => {
                    let texts = state.words(escape, &mut run.mounts.iter().map(String::as_str)).unwrap_or_default();
                    for asked in texts.iter().filter_map(|text| mount(text).ok()?.asks()) {
                        self.asked(step, asked);
                    }
                }
                // A build reports its errors.
                other => drop(state.apply(other, escape)),
            }
        }
    }

    /// Adds the ARGs before the first FROM that this one uses.
    fn globals(&mut self, from: &From) {
        let read = RefCell::new(BTreeSet::new());
        let lookup = |name: &str| {
            read.borrow_mut().insert(name.to_owned());
            self.plan.globals.get(name).cloned()
        };
        let lexer = Lexer::new(self.plan.source.directives.escape, &lookup);
        for text in [Some(&from.image), from.platform.as_ref()].into_iter().flatten() {
            let _ = lexer.word(text);
        }
        for name in read.into_inner() {
            let declares = |step: &&Step| declares(step, &name);
            if let Some(step) = self.plan.global_args.iter().find(declares) {
                self.argument(step, &name, self.plan.globals.get(&name).cloned());
            }
        }
    }

    fn argument(&mut self, step: &Step, name: &str, value: Option<String>) {
        // An ARG before the first FROM may have the description that this one lacks.
        let global = self.plan.global_args.iter().find(|step| declares(step, name));
        let description = description(step, name).or_else(|| global.and_then(|step| description(step, name)));
        match self.outline.arguments.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                known.value = value.or(known.value.take());
                known.description = known.description.take().or(description);
            }
            None => {
                let lines = lines(global.unwrap_or(step));
                self.outline.arguments.push(Argument { name: name.to_owned(), value, description, lines });
            }
        }
    }

    fn asked(&mut self, step: &Step, asked: Asked) {
        let (all, name, is_required) = match asked {
            Asked::Secret { id, required } => (&mut self.outline.secrets, id, required),
            Asked::Agent { id, required } => (&mut self.outline.agents, id, required),
            Asked::Cache { id } => {
                self.outline.caches.insert(id);
                return;
            }
        };
        match all.iter_mut().find(|known| known.name == name) {
            Some(known) => known.is_required |= is_required,
            None => all.push(Need { name, is_required, lines: lines(step) }),
        }
    }
}

fn declares(step: &Step, name: &str) -> bool {
    matches!(&step.instruction, Instruction::Arg(all) if all.iter().any(|(found, _)| found == name))
}
