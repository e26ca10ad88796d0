//! The files of a project become one tree: found, read, included, extended and merged.

use super::canonical::Canonical;
use super::dotenv;
use super::interpolate::{Unset, Variables, interpolate};
use super::merge::{merge, settle};
use super::node::{Entry, Map, Node, Tag, Value};
use super::paths::{absolute, make_absolute};
use super::schema::{FILE, SERVICE, Shape};
use super::yaml;
use crate::builder::read::vocabulary::guess;
use crate::compose::fault::{ComposeError, Fault, Sources};
use crate::compose::place::Place;
use crate::sys::On;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What the command line says about the project.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// `-f`; `-` is standard input.
    pub files: Vec<PathBuf>,
    pub name: Option<String>,
    pub profiles: Vec<String>,
    pub env_files: Vec<PathBuf>,
    pub directory: Option<PathBuf>,
    /// Variables stay in their places.
    pub keeps_variables: bool,
}

/// The files of a project as one canonical tree.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub node: Node,
    pub name: String,
    pub directory: PathBuf,
    pub files: Vec<PathBuf>,
    pub profiles: Vec<String>,
    pub variables: Variables,
    /// What to tell the user.
    pub notes: Vec<String>,
    pub sources: Sources,
}

const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] =
    ["compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// Files that include or extend each other.
const DEEPEST: usize = 20;

/// Reads the files of a project.
pub(crate) fn load(options: &Options) -> Result<Loaded, ComposeError> {
    let mut sources = Sources::default();
    match read(options, &mut sources) {
        Ok(loaded) => Ok(Loaded { sources, ..loaded }),
        Err(Stop::Fault(fault)) => Err(sources.error(fault)),
        Err(Stop::Error(error)) => Err(error),
    }
}

enum Stop {
    Fault(Fault),
    Error(ComposeError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ComposeError> for Stop {
    fn from(error: ComposeError) -> Self {
        Self::Error(error)
    }
}

fn read(options: &Options, sources: &mut Sources) -> Result<Loaded, Stop> {
    let here = std::env::current_dir().unwrap_or_default();
    let given = options.directory.as_ref().map(|directory| absolute(&directory.to_string_lossy(), &here));
    // The file .env beside may say which files there are.
    let mut variables = Variables(environment());
    let first_directory = given.clone().unwrap_or_else(|| {
        let first = options.files.first().filter(|file| file.as_os_str() != "-");
        let parent = first.and_then(|file| absolute(&file.to_string_lossy(), &here).parent().map(Path::to_owned));
        parent.unwrap_or_else(|| found_from(&here).map_or(here.clone(), |(directory, _)| directory))
    });
    add_env_files(&mut variables, options, &first_directory, sources)?;
    let files = files(options, &variables, given.as_deref().unwrap_or(&here))?;
    let directory = given.unwrap_or_else(|| match files.first().filter(|file| file.as_os_str() != "-") {
        Some(file) => file.parent().map_or(here.clone(), Path::to_owned),
        None => here.clone(),
    });
    let mut documents = Vec::new();
    for path in &files {
        documents.extend(open(path, sources)?);
    }
    let name = project_name(options, &variables, &documents, &directory)?;
    variables.0.insert("COMPOSE_PROJECT_NAME".into(), name.clone());
    let mut profiles = options.profiles.clone();
    let of_variable = variables.get("COMPOSE_PROFILES").unwrap_or_default();
    profiles.extend(of_variable.split(',').filter(|word| !word.is_empty()).map(|word| word.trim().to_owned()));
    let mut reader =
        Reader { sources, unset: Unset::default(), keeps_variables: options.keeps_variables, notes: Vec::new() };
    let mut node = reader.all(documents, &directory, &variables, 0)?;
    settle(&Shape::Object(&FILE), &mut node);
    let mut notes = reader.notes;
    notes.extend(reader.unset.0.iter().map(|name| format!("the variable {name} is not set; it counts as empty")));
    Ok(Loaded { node, name, directory, files, profiles, variables, notes, sources: Sources::default() })
}

fn environment() -> std::collections::BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Adds the variables of `--env-file` or `.env`; those of the caller take precedence.
fn add_env_files(
    variables: &mut Variables,
    options: &Options,
    directory: &Path,
    sources: &mut Sources,
) -> Result<(), Stop> {
    let here = std::env::current_dir().unwrap_or_default();
    let of_variable = variables.get("COMPOSE_ENV_FILES").unwrap_or_default();
    let mut files: Vec<PathBuf> =
        of_variable.split(',').filter(|file| !file.is_empty()).map(|file| here.join(file)).collect();
    if !options.env_files.is_empty() {
        files = options.env_files.iter().map(|file| here.join(file)).collect();
    }
    if files.is_empty() && directory.join(".env").is_file() {
        files.push(directory.join(".env"));
    }
    add_variables(variables, &files, sources)
}

fn add_variables(variables: &mut Variables, files: &[PathBuf], sources: &mut Sources) -> Result<(), Stop> {
    let of_caller = variables.clone();
    for path in files {
        for (name, value) in variables_of(path, variables, sources)? {
            if let Some(value) = value.filter(|_| of_caller.get(&name).is_none()) {
                variables.0.insert(name, value);
            }
        }
    }
    Ok(())
}

fn variables_of(path: &Path, around: &Variables, sources: &mut Sources) -> Result<Vec<(String, Option<String>)>, Stop> {
    let text = fs::read_to_string(path).on("open", path).map_err(|error| ComposeError::Read(path.to_owned(), error))?;
    dotenv::parse(&text, around).map_err(|wrong| {
        let file = sources.add(path, &text);
        Fault::new(Place { file, line: wrong.line, column: 1 }, wrong.why).hint("a line is NAME=VALUE").into()
    })
}

/// Reads a file of variables of a service, at its place in the compose file.
pub(crate) fn env_file(
    path: &Path,
    around: &Variables,
    is_raw: bool,
    at: Place,
) -> Result<Vec<(String, Option<String>)>, Fault> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        let fault = Fault::new(at, format!("cannot read the variables in {shown}: {error}"));
        fault.hint("make the file, or say that it may be missing: env_file: [{path: …, required: false}]")
    })?;
    if is_raw {
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let pair = |line: &str| match line.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (line.to_owned(), around.get(line).map(str::to_owned)),
        };
        return Ok(lines.map(pair).collect());
    }
    dotenv::parse(&text, around).map_err(|wrong| Fault::new(at, format!("{shown}, line {}: {}", wrong.line, wrong.why)))
}

