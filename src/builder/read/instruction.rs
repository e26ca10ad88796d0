//! Parses the arguments of instructions; variables are not expanded yet.

use super::parse;
use super::parse::{Fault, Node, Source, Warning};
use super::variable::{Lexer, is_blank};
use super::vocabulary::{WORDS, example, guess};
use crate::container::request::{SHORTEST_HEALTH_TIME, duration};

/// Returns the shell that the shell form runs in, unless SHELL names another.
pub(crate) fn default_shell() -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into()]
}

/// A command, for the shell or to be executed as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Shell(String),
    Exec(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    pub image: String,
    pub platform: Option<String>,
    pub alias: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub command: Command,
    /// A heredoc that begins with `#!`: its file, and its content.
    pub script: Option<(String, String)>,
    pub mounts: Vec<String>,
    pub network: Option<String>,
}

/// COPY or ADD.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copy {
    /// Whether it is an ADD, which fetches URLs and unpacks archives.
    pub adds: bool,
    pub sources: Vec<String>,
    pub target: String,
    pub from: Option<String>,
    pub chown: Option<String>,
    pub chmod: Option<String>,
    pub link: bool,
    pub parents: bool,
    pub exclude: Vec<String>,
    pub checksum: Option<String>,
    pub keep_git_dir: bool,
    pub unpack: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    None,
    Test { command: Command, settings: Vec<(&'static str, i64)> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    From(From),
    Arg(Vec<(String, Option<String>)>),
    Run(Run),
    Copy(Copy),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Maintainer(String),
    Expose(Vec<String>),
    Volume(Vec<String>),
    User(String),
    Workdir(String),
    Cmd(Command),
    Entrypoint(Command),
    Shell(Vec<String>),
    Stopsignal(String),
    Healthcheck(Healthcheck),
    Onbuild(String),
}

/// An instruction and its place in the Dockerfile.
#[derive(Debug, Clone)]
pub struct Step {
    pub instruction: Instruction,
    pub node: Node,
}

/// Parses all instructions of a file.
pub(crate) fn steps(source: &mut Source) -> Result<Vec<Step>, Fault> {
    let nodes = std::mem::take(&mut source.nodes);
    let mut steps = Vec::with_capacity(nodes.len());
    let mut has_shell = false;
    for node in nodes {
        has_shell = (has_shell || node.word == "SHELL") && node.word != "FROM";
        let instruction = Reader { source, node: &node, has_shell }.instruction()?;
        steps.push(Step { instruction, node });
    }
    check_casing(source, &steps);
    Ok(steps)
}

/// Warns unless all instructions have the same case.
fn check_casing(source: &mut Source, steps: &[Step]) {
    let is = |step: &Step, fits: fn(&char) -> bool| step.node.written.chars().all(|c| fits(&c));
    let count = |fits: fn(&char) -> bool| steps.iter().filter(|step| is(step, fits)).count();
    let is_lower = count(char::is_ascii_lowercase) > count(char::is_ascii_uppercase);
    let (fits, majority): (fn(&char) -> bool, _) =
        if is_lower { (char::is_ascii_lowercase, "lowercase") } else { (char::is_ascii_uppercase, "uppercase") };
    for step in steps.iter().filter(|step| !is(step, fits)) {
        let message = format!("`{}` is not written as most instructions here are, in {majority}", step.node.written);
        source.warnings.push(Warning { rule: "ConsistentInstructionCasing", line: step.node.first, message });
    }
}

struct Reader<'a> {
    source: &'a mut Source,
    node: &'a Node,
    /// Whether a SHELL has set the shell.
    has_shell: bool,
}

