//! Finds circles of files and rooms in the sources. In each directory, its files and the directories in
//! it are compared: what one uses must not, however indirectly, use it in turn. A path through a re-export (`pub use`) leads
//! to the file that has the item, so a `mod.rs` that declares and re-exports uses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syn::visit::{self, Visit};

type Name = Vec<String>;

#[test]
fn no_circle_of_files_or_rooms() {
    let house = House::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let found: Vec<String> = house.rooms().iter().flat_map(|(room, uses)| circles(room, uses)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_circle_is_found() {
    let files = [
        ("a", "pub use b::Far;"),
        ("a::b", "use crate::c::{d::Near, e}; pub struct Far;"),
        ("c::d", "pub fn f(far: crate::a::Far) {}"),
        ("c::e", "#[cfg(test)] mod tests { use crate::a::b; }"),
    ];
    let house = House::of(files.map(|(name, text)| (split(name), syn::parse_file(text).unwrap())).into());
    let found: Vec<String> = house.rooms().iter().flat_map(|(room, uses)| circles(room, uses)).collect();
    assert_eq!(found, ["src: a, c\n  a::b uses crate::c::d::Near\n  c::d uses crate::a::Far"]);
}

struct House {
    files: BTreeMap<Name, syn::File>,
    /// The path of each re-exported name's original.
    again: BTreeMap<Name, Name>,
}

impl House {
    fn read(sources: &Path) -> House {
        let mut files = BTreeMap::new();
        let mut directories = vec![sources.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let below = path.strip_prefix(sources).unwrap().with_extension("");
                    let mut name: Name = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                    name.pop_if(|last| last == "mod");
                    // They stand above all.
                    if name != ["lib"] && name != ["main"] {
                        files.insert(name, syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
                    }
                }
            }
        }
        House::of(files)
    }

    fn of(files: BTreeMap<Name, syn::File>) -> House {
        let mut house = House { files, again: BTreeMap::new() };
        for (name, file) in &house.files {
            for item in &file.items {
                let syn::Item::Use(item) = item else { continue };
                if matches!(item.vis, syn::Visibility::Inherited) {
                    continue;
                }
                for (path, shown) in leaves(&item.tree) {
                    if let Some(path) = house.absolute(name, &path) {
                        house.again.insert([name.as_slice(), &[shown]].concat(), path);
                    }
                }
            }
        }
        house
    }

    /// A path as seen from a file, from the crate's root on; none if it leads out of the crate.
    fn absolute(&self, file: &Name, path: &[String]) -> Option<Name> {
        let mut rest = path;
        let mut name = file.clone();
        match rest.first()?.as_str() {
            "crate" => {
                name.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    name.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                let child = [file.as_slice(), &[child.to_owned()]].concat();
                if !self.files.keys().any(|name| name.starts_with(&child)) {
                    return None;
                }
            }
        }
        name.extend(rest.iter().cloned());
        Some(name)
    }

    /// The file that has what a path names.
    fn file_of(&self, path: Name) -> Option<Name> {
        let mut path = path;
        for _ in 0..8 {
            let known = |length: &usize| self.again.contains_key(&path[..*length]);
            match (1..=path.len()).rev().find(known) {
                Some(length) => path = [self.again[&path[..length]].as_slice(), &path[length..]].concat(),
                None => break,
            }
        }
        (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|name| self.files.contains_key(name))
    }

    /// Returns, for each room, which of its parts uses which, with a file and a path as proof.
    fn rooms(&self) -> BTreeMap<Name, BTreeMap<String, Uses>> {
        let mut rooms: BTreeMap<Name, BTreeMap<String, Uses>> = BTreeMap::new();
        for (name, file) in &self.files {
            let mut paths = Paths::default();
            paths.visit_file(file);
            for path in paths.0 {
                let Some(other) = self.absolute(name, &path).and_then(|path| self.file_of(path)) else { continue };
                let shared = name.iter().zip(&other).take_while(|(one, other)| one == other).count();
                // A `mod.rs` is a part of the room that it opens.
                let part = |name: &Name| name.get(shared).cloned().unwrap_or_else(|| "mod".into());
                if *name != other {
                    let uses = rooms.entry(name[..shared].to_vec()).or_default().entry(part(name)).or_default();
                    uses.entry(part(&other)).or_insert_with(|| (name.join("::"), path.join("::")));
                }
            }
        }
        rooms
    }
}

/// The parts that one part of a room uses, each with a file and a path in it as proof.
type Uses = BTreeMap<String, (String, String)>;

/// The circles of a room, each with its parts and what they use of each other.
fn circles(room: &Name, uses: &BTreeMap<String, Uses>) -> Vec<String> {
    let mut reached: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for part in uses.keys() {
        let mut waiting = vec![part];
        let seen = reached.entry(part).or_default();
        while let Some(next) = waiting.pop() {
            waiting.extend(uses.get(next).into_iter().flat_map(BTreeMap::keys).filter(|other| seen.insert(other)));
        }
    }
    let is_circle = |one: &String, other: &String| {
        let reaches = |from: &String, to: &String| reached.get(from).is_some_and(|all| all.contains(to));
        reaches(one, other) && reaches(other, one)
    };
    let circles: BTreeSet<Vec<&String>> = uses
        .keys()
        .map(|part| uses.keys().filter(|other| is_circle(part, other)).collect::<Vec<_>>())
        .filter(|circle| !circle.is_empty())
        .collect();
    let place = if room.is_empty() { "src".to_owned() } else { format!("src/{}", room.join("/")) };
    let told = |circle: Vec<&String>| {
        let names: Vec<&str> = circle.iter().map(|name| name.as_str()).collect();
        let inside = circle.iter().flat_map(|part| &uses[*part]).filter(|(other, _)| circle.contains(other));
        let lines: Vec<String> = inside.map(|(_, (file, path))| format!("\n  {file} uses {path}")).collect();
        format!("{place}: {}{}", names.join(", "), lines.concat())
    };
    circles.into_iter().map(told).collect()
}

/// All paths of a file but those of its tests, and those that it only re-exports.
#[derive(Default)]
struct Paths(Vec<Name>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if matches!(item.vis, syn::Visibility::Inherited) {
            self.0.extend(leaves(&item.tree).into_iter().map(|(path, _)| path));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}

/// The paths of a `use`, each with the name that it gives.
fn leaves(tree: &syn::UseTree) -> Vec<(Name, String)> {
    match tree {
        syn::UseTree::Path(path) => {
            let head = path.ident.to_string();
            let below = leaves(&path.tree).into_iter();
            below
                .map(|(mut rest, shown)| match rest.first().map(String::as_str) {
                    Some("self") => (vec![head.clone()], head.clone()),
                    _ => {
                        rest.insert(0, head.clone());
                        (rest, shown)
                    }
                })
                .collect()
        }
        syn::UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        syn::UseTree::Rename(rename) => vec![(vec![rename.ident.to_string()], rename.rename.to_string())],
        syn::UseTree::Glob(_) => Vec::new(),
        syn::UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

fn split(name: &str) -> Name {
    name.split("::").map(str::to_owned).collect()
}
