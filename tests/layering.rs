//! Who may call whom, and where `unsafe` may stand, read from the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// A module imports only from those in later rows; those in one row do not know each other.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["explain", "check"],
    &["compose"],
    &["builder"],
    &["container", "registry"],
    &["volume"],
    &["image", "network"],
    &["userns", "http"],
    &["journal"],
    &["store"],
    &["sys"],
    &["diag"],
];

#[test]
fn the_page_on_security_names_tests_that_there_are() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(project.join("docs/security.md")).unwrap();
    let is_test = |(file, _): &(&str, &str)| file.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let named: Vec<(&str, &str)> = page.split('`').filter_map(|word| word.split_once("::")).filter(is_test).collect();
    assert!(named.len() > 20, "{named:?}");
    for (file, name) in named {
        let text = fs::read_to_string(project.join(format!("tests/{file}.rs"))).unwrap_or_default();
        assert!(text.contains(&format!("fn {name}()")), "there is no test {file}::{name}");
    }
}

#[test]
fn every_file_of_tests_is_in_the_suite() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let list = fs::read_to_string(directory.join("main.rs")).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") else { continue };
        assert!(
            list.lines().any(|line| line == format!("mod {module};")),
            "tests/main.rs lacks the line `mod {module};`"
        );
    }
}

#[test]
fn a_module_imports_only_from_those_below_it() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some(own) = module_of(&file) else { continue };
        let Some(layer) = layer_of(&own) else {
            wrong.push(format!("{}: the module `{own}` has no layer", file.display()));
            continue;
        };
        for (line, imported) in imports(&code_of(&file), is_top_of_module(&file)) {
            let below = layer_of(&imported).is_none_or(|other| other > layer);
            if imported != own && !below {
                wrong.push(format!("{}:{line}: {own} imports {imported}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_only_in_sys() {
    let mut wrong = Vec::new();
    for file in sources().into_iter().filter(|f| module_of(f).as_deref() != Some("sys")) {
        for (number, line) in code_of(&file).lines().enumerate() {
            if words(line).any(|word| word == "unsafe" || word == "unsafe_code") {
                wrong.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_cli_prints() {
    let macros = ["print", "println", "eprint", "eprintln", "dbg"];
    let mut wrong = Vec::new();
    for file in sources().into_iter().filter(|f| module_of(f).as_deref() != Some("cli")) {
        for (number, line) in code_of(&file).lines().enumerate() {
            if macros.iter().any(|name| line.contains(&format!("{name}!("))) {
                wrong.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn openat2_is_called_where_it_is_tried_again() {
    let mut wrong = Vec::new();
    for file in sources().into_iter().filter(|file| !file.ends_with("sys/fs.rs")) {
        for (number, line) in code_of(&file).lines().enumerate() {
            let imports = line.trim_start().starts_with("use rustix::") && words(line).any(|word| word == "openat2");
            if imports || line.contains("rustix::fs::openat2") || line.contains("SYS_openat2") {
                wrong.push(format!("{}:{}: use sys::fs::openat2, which tries again", file.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_them_all() {
    let code = "use crate::image::{self, Layer};\nuse crate::{\n    store::Store,\n    sys::{On, fs},\n};\n\
                let x = crate::cli::ui::print();\nuse super::network::Ports;";
    let found: Vec<String> = imports(code, true).into_iter().map(|(_, name)| name).collect();
    assert_eq!(found, ["image", "store", "sys", "cli", "network"]);
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![source_root()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The top-level module that a file belongs to; none for `lib.rs` and `main.rs`, which stand above all.
fn module_of(file: &Path) -> Option<String> {
    let first = file.strip_prefix(source_root()).unwrap().iter().next().unwrap().to_str().unwrap();
    let name = first.trim_end_matches(".rs");
    (!matches!(first, "lib.rs" | "main.rs")).then(|| name.to_owned())
}

/// In such a file `super::` is the crate.
fn is_top_of_module(file: &Path) -> bool {
    let below = file.strip_prefix(source_root()).unwrap();
    below.iter().count() == 1 || below.iter().count() == 2 && below.ends_with("mod.rs")
}

/// The file without its comments, line by line.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| line.find("//").map_or(line, |at| &line[..at])).collect::<Vec<_>>().join("\n")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Line and top-level module of each `crate::…` path, groups in braces taken apart.
fn imports(code: &str, super_is_crate: bool) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let prefixes: &[&str] = if super_is_crate { &["crate::", "super::"] } else { &["crate::"] };
    for prefix in prefixes {
        for (at, _) in code.match_indices(prefix) {
            let line = code[..at].lines().count().max(1);
            let rest = &code[at + prefix.len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => heads_of_group(group),
                None => words(rest).next().into_iter().collect(),
            };
            // `super::` in a nested module of the file may name anything of the file's own.
            let known = names.into_iter().filter(|name| *prefix == "crate::" || layer_of(name).is_some());
            found.extend(known.map(|name| (line, name.to_owned())));
        }
    }
    found
}

/// The first name of each path in `a::b, c::{d, e}, f}`.
fn heads_of_group(group: &str) -> Vec<&str> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                heads.extend(words(&group[start..at]).next());
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    heads
}
