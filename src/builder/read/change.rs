//! Evaluates the instructions that change only the settings in an image's config.

use super::instruction;
use super::instruction::{Command, Healthcheck, Instruction};
use super::parse::{Fault, Source};
use super::variable::{InvalidWord, Lexer};
use crate::container::request::signal::Signal;
use crate::diag::Diagnose;
use crate::image::config::Change;
use serde_json::json;

#[derive(Debug, thiserror::Error)]
pub enum InvalidArgument {
    #[error(transparent)]
    Word(#[from] InvalidWord),
    #[error("invalid port `{0}`: write 80, 80/udp or 8000-8010")]
    Port(String),
    #[error("invalid protocol `{0}`: use tcp, udp or sctp")]
    Protocol(String),
    #[error("the name of a variable is empty")]
    NoName,
    #[error("{0} needs an argument")]
    Empty(&'static str),
    #[error("no such signal: {0}")]
    Signal(String),
    #[error("invalid path for a volume `{0}`: write it absolutely: /data")]
    Volume(String),
}

/// The settings that an instruction depends on.
pub(crate) struct Settings<'a> {
    pub lexer: Lexer<'a>,
    /// The shell of the shell form.
    pub shell: &'a [String],
    /// Whether a CMD follows the FROM.
    pub cmd_is_own: bool,
}

/// Evaluates an instruction. `None`: it does more than change settings.
pub(crate) fn change(instruction: &Instruction, settings: &Settings) -> Result<Option<Change>, InvalidArgument> {
    let word = |text: &str| settings.lexer.word(text);
    let argv = |command: &Command| match command {
        Command::Exec(argv) => Some(argv.clone()),
        Command::Shell(text) if text.is_empty() => None,
        Command::Shell(text) => Some([settings.shell, std::slice::from_ref(text)].concat()),
    };
    Ok(Some(match instruction {
        Instruction::Env(all) => Change::Env(pairs(all, &settings.lexer)?),
        Instruction::Label(all) => Change::Label(pairs(all, &settings.lexer)?),
        Instruction::Maintainer(author) => Change::Author(author.clone()),
        Instruction::Expose(all) => {
            let mut found = Vec::new();
            for one in all {
                for word in settings.lexer.words(one)? {
                    found.extend(ports(&word)?);
                }
            }
            Change::Expose(found)
        }
        Instruction::Volume(all) => Change::Volume(all.iter().map(|v| volume(word(v)?)).collect::<Result<_, _>>()?),
        // As with Docker, an empty user is the default one, and an empty directory changes nothing.
        Instruction::User(user) => Change::User(word(user)?),
        Instruction::Workdir(path) => Change::Workdir(word(path)?),
        Instruction::Cmd(command) => Change::Cmd(argv(command)),
        Instruction::Entrypoint(command) => Change::Entrypoint { argv: argv(command), keeps_cmd: settings.cmd_is_own },
        Instruction::Shell(argv) => Change::Shell(argv.clone()),
        Instruction::Stopsignal(signal) => Change::StopSignal(stop_signal(not_empty("STOPSIGNAL", word(signal)?)?)?),
        Instruction::Onbuild(trigger) => Change::OnBuild(trigger.clone()),
        Instruction::Healthcheck(Healthcheck::None) => Change::Healthcheck(json!({ "Test": ["NONE"] })),
        Instruction::Healthcheck(Healthcheck::Test { command, settings }) => {
            let test = match command {
                Command::Shell(text) => vec!["CMD-SHELL".to_owned(), text.clone()],
                Command::Exec(argv) => [&["CMD".to_owned()], argv.as_slice()].concat(),
            };
            let mut check = json!({ "Test": test });
            // Zero is the default.
            for (key, value) in settings.iter().filter(|(_, value)| *value != 0) {
                check[*key] = json!(value);
            }
            Change::Healthcheck(check)
        }
        Instruction::From(_) | Instruction::Arg(_) | Instruction::Run(_) | Instruction::Copy(_) => return Ok(None),
    }))
}

fn pairs(all: &[(String, String)], lexer: &Lexer) -> Result<Vec<(String, String)>, InvalidArgument> {
    let mut pairs = Vec::with_capacity(all.len());
    for (name, value) in all {
        let name = lexer.word(name)?;
        if name.is_empty() {
            return Err(InvalidArgument::NoName);
        }
        pairs.push((name, lexer.word(value)?));
    }
    Ok(pairs)
}

fn not_empty(word: &'static str, text: String) -> Result<String, InvalidArgument> {
    if text.is_empty() { Err(InvalidArgument::Empty(word)) } else { Ok(text) }
}

fn stop_signal(text: String) -> Result<String, InvalidArgument> {
    if text.parse::<Signal>().is_ok() { Ok(text) } else { Err(InvalidArgument::Signal(text)) }
}

/// Refuses a volume that no container could start with: an empty path or the root.
fn volume(text: String) -> Result<String, InvalidArgument> {
    if text.trim_matches('/').is_empty() { Err(InvalidArgument::Volume(text)) } else { Ok(text) }
}

/// Parses `80`, `80/udp` or `8000-8010/tcp`. The host's part before a colon is ignored.
fn ports(text: &str) -> Result<Vec<String>, InvalidArgument> {
    let (before, inner) = text.rsplit_once(':').unwrap_or(("", text));
    if !before.chars().all(|c| c.is_ascii_hexdigit() || ".:-[]".contains(c)) {
        return Err(InvalidArgument::Port(text.to_owned()));
    }
    let text = inner;
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(InvalidArgument::Protocol(protocol));
    }
    let invalid = || InvalidArgument::Port(text.to_owned());
    let port = |text: &str| text.parse::<u16>().map_err(|_| invalid());
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(invalid());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// Why a `-c` of `commit` or `import` is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidChange {
    #[error("invalid change")]
    Text(#[source] Fault),
    #[error("invalid change `{0}`")]
    Argument(String, #[source] InvalidArgument),
    #[error("`{0}` is not an instruction that can be given here")]
    NoChange(String),
}

impl Diagnose for InvalidChange {
    fn hint(&self) -> Option<String> {
        let all =
            "CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME and WORKDIR";
        match self {
            Self::Text(Fault { hint: Some(hint), .. }) => Some(hint.clone()),
            _ => Some(format!("a change is an instruction with its arguments; there are {all}")),
        }
    }
}

/// Parses instructions that are given one by one, outside of a Dockerfile.
pub(crate) fn changes(texts: &[String]) -> Result<Vec<Change>, InvalidChange> {
    let mut all = Vec::new();
    let shell = instruction::default_shell();
    for text in texts {
        let mut source = Source::parse("--change", text).map_err(InvalidChange::Text)?;
        for step in instruction::steps(&mut source).map_err(InvalidChange::Text)? {
            let cmd_is_own = all.iter().any(|change| matches!(change, Change::Cmd(_)));
            let lexer = Lexer::new('\\', &|_| None);
            let settings = Settings { lexer, shell: &shell, cmd_is_own };
            let found = change(&step.instruction, &settings);
            let found = found.map_err(|source| InvalidChange::Argument(text.trim().to_owned(), source))?;
            all.push(found.ok_or_else(|| InvalidChange::NoChange(step.node.word.clone()))?);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::config;
    use serde_json::Value;

    fn applied(texts: &[&str]) -> Result<Value, InvalidChange> {
        let mut config = config::new();
        config["config"]["Healthcheck"] = json!({ "Test": ["NONE"] });
        config::apply(&mut config, &changes(&texts.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>())?);
        Ok(config["config"].take())
    }

    #[test]
    fn changes_as_in_a_dockerfile() {
        let config = applied(&[
            "ENTRYPOINT [\"nginx\"]",
            "CMD [\"-g\", \"daemon off;\"]",
            "ENV A=1 B=\"2 3\"",
            "ENV A 4 5",
            "EXPOSE 80 90-91/udp",
            "LABEL a.b=c \"d e\"=f",
            "USER nginx",
            "VOLUME /a /b",
            "VOLUME [\"/c d\"]",
            "WORKDIR /srv",
            "WORKDIR www/../html",
            "ONBUILD RUN true",
        ])
        .unwrap();
        assert_eq!(
            config,
            json!({
                "Healthcheck": { "Test": ["NONE"] },
                "Entrypoint": ["nginx"], "Cmd": ["-g", "daemon off;"], "Env": ["A=4 5", "B=2 3"],
                "ExposedPorts": { "80/tcp": {}, "90/udp": {}, "91/udp": {} },
                "Labels": { "a.b": "c", "d e": "f" }, "User": "nginx",
                "Volumes": { "/a": {}, "/b": {}, "/c d": {} }, "WorkingDir": "/srv/html", "OnBuild": ["RUN true"],
            })
        );
        assert_eq!(applied(&["cmd echo hi"]).unwrap()["Cmd"], json!(["/bin/sh", "-c", "echo hi"]));
        let cmd_first = applied(&["CMD a", "ENTRYPOINT [\"b\"]"]).unwrap();
        assert_eq!(cmd_first["Cmd"], json!(["/bin/sh", "-c", "a"]));
    }

    #[test]
    fn wrong_changes_say_why() {
        for wrong in [
            "RUN true",
            "ENV",
            "ENV A",
            "ENV =b",
            "EXPOSE x",
            "EXPOSE 9-8",
            "EXPOSE 1/x",
            "LABEL \"a=b",
            "ONBUILD FROM a",
        ] {
            assert!(applied(&[wrong]).is_err(), "{wrong}");
        }
    }
}
