//! `login` and `logout`.

use super::flags::RegistryFlags;
use crate::diag::{Diagnose, Failure, inner_of};
use crate::registry::credentials::{self, Kept};
use crate::registry::host::credential::Credential;
use crate::registry::login;
use crate::sys::{On, SysError};
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr};
use std::io::{self, BufRead, Read, Write};

const HUB: &str = "docker.io";

#[derive(Args)]
pub(super) struct LoginArguments {
    /// The registry [default: docker.io]
    server: Option<String>,
    /// Set the user name
    #[arg(short, long)]
    username: Option<String>,
    /// Set the password; other users can see it in `ps`
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    registry: RegistryFlags,
}

#[derive(Args)]
pub(super) struct LogoutArguments {
    /// The registry [default: docker.io]
    server: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum LoginError {
    #[error("--password-stdin needs --username")]
    NoUser { registry: String },
    #[error("cannot ask for a {what}: standard input is not a terminal")]
    NoTerminal { what: &'static str, user: Option<String>, registry: String },
    #[error("empty {0}")]
    Empty(&'static str),
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for LoginError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoUser { registry } => {
                Some(format!("add your user name: minirun login -u NAME --password-stdin {registry}"))
            }
            Self::NoTerminal { user, registry, .. } => {
                let user = user.as_deref().unwrap_or("NAME");
                Some(format!("give both: minirun login -u {user} --password-stdin {registry} <FILE"))
            }
            _ => self.inner().and_then(Diagnose::hint),
        }
    }

    fn exit_code(&self) -> u8 {
        if matches!(self, Self::Interrupted) { 130 } else { 1 }
    }
}

/// Returns the registry as references name it: without scheme and path, and Docker Hub by its short name.
fn registry_of(server: Option<&str>) -> String {
    let server = server.unwrap_or(HUB);
    let host = server.split_once("://").map_or(server, |(_, rest)| rest).split('/').next().unwrap_or_default();
    match host {
        "" | "index.docker.io" | "registry-1.docker.io" => HUB.to_owned(),
        host => host.to_owned(),
    }
}

pub(super) fn login(arguments: LoginArguments) -> Result<u8, Failure> {
    let registry = registry_of(arguments.server.as_deref());
    if arguments.password_stdin && arguments.username.is_none() {
        return Err(LoginError::NoUser { registry }.into());
    }
    if arguments.password.is_some() {
        eprintln!("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    let kept = credentials::find(&registry, "")?;
    let settings = arguments.registry.settings();
    // As in Docker, kept credentials are tried first.
    if arguments.username.is_none()
        && arguments.password.is_none()
        && let Some(kept) = &kept
    {
        println!("Authenticating with existing credentials...");
        match login::check(&registry, kept, &settings) {
            Ok(()) => {
                println!("Login Succeeded");
                return Ok(0);
            }
            Err(error) => crate::cli::stderr::report(&error),
        }
    }
    let user = match arguments.username {
        Some(user) => user,
        None => ask_user(kept.as_ref().and_then(Credential::user), &registry)?,
    };
    let password = match arguments.password {
        Some(password) => password,
        None if arguments.password_stdin => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).on("read", "standard input").map_err(LoginError::from)?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        None => ask_password(&user, &registry)?,
    };
    if user.is_empty() || password.is_empty() {
        return Err(LoginError::Empty(if user.is_empty() { "user name" } else { "password" }).into());
    }
    let credential = Credential::Password { user: user.clone(), password: password.clone() };
    login::check(&registry, &credential, &settings)?;
    if let Kept::File(path) = credentials::keep(&registry, &user, &password)? {
        eprintln!(
            "WARNING! Your password will be stored unencrypted in {}.\n\
             Configure a credential helper to remove this warning. See\n\
             https://docs.docker.com/go/credential-store/\n",
            path.display()
        );
    }
    println!("Login Succeeded");
    Ok(0)
}

pub(super) fn logout(arguments: &LogoutArguments) -> Result<u8, Failure> {
    let registry = registry_of(arguments.server.as_deref());
    let key = credentials::key(&registry);
    if credentials::forget(&registry)? {
        println!("Removing login credentials for {key}");
    } else {
        println!("Not logged in to {key}");
    }
    Ok(0)
}

fn ask_user(known: Option<String>, registry: &str) -> Result<String, LoginError> {
    if !isatty(rustix::stdio::stdin()) {
        return Err(LoginError::NoTerminal { what: "user name", user: known, registry: registry.to_owned() });
    }
    match &known {
        Some(known) => print!("Username ({known}): "),
        None => print!("Username: "),
    }
    let _ = io::stdout().flush();
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).on("read", "standard input")?;
    let typed = line.trim().to_owned();
    Ok(if typed.is_empty() { known.unwrap_or_default() } else { typed })
}

/// Reads a password without echo. The interrupt key arrives as a character, so that no signal leaves the terminal
/// without echo.
fn ask_password(user: &str, registry: &str) -> Result<String, LoginError> {
    let terminal = Silent::new()?.ok_or_else(|| LoginError::NoTerminal {
        what: "password",
        user: Some(user.to_owned()),
        registry: registry.to_owned(),
    })?;
    print!("Password: ");
    let _ = io::stdout().flush();
    let mut typed = Vec::new();
    let mut byte = [0];
    let end = loop {
        match rustix::io::read(rustix::stdio::stdin(), &mut byte) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => break Err(error).on("read", "the terminal").map_err(LoginError::from),
            Ok(0) => break Ok(()),
            Ok(_) => {}
        }
        match byte[0] {
            b'\r' | b'\n' | 4 => break Ok(()),
            3 => break Err(LoginError::Interrupted),
            8 | 127 => {
                // Removes a whole character, not its last byte.
                while typed.pop().is_some_and(|last: u8| last & 0xc0 == 0x80) {}
            }
            21 => typed.clear(),
            other => typed.push(other),
        }
    };
    drop(terminal);
    println!();
    end?;
    Ok(String::from_utf8_lossy(&typed).into_owned())
}

/// The terminal without echo, read key by key; restored on drop.
struct Silent(Termios);

impl Silent {
    /// Returns `None` where standard input is not a terminal.
    fn new() -> Result<Option<Self>, LoginError> {
        let stdin = rustix::stdio::stdin();
        let Ok(before) = tcgetattr(stdin) else { return Ok(None) };
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin, OptionalActions::Flush, &silent).on("tcsetattr", "the terminal")?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.0);
    }
}
