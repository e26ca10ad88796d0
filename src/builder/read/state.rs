//! The state of a stage after some of its steps, which becomes the config of an image.

use super::change::{InvalidArgument, Settings, change};
use super::instruction::{Command, Instruction, default_shell};
use super::variable::Lexer;
use crate::image::config;
use crate::image::config::Change;
use crate::image::name::digest::Digest;
use crate::image::name::platform::Platform;
use crate::image::{Image, ImageError};
use indexmap::IndexMap;
use serde_json::{Value, json};

/// The key under which an image's config describes the steps that made its layers (`--cache-to type=inline`).
pub(crate) const INLINE_CACHE: &str = "minirun.build-cache.v1";

/// The settings, variables, layers and history of a stage after some of its steps.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// The config of the image, without the rows of `history`.
    config: Value,
    /// The diff IDs, bottom first.
    pub layers: Vec<Digest>,
    /// The variables of ENV.
    env: IndexMap<String, String>,
    /// The ARGs that have a value, in order.
    args: IndexMap<String, Argument>,
    history: Vec<Row>,
    /// The size of the base's config and of this history, in bytes.
    text_size: usize,
    cmd_is_own: bool,
}

#[derive(Debug, Clone)]
struct Argument {
    value: String,
    /// Whether a later ENV has the same name.
    is_hidden: bool,
}

/// The limit for a stage's history and settings, in bytes; registries refuse much smaller configs.
const LONGEST_HISTORY: usize = 32 << 20;

#[derive(Debug, Clone)]
struct Row {
    created_by: String,
    /// The layer that the step made, and its time.
    layer: Option<(Digest, String)>,
}

impl State {
    pub(crate) fn scratch(platform: &Platform) -> Self {
        let mut config = config::new();
        platform.describe(&mut config);
        config["config"] = json!({ "WorkingDir": "/" });
        Self::new(config, Vec::new())
    }

    pub(crate) fn of_image(image: &Image) -> Self {
        let mut config = image.raw_config().clone();
        // Fields of the daemon that made the image, and the build cache in it, do not apply to the new one.
        for key in ["container", "container_config", "docker_version", "id", "parent", INLINE_CACHE] {
            config.as_object_mut().map(|all| all.remove(key));
        }
        Self::new(config, image.layers.clone())
    }