/// Finds the compose file in a directory or above it.
fn found_from(directory: &Path) -> Option<(PathBuf, &'static str)> {
    let of = |directory: &Path| NAMES.into_iter().find(|name| directory.join(name).is_file());
    directory.ancestors().find_map(|directory| Some((directory.to_owned(), of(directory)?)))
}

fn files(options: &Options, variables: &Variables, directory: &Path) -> Result<Vec<PathBuf>, ComposeError> {
    let here = std::env::current_dir().unwrap_or_default();
    let place = |file: &Path, base: &Path| match file.to_string_lossy() {
        name if name == "-" => file.to_owned(),
        name => absolute(&name, base),
    };
    if !options.files.is_empty() {
        return Ok(options.files.iter().map(|file| place(file, &here)).collect());
    }
    if let Some(text) = variables.get("COMPOSE_FILE").filter(|text| !text.is_empty()) {
        let separator = variables.get("COMPOSE_PATH_SEPARATOR").filter(|text| !text.is_empty()).unwrap_or(":");
        return Ok(text.split(separator).map(|file| place(Path::new(file), directory)).collect());
    }
    let (found, name) = found_from(directory).ok_or_else(|| ComposeError::NoFile(directory.to_owned()))?;
    let mut files = vec![found.join(name)];
    files.extend(OVERRIDES.iter().map(|name| found.join(name)).find(|path| path.is_file()));
    Ok(files)
}

fn open(path: &Path, sources: &mut Sources) -> Result<Vec<Node>, Stop> {
    let failed = |error| ComposeError::Read(path.to_owned(), error);
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).on("read", "standard input").map_err(failed)?;
        text
    } else {
        fs::read_to_string(path).on("open", path).map_err(failed)?
    };
    let file = sources.add(path, &text);
    let mut documents = yaml::parse(&text, file)?;
    documents.retain(|document| !document.is_null());
    if documents.is_empty() {
        let fault = Fault::new(Place { file, line: 1, column: 1 }, "the file is empty");
        return Err(fault.hint("it needs services:, as in docs/compose.md").into());
    }
    Ok(documents)
}

