//! Credential helpers, `docker-credential-NAME`: they take JSON or a URL on standard input and print JSON.

use super::credential::Credential;
use crate::diag::Diagnose;
use serde::Deserialize;
use serde_json::json;
use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    #[error("cannot run the credential helper {program}")]
    Run { program: String, source: io::Error },
    #[error("the credential helper {program} failed: {said}")]
    Failed { program: String, said: String },
    #[error("cannot read the JSON of the credential helper {program}")]
    Json { program: String, source: serde_json::Error },
}

impl Diagnose for HelperError {
    fn hint(&self) -> Option<String> {
        Some(
            "it is named by credsStore or credHelpers in Docker's config.json: install it, or take that line out"
                .into(),
        )
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// The user name with which a helper marks a token.
const TOKEN: &str = "<token>";
/// The message of all helpers for a missing credential.
const NOT_FOUND: &str = "credentials not found";

pub(super) fn get(helper: &str, server: &str) -> Result<Option<Credential>, HelperError> {
    let program = program(helper);
    let output = run(&program, "get", server)?;
    if !output.status.success() {
        let said = said(&output);
        return if said.contains(NOT_FOUND) { Ok(None) } else { Err(HelperError::Failed { program, said }) };
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|source| HelperError::Json { program, source })?;
    Ok(match answer {
        Answer { secret, .. } if secret.is_empty() => None,
        Answer { username, secret } if username == TOKEN => Some(Credential::Identity(secret)),
        Answer { username, secret } => Some(Credential::Password { user: username, password: secret }),
    })
}

pub(super) fn store(helper: &str, server: &str, user: &str, password: &str) -> Result<(), HelperError> {
    let entry = json!({ "ServerURL": server, "Username": user, "Secret": password });
    must(program(helper), "store", &entry.to_string())
}

pub(super) fn erase(helper: &str, server: &str) -> Result<(), HelperError> {
    must(program(helper), "erase", server)
}

fn program(helper: &str) -> String {
    format!("docker-credential-{helper}")
}

fn must(program: String, verb: &str, input: &str) -> Result<(), HelperError> {
    let output = run(&program, verb, input)?;
    if output.status.success() { Ok(()) } else { Err(HelperError::Failed { program, said: said(&output) }) }
}

fn said(output: &Output) -> String {
    let text = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
    String::from_utf8_lossy(text).trim().chars().filter(|c| !c.is_control()).take(300).collect()
}

fn run(program: &str, verb: &str, input: &str) -> Result<Output, HelperError> {
    let failed = |source| HelperError::Run { program: program.to_owned(), source };
    let mut command = Command::new(program);
    command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read says why by its output.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().map_err(failed)
}