impl Reader<'_> {
    fn fault(&self, word: &str, message: &str, hint: Option<&str>) -> Fault {
        self.source.fault_at(self.node, word, message, hint)
    }

    fn warn(&mut self, rule: &'static str, message: impl Into<String>) {
        self.source.warnings.push(Warning { rule, line: self.node.first, message: message.into() });
    }

    fn instruction(&mut self) -> Result<Instruction, Fault> {
        let node = self.node;
        let word = node.word.as_str();
        if !WORDS.contains(&word) {
            let written = &node.written;
            let hint = guess(word, WORDS).map(|near| format!("did you mean {near}?"));
            let hint = hint.unwrap_or_else(|| format!("there are {}", WORDS.join(", ")));
            return Err(self.fault(written, &format!("unknown instruction `{written}`"), Some(&hint)));
        }
        let known: &[&str] = match word {
            "FROM" => &["platform"],
            "RUN" => &["mount", "network", "security", "device"],
            "COPY" => &["from", "chown", "chmod", "link", "parents", "exclude"],
            "ADD" => &["chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack"],
            "HEALTHCHECK" => &["interval", "timeout", "start-period", "start-interval", "retries"],
            _ => &[],
        };
        // Without known flags, they are part of the text.
        if let Some((name, _)) = node.flags.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            let hint = guess(name, known.iter().copied()).map(|near| format!("did you mean --{near}?"));
            let hint = hint.unwrap_or_else(|| match known {
                [] => format!("{word} has no flags"),
                known => format!("{word} has --{}", known.join(", --")),
            });
            return Err(self.fault(&format!("--{name}"), &format!("{word} has no flag --{name}"), Some(&hint)));
        }
        if node.rest.is_empty() && !matches!(word, "CMD" | "ENTRYPOINT") {
            return Err(self.fault("", &format!("{word} needs an argument"), example(word)));
        }
        match word {
            "FROM" => self.from(),
            "ARG" => self.arg(),
            "RUN" => self.run(),
            "COPY" | "ADD" => self.copy(),
            "ENV" => Ok(Instruction::Env(self.pairs()?)),
            "LABEL" => Ok(Instruction::Label(self.pairs()?)),
            "MAINTAINER" => {
                self.warn(
                    "MaintainerDeprecated",
                    "MAINTAINER is deprecated; write LABEL org.opencontainers.image.authors=…",
                );
                Ok(Instruction::Maintainer(node.rest.clone()))
            }
            "EXPOSE" => Ok(Instruction::Expose(self.ports())),
            "VOLUME" => {
                let list = self.list()?;
                if list.is_empty() || list.iter().any(String::is_empty) {
                    return Err(self.fault("", "a volume needs a path", example(word)));
                }
                Ok(Instruction::Volume(list))
            }
            "USER" => Ok(Instruction::User(node.rest.clone())),
            "WORKDIR" => Ok(Instruction::Workdir(node.rest.clone())),
            "CMD" => Ok(Instruction::Cmd(self.command(&node.rest)?)),
            "ENTRYPOINT" => Ok(Instruction::Entrypoint(self.command(&node.rest)?)),
            "SHELL" => match self.json(&node.rest)? {
                Some(list) if !list.is_empty() => Ok(Instruction::Shell(list)),
                _ => Err(self.fault(&node.rest, "SHELL takes a JSON list", example(word))),
            },
            "STOPSIGNAL" => Ok(Instruction::Stopsignal(node.rest.clone())),
            "HEALTHCHECK" => self.healthcheck(),
            _ => self.onbuild(),
        }
    }

    fn ports(&mut self) -> Vec<String> {
        let all = split(&self.node.rest);
        for port in &all {
            if port.contains(':') && !port.contains('$') {
                let message = format!("`{port}`: EXPOSE takes neither an address nor a port of the host; use run -p");
                self.warn("ExposeInvalidFormat", message);
            }
            let protocol = port.split_once('/').map_or("", |(_, protocol)| protocol);
            if !protocol.contains('$') && protocol.chars().any(|c| c.is_ascii_uppercase()) {
                self.warn("ExposeProtoCasing", format!("the protocol of `{port}` should be in lower case"));
            }
        }
        all
    }

    fn flag(&self, name: &str) -> Option<&Option<String>> {
        self.node.flags.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// Takes a flag that needs a value.
    fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.flag(name) {
            Some(Some(value)) if !value.is_empty() => Ok(Some(value.clone())),
            None => Ok(None),
            Some(_) => Err(self.fault(&format!("--{name}"), &format!("--{name} needs a value: --{name}=…"), None)),
        }
    }

    fn switch(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.flag(name).map(Option::as_deref) {
            None => Ok(None),
            Some(None | Some("true" | "1")) => Ok(Some(true)),
            Some(Some("false" | "0")) => Ok(Some(false)),
            Some(Some(other)) => {
                Err(self.fault(&format!("--{name}"), &format!("--{name} is true or false, not `{other}`"), None))
            }
        }
    }

    fn all(&self, name: &str) -> Vec<String> {
        let values = self.node.flags.iter().filter(|(n, _)| n == name);
        values.filter_map(|(_, value)| value.clone()).collect()
    }

    fn from(&mut self) -> Result<Instruction, Fault> {
        let words = split(&self.node.rest);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (image, alias) = match words[..] {
            [image] => (image, None),
            [image, r#as, alias] if r#as.eq_ignore_ascii_case("as") => {
                let written = self.node.written.clone();
                let capitals = |word: &str| word.chars().all(|c| c.is_ascii_uppercase());
                if capitals(&written) != capitals(r#as) {
                    self.warn("FromAsCasing", format!("`{written}` and `{as}` are written in different cases"));
                }
                (image, Some(alias))
            }
            _ => {
                return Err(self.fault(
                    words.get(1).unwrap_or(&""),
                    "FROM takes IMAGE, or IMAGE AS NAME",
                    example("FROM"),
                ));
            }
        };
        if let Some(alias) = alias {
            let lower = alias.to_ascii_lowercase();
            let fits = lower.starts_with(|c: char| c.is_ascii_lowercase())
                && lower.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            if !fits {
                let hint = "a letter first, then letters, digits, - _ and .";
                return Err(self.fault(alias, &format!("`{alias}` cannot be the name of a stage"), Some(hint)));
            }
            if matches!(lower.as_str(), "scratch" | "context") {
                self.warn("ReservedStageName", format!("`{alias}` is a reserved word and should not name a stage"));
            }
            if alias.chars().any(|c| c.is_ascii_uppercase()) {
                self.warn("StageNameCasing", format!("the stage's name `{alias}` should be in lower case"));
            }
        }
        Ok(Instruction::From(From {
            image: image.to_owned(),
            platform: self.text("platform")?,
            alias: alias.map(str::to_ascii_lowercase),
        }))
    }

    fn arg(&mut self) -> Result<Instruction, Fault> {
        let mut all = Vec::new();
        for word in Lexer::raw_words(&self.node.rest, self.source.directives.escape) {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.clone(), None),
            };
            if name.is_empty() {
                return Err(self.fault(&word, "an ARG needs a name", example("ARG")));
            }
            self.secret("ARG", &name);
            all.push((name, value));
        }
        Ok(Instruction::Arg(all))
    }

    /// Warns of variables that look like secrets, which everybody who has the image can read.
    fn secret(&mut self, word: &str, name: &str) {
        let name = name.trim_matches(['"', '\'']);
        let telling =
            ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
        let lower = name.to_ascii_lowercase();
        let public = lower.split('_').any(|part| part == "public");
        if !public && lower.split('_').any(|part| telling.contains(&part)) {
            self.warn(
                "SecretsUsedInArgOrEnv",
                format!("{word} {name}: whoever has the image can read it; use RUN --mount=type=secret"),
            );
        }
    }

    /// Parses `a=1 b="2 3"`, or the old form `a 1 2 3`; quotes stay.
    fn pairs(&mut self) -> Result<Vec<(String, String)>, Fault> {
        let (word, rest) = (self.node.word.clone(), self.node.rest.clone());
        let words = Lexer::raw_words(&rest, self.source.directives.escape);
        if words.first().is_some_and(|first| !first.contains('=')) {
            let Some((name, value)) = rest.split_once(is_blank) else {
                return Err(self.fault(&rest, &format!("`{rest}` has no value"), example(&word)));
            };
            self.warn("LegacyKeyValueFormat", format!("write {word} {name}=… with an equals sign"));
            if word == "ENV" {
                self.secret("ENV", name);
            }
            return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
        }
        let mut pairs = Vec::new();
        for one in words {
            match one.split_once('=') {
                Some(("", _)) => return Err(self.fault(&one, &format!("`{one}` has no name"), example(&word))),
                Some((name, value)) => {
                    if word == "ENV" {
                        self.secret("ENV", name);
                    }
                    pairs.push((name.to_owned(), value.to_owned()));
                }
                None => {
                    let hint = "a value with blanks needs quotes: NAME=\"a b\"";
                    return Err(self.fault(&one, &format!("`{one}` has no value"), Some(hint)));
                }
            }
        }
        Ok(pairs)
    }

    /// Parses a JSON list of strings. `None`: the text is not JSON, but a command for the shell.
    fn json(&mut self, text: &str) -> Result<Option<Vec<String>>, Fault> {
        if !text.starts_with('[') {
            return Ok(None);
        }
        match serde_json::from_str::<Vec<serde_json::Value>>(text) {
            Ok(list) => match list.iter().map(|v| v.as_str().map(str::to_owned)).collect() {
                Some(list) => Ok(Some(list)),
                None => {
                    let hint = "put each word in double quotes: [\"sleep\", \"10\"]";
                    Err(self.fault(text, "a JSON list here takes strings only", Some(hint)))
                }
            },
            Err(_) => {
                self.warn(
                    "JSONArgsRecommended",
                    format!("{text} is not a JSON list, so a shell runs it; JSON needs double quotes"),
                );
                Ok(None)
            }
        }
    }

    fn command(&mut self, text: &str) -> Result<Command, Fault> {
        let word = self.node.word.clone();
        match self.json(text)? {
            Some(list) => Ok(Command::Exec(list)),
            None => {
                let is_plain = !text.is_empty() && !text.starts_with('[') && !self.has_shell;
                if matches!(word.as_str(), "CMD" | "ENTRYPOINT") && is_plain {
                    self.warn(
                        "JSONArgsRecommended",
                        format!("{word} as a JSON list gets signals itself; as text, a shell stands before it"),
                    );
                }
                Ok(Command::Shell(text.to_owned()))
            }
        }
    }

    /// Parses a JSON list, or words separated by blanks.
    fn list(&mut self) -> Result<Vec<String>, Fault> {
        let rest = self.node.rest.clone();
        Ok(self.json(&rest)?.unwrap_or_else(|| split(&rest)))
    }

    fn run(&mut self) -> Result<Instruction, Fault> {
        let rest = self.node.rest.clone();
        let mut script = None;
        let command = match &self.node.heredocs[..] {
            [] => self.command(&rest)?,
            // The heredoc is the whole command.
            [only] if !rest.contains(char::is_whitespace) && parse::heredoc(&rest).is_some() => {
                if only.content.starts_with("#!") {
                    let path = format!("/dev/pipes/{}", only.name);
                    script = Some((path.clone(), only.content.clone()));
                    Command::Shell(path)
                } else {
                    Command::Shell(only.content.clone())
                }
            }
            all => {
                let mut text = rest;
                for heredoc in all {
                    text.push('\n');
                    text.push_str(&heredoc.content);
                    text.push_str(&heredoc.name);
                }
                Command::Shell(text)
            }
        };
        if let Some(what) = ["security", "device"].into_iter().find(|name| self.flag(name).is_some()) {
            self.warn("Unsupported", format!("RUN --{what} has no effect here"));
        }
        Ok(Instruction::Run(Run { command, script, mounts: self.all("mount"), network: self.text("network")? }))
    }

    fn copy(&mut self) -> Result<Instruction, Fault> {
        let mut list = self.list()?;
        let target = list.pop().unwrap_or_default();
        if list.is_empty() {
            let word = &self.node.word;
            return Err(self.fault(&target, &format!("{word} needs a source and a target"), example(word)));
        }
        Ok(Instruction::Copy(Copy {
            adds: self.node.word == "ADD",
            sources: list,
            target,
            from: self.text("from")?,
            chown: self.text("chown")?,
            chmod: self.text("chmod")?,
            link: self.switch("link")?.unwrap_or(false),
            parents: self.switch("parents")?.unwrap_or(false),
            exclude: self.all("exclude"),
            checksum: self.text("checksum")?,
            keep_git_dir: self.switch("keep-git-dir")?.unwrap_or(false),
            unpack: self.switch("unpack")?,
        }))
    }

    fn healthcheck(&mut self) -> Result<Instruction, Fault> {
        let rest = self.node.rest.clone();
        let (kind, argument) = rest.split_once(is_blank).unwrap_or((&rest, ""));
        match kind.to_ascii_uppercase().as_str() {
            "NONE" if argument.trim().is_empty() => Ok(Instruction::Healthcheck(Healthcheck::None)),
            "CMD" if !argument.trim().is_empty() => {
                let mut settings = Vec::new();
                for (flag, key) in [
                    ("interval", "Interval"),
                    ("timeout", "Timeout"),
                    ("start-period", "StartPeriod"),
                    ("start-interval", "StartInterval"),
                ] {
                    if let Some(text) = self.text(flag)? {
                        let nanoseconds = duration(&text).ok_or_else(|| {
                            let hint = "a number with its unit: 30s, 1m30s, 500ms";
                            self.fault(&text, &format!("invalid time `{text}`"), Some(hint))
                        })?;
                        if (1..SHORTEST_HEALTH_TIME).contains(&nanoseconds) {
                            let message = format!("--{flag} is at least 1ms, not {text}");
                            return Err(self.fault(&text, &message, None));
                        }
                        settings.push((key, nanoseconds));
                    }
                }
                if let Some(text) = self.text("retries")? {
                    let number = text.parse::<u32>();
                    let number = number.map_err(|_| self.fault(&text, &format!("invalid number `{text}`"), None))?;
                    settings.push(("Retries", number.into()));
                }
                let command = match self.json(argument.trim())? {
                    Some(list) if list.is_empty() => {
                        return Err(self.fault(argument, "HEALTHCHECK CMD needs a command", example("HEALTHCHECK")));
                    }
                    Some(list) => Command::Exec(list),
                    None => Command::Shell(argument.trim().to_owned()),
                };
                Ok(Instruction::Healthcheck(Healthcheck::Test { command, settings }))
            }
            _ => Err(self.fault(kind, "HEALTHCHECK takes CMD and a command, or NONE", example("HEALTHCHECK"))),
        }
    }

    fn onbuild(&mut self) -> Result<Instruction, Fault> {
        let rest = self.node.rest.clone();
        let word = rest.split(is_blank).next().unwrap_or_default().to_ascii_uppercase();
        if matches!(word.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
            return Err(self.fault(&rest, &format!("{word} cannot be a trigger"), None));
        }
        if !WORDS.contains(&word.as_str()) {
            let hint = guess(&word, WORDS).map(|near| format!("did you mean {near}?"));
            return Err(self.fault(&rest, &format!("unknown instruction `{word}`"), hint.as_deref()));
        }
        let mut text = rest;
        for heredoc in &self.node.heredocs {
            text = format!("{text}\n{}{}", heredoc.content, heredoc.name);
        }
        Ok(Instruction::Onbuild(text))
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(is_blank).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Instruction>, Fault> {
        let mut source = Source::parse("Dockerfile", text)?;
        Ok(steps(&mut source)?.into_iter().map(|step| step.instruction).collect())
    }

    #[test]
    fn a_slip_is_shown_with_its_place_and_what_was_meant() {
        let fault = read("FROM alpine\n\n  RNU apk add nginx").unwrap_err();
        assert_eq!((fault.place.line, fault.place.column, fault.hint.as_deref()), (3, 3, Some("did you mean RUN?")));
        assert!(fault.to_string().ends_with("RNU apk add nginx\n       |   ^"), "{fault}");
        let fault = read("FROM alpine\nCOPY --chwon=1 a b").unwrap_err();
        assert_eq!(
            (fault.place.line, fault.place.column, fault.hint.as_deref()),
            (2, 6, Some("did you mean --chown?"))
        );
    }

    #[test]
    fn forms() {
        let all = read(
            "FROM a AS Build\nENV a=1 b='2 3'\nENV c 4 5\nCMD [\"x\"]\nCMD x y\nRUN <<E\nhi\nE\nRUN sh <<E\nhi\nE",
        )
        .unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert!(matches!(&all[0], Instruction::From(from) if from.alias.as_deref() == Some("build")));
        assert_eq!(all[1], Instruction::Env(vec![pair("a", "1"), pair("b", "'2 3'")]));
        assert_eq!(all[2], Instruction::Env(vec![pair("c", "4 5")]));
        assert_eq!(all[3], Instruction::Cmd(Command::Exec(vec!["x".into()])));
        assert_eq!(all[4], Instruction::Cmd(Command::Shell("x y".into())));
        let shell = |instruction: &Instruction| match instruction {
            Instruction::Run(Run { command: Command::Shell(text), .. }) => text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((shell(&all[5]).as_str(), shell(&all[6]).as_str()), ("hi\n", "sh <<E\nhi\nE"));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for wrong in [
            "RUN",
            "ENV A",
            "ENV =b",
            "ENV a=1 b",
            "COPY a",
            "CMD [1]",
            "SHELL sh",
            "HEALTHCHECK x",
            "HEALTHCHECK CMD",
            "HEALTHCHECK --interval=5 CMD x",
            "ONBUILD FROM a",
            "ONBUILD X",
            "LABEL --a=b c=d",
            "COPY --link=x a b",
            "ARG =1",
        ] {
            assert!(read(&format!("FROM a\n{wrong}")).is_err(), "{wrong}");
        }
        assert!(read("FROM a b").is_err() && read("FROM a AS 1b").is_err());
    }

    #[test]
    fn times_as_go_writes_them() {
        assert_eq!(
            (duration("1m30s"), duration("1.5s"), duration("5"), duration("")),
            (Some(90_000_000_000), Some(1_500_000_000), None, None)
        );
    }
}