fn project_name(
    options: &Options,
    variables: &Variables,
    documents: &[Node],
    directory: &Path,
) -> Result<String, Stop> {
    let is_valid = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
    };
    let given = options.name.clone().or_else(|| variables.get("COMPOSE_PROJECT_NAME").map(str::to_owned));
    if let Some(name) = given.filter(|name| !name.is_empty()) {
        return if is_valid(&name) { Ok(name) } else { Err(ComposeError::Name(name).into()) };
    }
    if let Some(node) = documents.iter().rev().find_map(|document| document.get("name")) {
        let mut node = node.clone();
        interpolate(&mut node, variables, &mut Unset::default())?;
        let name = node.scalar().unwrap_or_default();
        if !is_valid(name) {
            let fault = Fault::new(node.place, format!("invalid project name {name:?}"));
            return Err(fault.hint("small letters, digits, - and _, beginning with a letter or digit").into());
        }
        return Ok(name.to_owned());
    }
    let name = directory.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let name = name.trim_start_matches(['-', '_']).to_owned();
    Ok(if is_valid(&name) { name } else { "default".into() })
}

struct Reader<'a> {
    sources: &'a mut Sources,
    unset: Unset,
    keeps_variables: bool,
    notes: Vec<String>,
}

impl Reader<'_> {
    /// Merges documents, the later over the earlier.
    fn all(&mut self, documents: Vec<Node>, base: &Path, variables: &Variables, depth: usize) -> Result<Node, Stop> {
        let mut whole: Option<Node> = None;
        for document in documents {
            let document = self.one(document, base, variables, depth)?;
            whole = Some(match whole {
                Some(before) => merge(&Shape::Object(&FILE), before, document),
                None => document,
            });
        }
        Ok(whole.unwrap_or_else(|| Node::new(Value::Map(Map::new()), Place::default())))
    }

    fn canonical(&mut self, mut document: Node, base: &Path, variables: &Variables) -> Result<Node, Stop> {
        if !self.keeps_variables {
            interpolate(&mut document, variables, &mut self.unset)?;
        }
        let canonical = Canonical { has_variables: self.keeps_variables };
        let mut document = canonical.of(&Shape::Object(&FILE), document, "")?;
        make_absolute(&mut document, base);
        Ok(document)
    }

    fn one(&mut self, document: Node, base: &Path, variables: &Variables, depth: usize) -> Result<Node, Stop> {
        let mut document = self.canonical(document, base, variables)?;
        document.remove("version");
        document.remove("name");
        self.extend_all(&mut document, base, variables, depth)?;
        for include in document.remove("include").iter().flat_map(Node::list) {
            let included = self.include(include, base, variables, depth)?;
            let (Value::Map(included), Some(map)) = (included.value, document.map_mut()) else { continue };
            for (kind, entry) in included {
                match map.get_mut(&kind) {
                    Some(own) => add_included(&mut own.node, entry.node)?,
                    None => drop(map.insert(kind, entry)),
                }
            }
        }
        Ok(document)
    }

    fn include(&mut self, include: &Node, base: &Path, variables: &Variables, depth: usize) -> Result<Node, Stop> {
        if depth > DEEPEST {
            return Err(Fault::new(include.place, "the files include each other in a circle").into());
        }
        let paths: Vec<PathBuf> = include.texts("path").iter().map(|path| absolute(path, base)).collect();
        let Some(first) = paths.first() else {
            return Err(Fault::new(include.place, "include names no path").into());
        };
        let directory = match include.text("project_directory") {
            Some(directory) => absolute(directory, base),
            None => first.parent().unwrap_or(base).to_owned(),
        };
        let mut variables = variables.clone();
        let mut files: Vec<PathBuf> = include.texts("env_file").iter().map(|path| absolute(path, base)).collect();
        if files.is_empty() && directory.join(".env").is_file() {
            files.push(directory.join(".env"));
        }
        add_variables(&mut variables, &files, self.sources)?;
        let mut documents = Vec::new();
        for path in &paths {
            documents.extend(open_at(path, include.place, self.sources)?);
        }
        self.all(documents, &directory, &variables, depth + 1)
    }

    fn extend_all(&mut self, file: &mut Node, base: &Path, variables: &Variables, depth: usize) -> Result<(), Stop> {
        let names: Vec<String> = file.entries("services").map(|(name, _)| name.clone()).collect();
        for name in names {
            let mut seen = Vec::new();
            let Some(services) = file.get("services") else { continue };
            if services.get(&name).is_none_or(|service| service.get("extends").is_none()) {
                continue;
            }
            let whole = self.extended(services, &name, base, variables, &mut seen, depth)?;
            if let Some(service) = file.get_mut("services").and_then(|services| services.get_mut(&name)) {
                *service = whole;
            }
        }
        Ok(())
    }

    /// Returns a service over the one that it extends.
    fn extended(
        &mut self,
        services: &Node,
        name: &str,
        base: &Path,
        variables: &Variables,
        seen: &mut Vec<(PathBuf, String)>,
        depth: usize,
    ) -> Result<Node, Stop> {
        let Some(service) = services.get(name) else { return Ok(Node::map_at(services.place, [])) };
        let mut service = service.clone();
        let Some(extends) = service.remove("extends") else { return Ok(service) };
        let wanted = extends.text("service").unwrap_or_default().to_owned();
        let file = extends.text("file").map(PathBuf::from);
        let key = (file.clone().unwrap_or_else(|| base.join(":")), wanted.clone());
        if seen.contains(&key) || (file.is_none() && wanted == name) || depth > DEEPEST {
            return Err(Fault::new(extends.place, format!("service {name} extends itself in a circle")).into());
        }
        seen.push(key);
        let below = match &file {
            None => {
                let known = services.map().into_iter().flatten().map(|(name, _)| name.as_str());
                if services.get(&wanted).is_none() {
                    return Err(missing(&extends, &wanted, "in this file", known).into());
                }
                self.extended(services, &wanted, base, variables, seen, depth)?
            }
            Some(path) => {
                let directory = path.parent().unwrap_or(base).to_owned();
                let mut whole = Node::map_at(extends.place, []);
                for document in open_at(path, extends.place, self.sources)? {
                    let document = self.canonical(document, &directory, variables)?;
                    whole = merge(&Shape::Object(&FILE), whole, document);
                }
                let empty = Node::map_at(extends.place, []);
                let others = whole.get("services").unwrap_or(&empty);
                if others.get(&wanted).is_none() {
                    let known = others.map().into_iter().flatten().map(|(name, _)| name.as_str());
                    return Err(missing(&extends, &wanted, &format!("in {}", path.display()), known).into());
                }
                self.extended(others, &wanted, &directory, variables, seen, depth + 1)?
            }
        };
        Ok(merge(&Shape::Object(&SERVICE), below, service))
    }
}