    fn new(config: Value, layers: Vec<Digest>) -> Self {
        let list = config["config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let pairs = list.filter_map(|entry| entry.split_once('='));
        let mut env: IndexMap<String, String> = pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        env.entry("PATH".into()).or_insert_with(|| crate::container::decide::spec::DEFAULT_PATH.into());
        let text_size = config.to_string().len();
        Self { config, layers, env, args: IndexMap::new(), history: Vec::new(), text_size, cmd_is_own: false }
    }

    /// Returns the first state of a stage based on this one: with its ARGs, and with its CMD as the base's.
    pub(crate) fn next_stage(&self) -> Self {
        Self { cmd_is_own: false, ..self.clone() }
    }

    /// Removes and returns the ONBUILD instructions of the base image.
    pub(crate) fn take_triggers(&mut self) -> Vec<String> {
        let taken = self.config["config"].as_object_mut().and_then(|settings| settings.remove("OnBuild"));
        taken.and_then(|list| serde_json::from_value(list).ok()).unwrap_or_default()
    }

    /// Returns one digest for all layers.
    pub(crate) fn chain(&self) -> Digest {
        let text: String = self.layers.iter().map(|layer| format!("{layer}\n")).collect();
        Digest::of(text.as_bytes())
    }

    pub(crate) fn env(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the ARGs that a command sees.
    pub(crate) fn args(&self) -> impl Iterator<Item = (&str, &str)> {
        let seen = self.args.iter().filter(|(_, argument)| !argument.is_hidden);
        seen.map(|(name, argument)| (name.as_str(), argument.value.as_str()))
    }

    /// Returns the value of a variable: of ENV and ARG, the later one counts.
    pub(crate) fn lookup(&self, name: &str) -> Option<String> {
        let argument = self.args.get(name).filter(|argument| !argument.is_hidden);
        argument.map(|argument| &argument.value).or_else(|| self.env.get(name)).cloned()
    }

    fn setting(&self, key: &str) -> Option<&str> {
        self.config["config"][key].as_str().filter(|text| !text.is_empty())
    }

    pub(crate) fn user(&self) -> &str {
        self.setting("User").unwrap_or_default()
    }

    pub(crate) fn working_directory(&self) -> &str {
        self.setting("WorkingDir").unwrap_or("/")
    }

    pub(crate) fn shell(&self) -> Vec<String> {
        let own = serde_json::from_value::<Vec<String>>(self.config["config"]["Shell"].clone());
        own.ok().filter(|shell| !shell.is_empty()).unwrap_or_else(default_shell)
    }

    /// Expands the words of one instruction.
    pub(crate) fn words(
        &self,
        escape: char,
        texts: &mut dyn Iterator<Item = &str>,
    ) -> Result<Vec<String>, InvalidArgument> {
        let lookup = |name: &str| self.lookup(name);
        let lexer = Lexer::new(escape, &lookup);
        Ok(texts.map(|text| lexer.word(text)).collect::<Result<_, _>>()?)
    }

    pub(crate) fn word(&self, escape: char, text: &str) -> Result<String, InvalidArgument> {
        Ok(Lexer::new(escape, &|name| self.lookup(name)).word(text)?)
    }

    /// Expands the variables of a heredoc; quotes stay.
    pub(crate) fn text(&self, escape: char, text: &str) -> Result<String, InvalidArgument> {
        Ok(Lexer::new(escape, &|name| self.lookup(name)).text(text)?)
    }

    pub(crate) fn argument(&mut self, name: &str, value: Option<String>) {
        let shown = value.as_ref().map_or_else(|| format!("ARG {name}"), |value| format!("ARG {name}={value}"));
        if let Some(value) = value {
            self.args.insert(name.to_owned(), Argument { value, is_hidden: false });
        }
        self.note(shown, None);
    }

    /// Applies an instruction that changes settings only. Returns `false` for any other.
    pub(crate) fn apply(&mut self, instruction: &Instruction, escape: char) -> Result<bool, InvalidArgument> {
        let shell = self.shell();
        let lookup = |name: &str| self.lookup(name);
        let lexer = Lexer::new(escape, &lookup);
        let Some(change) = change(instruction, &Settings { lexer, shell: &shell, cmd_is_own: self.cmd_is_own })? else {
            return Ok(false);
        };
        self.cmd_is_own |= matches!(change, Change::Cmd(_));
        if let Change::Env(pairs) = &change {
            for (name, value) in pairs {
                self.env.insert(name.clone(), value.clone());
                self.args.entry(name.clone()).and_modify(|argument| argument.is_hidden = true);
            }
        } else {
            config::apply(&mut self.config, std::slice::from_ref(&change));
        }
        if !matches!(change, Change::Workdir(_)) {
            self.note(describe(&change), None);
        }
        Ok(true)
    }

    /// Sets a field of the config that is not a setting of containers.
    pub(crate) fn attach(&mut self, key: &str, value: Value) {
        self.config[key] = value;
    }

    pub(crate) fn label(&mut self, pairs: &[(String, String)]) {
        config::apply(&mut self.config, &[Change::Label(pairs.to_vec())]);
    }

    /// Adds a row to the history, with the layer if the step made one.
    pub(crate) fn note(&mut self, created_by: String, layer: Option<(Digest, String)>) {
        self.layers.extend(layer.as_ref().map(|(diff_id, _)| *diff_id));
        self.text_size += created_by.len() + std::mem::size_of::<Row>();
        self.history.push(Row { created_by, layer });
    }

    /// Whether the history and the settings exceed their limit.
    pub(crate) fn is_too_long(&self) -> bool {
        self.text_size > LONGEST_HISTORY
    }

    pub(crate) fn size(&self) -> usize {
        self.text_size
    }

    /// Returns the layers that are not the base image's, and the steps that made them.
    pub(crate) fn own_layers(&self) -> Vec<(Digest, String)> {
        let rows = self.history.iter();
        rows.filter_map(|row| Some((row.layer.as_ref()?.0, row.created_by.clone()))).collect()
    }

    /// Returns how many layers are not the base image's, and the time of the newest.
    pub(crate) fn own(&self) -> (usize, Option<String>) {
        let own: Vec<&String> = self.history.iter().filter_map(|row| Some(&row.layer.as_ref()?.1)).collect();
        (own.len(), own.last().map(|created| (*created).clone()))
    }

    /// Replaces the last `count` layers by one.
    pub(crate) fn squash(&mut self, count: usize, layer: (Digest, String)) {
        self.layers.truncate(self.layers.len() - count);
        for row in &mut self.history {
            row.layer = None;
        }
        self.note("squashed".into(), Some(layer));
    }

    /// Returns the config of the image. As with Docker, a step without a layer has the time of the layer below, so that the
    /// same layers make the same image.
    pub(crate) fn finish(&self) -> Value {
        let mut image = self.config.clone();
        image["config"]["Env"] = self.env().map(|(name, value)| format!("{name}={value}")).collect();
        let base =
            image["history"].as_array().and_then(|rows| rows.iter().rev().find_map(|row| row["created"].as_str()));
        let base = base.or(image["created"].as_str()).map(str::to_owned);
        let first = self.history.iter().find_map(|row| row.layer.as_ref().map(|(_, created)| created.clone()));
        let mut created = first.or(base);
        for row in &self.history {
            if let Some((_, time)) = &row.layer {
                created = Some(time.clone());
            }
            let mut step = json!({ "created_by": row.created_by });
            if let Some(time) = &created {
                step["created"] = json!(time);
            }
            config::add_history(&mut image, step, row.layer.as_ref().map(|(diff_id, _)| *diff_id));
        }
        if let Some(time) = created {
            image["created"] = json!(time);
        }
        image
    }

    /// Returns the state as an image that is not stored, for the settings of a container.
    pub(crate) fn as_image(&self) -> Result<Image, ImageError> {
        let config = self.finish().to_string().into_bytes();
        Image::parse(Digest::of(&config), &config)
    }
}

/// Returns the arguments of a command, as they are executed and shown in the history.
pub(crate) fn argv(command: &Command, shell: &[String]) -> Vec<String> {
    match command {
        Command::Exec(argv) => argv.clone(),
        Command::Shell(text) => [shell, std::slice::from_ref(text)].concat(),
    }
}

/// Describes a change as Docker's history does.
fn describe(change: &Change) -> String {
    let quoted = |list: &Option<Vec<String>>| {
        let words: Vec<String> = list.iter().flatten().map(|word| format!("{word:?}")).collect();
        format!("[{}]", words.join(" "))
    };
    let pairs = |all: &[(String, String)]| {
        all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    match change {
        Change::Cmd(argv) => format!("CMD {}", quoted(argv)),
        Change::Entrypoint { argv, .. } => format!("ENTRYPOINT {}", quoted(argv)),
        Change::Env(all) => format!("ENV {}", pairs(all)),
        Change::Label(all) => format!("LABEL {}", pairs(all)),
        Change::Expose(all) => format!("EXPOSE [{}]", all.join(" ")),
        Change::Volume(all) => format!("VOLUME [{}]", all.join(" ")),
        Change::User(user) => format!("USER {user}"),
        Change::Workdir(path) => format!("WORKDIR {path}"),
        Change::OnBuild(trigger) => format!("ONBUILD {trigger}"),
        Change::StopSignal(signal) => format!("STOPSIGNAL {signal}"),
        Change::Healthcheck(check) => format!("HEALTHCHECK {check}"),
        Change::Shell(argv) => format!("SHELL [{}]", argv.join(" ")),
        Change::Author(author) => format!("MAINTAINER {author}"),
    }
}
