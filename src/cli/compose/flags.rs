//! The flags before every command of `compose`: which project it is about.

use super::error::ComposeFailure;
use super::members;
use crate::cli::{Context, stderr};
use crate::compose::{self, ComposeError, Options, Project};
use crate::diag::Failure;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ProjectFlags {
    /// Read this file; can be repeated: the later are put over the earlier
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Name the project [default: the directory's name]
    #[arg(short, long, value_name = "NAME")]
    project_name: Option<String>,
    /// Enable the services of a profile; * enables all
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,
    /// Read variables from this file instead of .env
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Take this directory for relative paths [default: the first file's]
    #[arg(long, value_name = "DIR")]
    project_directory: Option<PathBuf>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How to print; the terminal decides
    #[arg(long, value_name = "WHEN", hide = true)]
    ansi: Option<String>,
    /// How to print progress; the terminal decides
    #[arg(long, value_name = "HOW", hide = true)]
    progress: Option<String>,
    /// How much to do at once
    #[arg(long, value_name = "NUMBER", hide = true, allow_negative_numbers = true)]
    parallel: Option<i64>,
}

impl ProjectFlags {
    fn options(&self) -> Options {
        Options {
            files: self.file.clone(),
            name: self.project_name.clone(),
            profiles: self.profile.clone(),
            env_files: self.env_file.clone(),
            directory: self.project_directory.clone(),
            keeps_variables: false,
        }
    }

    /// Reads the project, and prints what is to know about it.
    pub(super) fn project(&self) -> Result<Project, Failure> {
        self.project_of(self.options())
    }

    /// Reads the project with its variables in their places.
    pub(super) fn project_with_variables(&self) -> Result<Project, Failure> {
        self.project_of(Options { keeps_variables: true, ..self.options() })
    }

    fn project_of(&self, options: Options) -> Result<Project, Failure> {
        let project = Project::new(compose::load(&options)?)?;
        project.notes.iter().for_each(|note| stderr::note(note));
        Ok(project)
    }

    /// Returns the project's name, and the project if its files are there. A name alone is enough for what runs already.
    pub(super) fn name(&self, context: &Context) -> Result<(String, Option<Project>), Failure> {
        match compose::load(&self.options()) {
            Err(ComposeError::NoFile(directory)) => {
                let running = members::all(&context.store);
                match &self.project_name {
                    Some(name) if running.contains_key(name) => Ok((name.clone(), None)),
                    Some(name) => Err(ComposeFailure::NoProject(name.clone()).into()),
                    None => Err(ComposeError::NoFile(directory).into()),
                }
            }
            loaded => {
                let project = Project::new(loaded?)?;
                Ok((project.name.clone(), Some(project)))
            }
        }
    }
}