fn missing<'a>(extends: &Node, wanted: &str, place: &str, known: impl Iterator<Item = &'a str>) -> Fault {
    let at = extends.get("service").map_or(extends.place, |node| node.place);
    let fault = Fault::new(at, format!("there is no service {wanted:?} {place} to extend"));
    match guess(wanted, known) {
        Some(meant) => fault.hint(format!("did you mean {meant}?")),
        None => fault,
    }
}

/// Opens a file that another one names.
fn open_at(path: &Path, at: Place, sources: &mut Sources) -> Result<Vec<Node>, Stop> {
    if let Err(error) = fs::metadata(path) {
        return Err(Fault::new(at, format!("cannot read {}: {error}", path.display())).into());
    }
    open(path, sources)
}

/// Adds what an included file has. Nothing may be there twice with two meanings.
fn add_included(own: &mut Node, included: Node) -> Result<(), Fault> {
    let (Some(map), Value::Map(included)) = (own.map_mut(), included.value) else { return Ok(()) };
    for (name, Entry { key, node }) in included {
        match map.get(&name) {
            None => drop(map.insert(name, Entry { key, node })),
            Some(entry) if entry.node.json() == node.json() || entry.node.tag == Tag::Override => {}
            Some(entry) => {
                let fault = Fault::new(entry.key, format!("{name:?} is in an included file already, and differs"));
                return Err(fault.hint("change it in a file of its own: include: [{path: [FILE, OVERRIDE]}]"));
            }
        }
    }
    Ok(())
}
