//! `run --explain`: each step as it is carried out, from the plan itself.

use crate::container::by_hand::Surroundings;
use crate::container::launch::Listener;
use crate::container::plan::Plan;
use crate::container::step::{Mount, Step};
use crate::userns::{IdMap, Origin};
use std::path::PathBuf;

/// Prints to standard error, which is not the container's output. Neighbours that do the same to several things, such as
/// the links in /dev, are told in one breath.
pub struct Told {
    number: u32,
    open: Option<Paragraph>,
    /// For telling all: the store and the container's directory.
    full: Option<(PathBuf, PathBuf)>,
}

/// One step, or several of a kind.
struct Paragraph {
    kind: &'static str,
    call: String,
    objects: Vec<String>,
    why: String,
    micros: u32,
    by_hand: Vec<String>,
}

const WIDTH: usize = 96;

impl Told {
    pub fn new(full: Option<(PathBuf, PathBuf)>) -> Self {
        Self { number: 0, open: None, full }
    }

    fn add(&mut self, kind: &'static str, call: String, object: String, why: String, micros: u32) {
        match &mut self.open {
            Some(open) if !kind.is_empty() && open.kind == kind && open.why == why => {
                open.objects.push(object);
                open.micros += micros;
            }
            _ => {
                self.flush();
                self.open = Some(Paragraph { kind, call, objects: vec![object], why, micros, by_hand: Vec::new() });
            }
        }
    }

    fn flush(&mut self) {
        let Some(paragraph) = self.open.take() else { return };
        self.number += 1;
        let call = match paragraph.objects.len() {
            1 => paragraph.call,
            _ => format!("{}({})", paragraph.kind, paragraph.objects.join(", ")),
        };
        let mut text = String::new();
        for (i, line) in wrap(&call).iter().enumerate() {
            text += &if i == 0 { format!("{:>3}  {line}", self.number) } else { format!("\n         {line}") };
        }
        let why = wrap(&format!("{} ({} µs)", paragraph.why, paragraph.micros)).join("\n       ");
        eprintln!("{text}\n     ↳ {why}");
        for line in &paragraph.by_hand {
            eprintln!("     $ {line}");
        }
    }
}

/// Breaks at blanks; a word that is too long stands alone.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + word.chars().count() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

impl Listener for Told {
    fn namespace(&mut self, origin: &Origin) {
        match origin {
            Origin::Joined { monitor } => self.add(
                "",
                format!("setns(/proc/{monitor}/ns/user, CLONE_NEWUSER)"),
                String::new(),
                format!("all your containers share one user namespace, which process {monitor} is in already"),
                0,
            ),
            Origin::Made(map) => {
                self.add("", "unshare(CLONE_NEWUSER)".into(), String::new(), "root inside is you outside".into(), 0);
                let program = match map {
                    IdMap::Range { .. } => "newuidmap PID",
                    IdMap::Identity { .. } | IdMap::Single { .. } => "write(/proc/PID/uid_map)",
                };
                let ranges = map.uids().into_iter().map(|r| format!("{} {} {}", r.inside, r.outside, r.count));
                let call = format!("{program} {}", ranges.collect::<Vec<_>>().join(" "));
                self.add("", call, String::new(), "first id inside, first id outside, how many; and so on".into(), 0);
            }
        }
    }

    fn step(&mut self, plan: &Plan, step: u32, micros: u32) {
        let Some(step) = plan.steps().nth(step as usize) else { return };
        let (kind, object) = match step {
            _ if self.full.is_some() => ("", String::new()),
            Step::Link { path, .. } => ("symlink ", path.clone()),
            Step::Mask { path } => ("move_mount of nothing over ", path.clone()),
            Step::ReadOnly { path } => ("mount_setattr MOUNT_ATTR_RDONLY ", path.clone()),
            Step::Mount(Mount { kind, target, .. }) if kind == "bind" => ("open_tree and move_mount ", target.clone()),
            _ => ("", String::new()),
        };
        self.add(kind, step.call(), object, step.why(), micros);
        if let (Some((store, directory)), Some(open)) = (&self.full, &mut self.open) {
            let ids = IdMap::of_caller();
            let around = Surroundings { name: "", store, upper: None, directory, files: &[], ids: &ids };
            // What stands in parentheses says that, and why, no command does it.
            open.by_hand = step.by_hand(&around).into_iter().filter(|line| !line.starts_with('#')).collect();
        }
        if matches!(step, Step::Exec { .. }) {
            self.flush();
        }
    }

    fn wants_steps(&self) -> bool {
        true
    }
}
