//! The build cache: the results of steps, by the digest of their inputs.
//!
//! ```text
//! builds/steps/<key>/result.json   the layer that the step made
//!                    inputs.json   the inputs behind the key: read only to explain why another step missed
//! builds/last/<project>.json       the keys of a project's last build, in order
//! builds/memo/<context>            digests of a context's files
//! builds/mounts/<id>/              directories of RUN --mount=type=cache
//! ```
//!
//! An entry holds its layer, as an image does, unless an image built from it does: so `rmi` frees the space, and the
//! layers of intermediate stages stay for the next build. An entry whose layer is gone counts as missing.

use crate::image;
use crate::image::name::digest::Digest;
use crate::image::stored::usage::blocks;
use crate::image::stored::{claim, layer};
use crate::image::{Image, ImageError};
use crate::store;
use crate::store::{Lock, Store};
use crate::sys::{On, SysError};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub(crate) const DIRECTORY: &str = "builds";
/// The time after which an unused entry is removed.
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Everything that the result of a step depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// The digest of the layers below.
    pub parent: Digest,
    /// The instruction, its variables replaced.
    pub what: String,
    /// The variables that it sees (`ARG NAME`, `ENV NAME`) and settings such as `USER`.
    pub values: BTreeMap<String, String>,
    /// The files that it reads, each with its mode, owner and digest.
    pub files: Vec<(String, String)>,
}

impl Inputs {
    pub(crate) fn key(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The result of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub diff_id: Digest,
    /// The bytes of its files.
    pub size: u64,
    pub entries: u64,
    pub created: String,
    /// The key of the same step that includes its files, if this one does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<Digest>,
}

impl Outcome {
    /// Whether the values are valid: an entry of another machine may be damaged.
    pub(crate) fn is_whole(&self) -> bool {
        self.is.is_none() && self.created.parse::<jiff::Timestamp>().is_ok()
    }
}

/// The keys of a build's steps, by stage.
#[derive(Default, Serialize, Deserialize)]
struct Last {
    stages: BTreeMap<String, Vec<Digest>>,
}

pub(crate) struct Cache {
    directory: PathBuf,
    project: PathBuf,
    last: Option<Last>,
    now: Last,
    /// The entries that this build gave another result, with their old layers.
    superseded: RefCell<Vec<(Digest, Digest)>>,
}

impl Cache {
    pub(crate) fn of(store: &Store, project: &Digest) -> Self {
        let directory = store.path(DIRECTORY);
        let project = directory.join("last").join(format!("{}.json", project.hex()));
        Self { directory, project, last: None, now: Last::default(), superseded: RefCell::default() }
    }

    /// Whether the last build had a step of this stage that begins so.
    pub(crate) fn did(&self, stage: &str, beginning: &str) -> bool {
        let last: Last = serde_json::from_slice(&fs::read(&self.project).unwrap_or_default()).unwrap_or_default();
        let mut done = last.stages.get(stage).into_iter().flatten().filter_map(|key| self.inputs(key));
        done.any(|inputs| inputs.what.starts_with(beginning))
    }

    fn entry(&self, key: &Digest) -> PathBuf {
        self.directory.join("steps").join(key.hex())
    }

    /// Notes the key of a stage's next step.
    pub(crate) fn passed(&mut self, stage: &str, key: Digest) {
        self.now.stages.entry(stage.to_owned()).or_default().push(key);
    }

    /// Whether the cache has an entry.
    pub(crate) fn has(&self, key: &Digest) -> bool {
        self.entry(key).exists()
    }

    /// Drops the key that was noted last: the step is looked up by another one.
    pub(crate) fn forget_last(&mut self, stage: &str) {
        if let Some(keys) = self.now.stages.get_mut(stage) {
            keys.pop();
        }
    }

    /// Replaces the key that was noted last.
    pub(crate) fn renamed(&mut self, stage: &str, key: Digest) {
        if let Some(last) = self.now.stages.get_mut(stage).and_then(|keys| keys.last_mut()) {
            *last = key;
        }
    }

    pub(crate) fn find(&self, store: &Store, key: &Digest) -> Result<Option<Outcome>, ImageError> {
        let path = self.entry(key);
        let Ok(text) = fs::read(path.join("result.json")) else { return Ok(None) };
        let Ok(outcome) = store::format::from_record::<Outcome>(&text) else { return Ok(None) };
        if !layer::is_here(store, &outcome.diff_id) {
            return Ok(None);
        }
        touch(&path);
        Ok(Some(outcome))
    }

    /// Returns all keys of this build.
    pub(crate) fn keys(&self) -> Vec<Digest> {
        self.now.stages.values().flatten().copied().collect()
    }

    pub(crate) fn inputs(&self, key: &Digest) -> Option<Inputs> {
        let text = fs::read(self.entry(key).join("inputs.json")).ok()?;
        store::format::from_record(&text).ok()
    }

    /// Writes an entry; called before its layer is published, so that the holder of a published layer always exists.
    pub(crate) fn record(&self, key: &Digest, inputs: &Inputs, outcome: &Outcome) -> Result<(), SysError> {
        let path = self.entry(key);
        fs::create_dir_all(&path).on("mkdir", &path)?;
        if let Some(before) = outcome_at(&path).filter(|before| before.diff_id != outcome.diff_id) {
            self.superseded.borrow_mut().push((*key, before.diff_id));
        }
        store::write_quickly(&path.join("inputs.json"), &store::format::to_record(inputs))?;
        store::write_quickly(&path.join("result.json"), &store::format::to_record(outcome))
    }

    /// Releases the layers of superseded entries. `lock` is the build's share of the cache's lock, which this ends.
    pub(crate) fn give_back(&self, store: &Store, lock: Lock) -> Result<(), ImageError> {
        let superseded = self.superseded.take();
        drop(lock);
        // Another running build may use one of them. Then `builder prune` or the next day's sweep releases them.
        let alone = if superseded.is_empty() { None } else { Lock::attempt(&lock_path(store))? };
        if alone.is_some() {
            for (key, layer) in superseded.iter().filter(|(key, layer)| !holds(store, key, layer)) {
                let_go(store, key, layer)?;
            }
        }
        Ok(())
    }

    /// Saves the keys of this build for [`Cache::reason`] of the next.
    pub(crate) fn save(&mut self) -> Result<(), SysError> {
        let text = store::format::to_record(&self.now);
        if fs::read(&self.project).is_ok_and(|before| before == text) {
            return Ok(());
        }
        let parent = self.project.parent().unwrap_or(&self.directory);
        fs::create_dir_all(parent).on("mkdir", parent)?;
        store::write_quickly(&self.project, &text)
    }

    /// Explains why the cache did not have a step. `before` is the explanation if the layers below changed.
    pub(crate) fn reason(&mut self, stage: &str, inputs: &Inputs, before: Option<&str>) -> String {
        let last = self.last.take().unwrap_or_else(|| {
            let text = fs::read(&self.project).unwrap_or_default();
            store::format::from_record(&text).unwrap_or_default()
        });
        let number = self.now.stages.get(stage).map_or(0, |keys| keys.len().saturating_sub(1));
        let keys = last.stages.get(stage).cloned().unwrap_or_default();
        self.last = Some(last);
        let read = |key: &Digest| self.inputs(key);
        let same_place = keys.get(number).and_then(read);
        let old = match same_place {
            Some(old) if old.what == inputs.what => Some(old),
            // The instruction may have moved up or down.
            other => keys.iter().filter_map(read).find(|old| old.what == inputs.what).or(other),
        };
        match old {
            None if keys.is_empty() => "not built here before".into(),
            None => "a new step".into(),
            Some(old) => difference(&old, inputs, before),
        }
    }
}

fn difference(old: &Inputs, new: &Inputs, before: Option<&str>) -> String {
    if old.what != new.what {
        return format!("the instruction changed; it was {}", old.what);
    }
    let mut found = Vec::new();
    for (name, value) in &new.values {
        match old.values.get(name) {
            Some(was) if was != value => found.push(format!("{name} {} → {}", shown(was), shown(value))),
            None => found.push(format!("{name} is new: {}", shown(value))),
            _ => {}
        }
    }
    found
        .extend(old.values.keys().filter(|name| !new.values.contains_key(*name)).map(|name| format!("{name} is gone")));
    let was: HashMap<&String, &String> = old.files.iter().map(|(path, what)| (path, what)).collect();
    let is: HashMap<&String, &String> = new.files.iter().map(|(path, what)| (path, what)).collect();
    let name = |path: &str| path.trim_start_matches('/').to_owned();
    for (path, what) in &new.files {
        match was.get(path) {
            Some(before) if *before != what => found.push(format!("{} {}", name(path), how(before, what))),
            None => found.push(format!("{} is new", name(path))),
            _ => {}
        }
    }
    found.extend(
        old.files.iter().filter(|(path, _)| !is.contains_key(path)).map(|(path, _)| format!("{} is gone", name(path))),
    );
    match (&found[..], before) {
        ([], _) if old.parent != new.parent => before.unwrap_or("the layers below it changed").to_owned(),
        ([], _) => "its layer is not in the store".into(),
        (all, _) if all.len() <= 3 => all.join(", "),
        (all, _) => format!("{}, and {} more", all[..3].join(", "), all.len() - 3),
    }
}

/// Names the difference between two descriptions of a file, which begin with its mode and owner.
fn how(before: &str, now: &str) -> String {
    let contents = |text: &str| text.splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
    let mode = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    if contents(before) != contents(now) {
        "changed".into()
    } else if mode(before) != mode(now) {
        format!("has mode {} instead of {}", mode(now), mode(before))
    } else {
        "has another owner".into()
    }
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "(empty)" } else { value }
}

/// Marks an entry as used, at most once a day.
fn touch(path: &Path) {
    if age(path).is_some_and(|age| age > SWEEP_EVERY) {
        let _ = fs::File::open(path).and_then(|directory| directory.set_modified(SystemTime::now()));
    }
}

/// The disk usage of the cache, with the layers that it alone holds.
pub(crate) struct Usage {
    pub entries: usize,
    pub size: u64,
    /// The part of `size` that the layers take.
    pub layers: u64,
}

fn entries(store: &Store) -> Vec<(Digest, PathBuf)> {
    let all = fs::read_dir(store.path(DIRECTORY).join("steps")).into_iter().flatten().flatten();
    all.filter_map(|entry| Some((Digest::from_hex(entry.file_name().to_str()?)?, entry.path()))).collect()
}

fn outcome_at(path: &Path) -> Option<Outcome> {
    store::format::from_record(&fs::read(path.join("result.json")).ok()?).ok()
}

/// Takes the shared lock of every build that executes steps.
pub(crate) fn lock(store: &Store) -> Result<Lock, SysError> {
    Lock::shared(&lock_path(store))
}

fn lock_path(store: &Store) -> PathBuf {
    store.path(DIRECTORY).join("lock")
}

/// Returns layers with holders that are neither an image with that layer nor the cache entry that made it.
pub(crate) fn strays(store: &Store) -> Result<Vec<(Digest, Digest)>, ImageError> {
    let layers = store.path("layers");
    let mut strays = Vec::new();
    for entry in fs::read_dir(&layers).on("opendir", &layers)?.flatten() {
        let Ok(Some(info)) = layer::info_at(&entry.path()) else { continue };
        for user in fs::read_dir(entry.path().join("images")).into_iter().flatten().flatten() {
            let Some(user) = user.file_name().to_str().and_then(Digest::from_hex) else { continue };
            // A damaged image may use it.
            let is_image = image::directory(store, &user).exists()
                && Image::open(store, &user)
                    .map_or(true, |image| image.is_some_and(|i| i.layers.contains(&info.diff_id)));
            if !is_image && !holds(store, &user, &info.diff_id) && !claim::is_held(store, &user) {
                strays.push((info.diff_id, user));
            }
        }
    }
    Ok(strays)
}

/// Returns the layers of all entries.
pub(crate) fn layers(store: &Store) -> Vec<Digest> {
    entries(store).iter().filter_map(|(_, path)| Some(outcome_at(path)?.diff_id)).collect()
}

/// Whether an entry holds the layer.
pub(crate) fn holds(store: &Store, key: &Digest, layer: &Digest) -> bool {
    outcome_at(&store.path(DIRECTORY).join("steps").join(key.hex())).is_some_and(|outcome| outcome.diff_id == *layer)
}

/// Returns why an entry cannot be used.
pub(crate) fn damage(path: &Path) -> Option<String> {
    let is_key = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| Digest::from_hex(name).is_some());
    let reads = |file: &str, parse: fn(&[u8]) -> Result<(), serde_json::Error>| {
        let text = fs::read(path.join(file)).map_err(|error| format!("{file}: {error}"));
        text.and_then(|text| parse(&text).map_err(|error| format!("{file}: {error}"))).err()
    };
    if !is_key || !path.is_dir() {
        return Some("is no step of a build".into());
    }
    reads("result.json", |text| store::format::from_record::<Outcome>(text).map(drop))
        .or_else(|| reads("inputs.json", |text| store::format::from_record::<Inputs>(text).map(drop)))
}

pub(crate) fn usage(store: &Store) -> Result<Usage, SysError> {
    let mut usage = Usage { entries: 0, size: blocks(&store.path(DIRECTORY))?, layers: 0 };
    let all = entries(store);
    let keys: std::collections::HashSet<String> = all.iter().map(|(key, _)| key.hex()).collect();
    let mut counted = std::collections::HashSet::new();
    for (_, path) in &all {
        usage.entries += 1;
        let Some(outcome) = outcome_at(path) else { continue };
        let directory = layer::directory(store, &outcome.diff_id);
        let users = fs::read_dir(directory.join("images")).into_iter().flatten().flatten();
        let mut users = users.map(|user| user.file_name().to_string_lossy().into_owned()).peekable();
        if users.peek().is_some() && users.all(|user| keys.contains(&user)) && counted.insert(outcome.diff_id) {
            usage.layers += blocks(&directory)?;
        }
    }
    usage.size += usage.layers;
    Ok(usage)
}

/// Removes entries, all or only old ones, and the layers that only they hold.
pub(crate) fn prune(store: &Store, older_than: Option<Duration>) -> Result<(), ImageError> {
    for (key, path) in entries(store) {
        let outcome = outcome_at(&path);
        let is_dead = match &outcome {
            Some(outcome) => !layer::is_here(store, &outcome.diff_id),
            None => true,
        };
        // An entry is written shortly before its layer.
        let limit = older_than.map(|limit| if is_dead { SWEEP_EVERY } else { limit });
        if limit.is_some_and(|limit| age(&path).is_none_or(|age| age < limit)) {
            continue;
        }
        if let Some(outcome) = outcome {
            let_go(store, &key, &outcome.diff_id)?;
        }
        store::remove_tree(&path)?;
    }
    // Killed builds leave such layers. While another build runs, its layers have no image yet.
    if let Ok(Some(_alone)) = Lock::attempt(&lock_path(store)) {
        for (layer, user) in strays(store)? {
            layer::release(store, &layer, &user)?;
        }
    }
    for part in ["last", "memo", "mounts"] {
        let directory = store.path(DIRECTORY).join(part);
        match older_than {
            None => store::remove_tree(&directory)?,
            // The files of cache mounts stay until the user prunes them.
            Some(_) if part == "mounts" => {}
            Some(limit) => {
                for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                    if age(&entry.path()).is_some_and(|age| age > limit) {
                        store::remove_tree(&entry.path())?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn age(path: &Path) -> Option<Duration> {
    fs::metadata(path).and_then(|m| m.modified()).ok()?.elapsed().ok()
}

/// Makes an entry release its layer.
pub(crate) fn let_go(store: &Store, key: &Digest, diff_id: &Digest) -> Result<(), ImageError> {
    if layer::directory(store, diff_id).join("images").join(key.hex()).exists() {
        layer::release(store, diff_id, key)?;
    }
    Ok(())
}

/// Removes old entries, once a day.
pub(crate) fn sweep(store: &Store) -> Result<(), ImageError> {
    let mark = store.path(DIRECTORY).join("swept");
    if age(&mark).is_none_or(|age| age > SWEEP_EVERY) {
        fs::create_dir_all(store.path(DIRECTORY)).on("mkdir", &mark)?;
        fs::write(&mark, "").on("write", &mark)?;
        prune(store, Some(LIFETIME))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(values: &[(&str, &str)], files: &[(&str, &str)]) -> Inputs {
        let pair = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        Inputs {
            parent: Digest::of(b"base"),
            what: "COPY . /".into(),
            values: values.iter().map(pair).collect(),
            files: files.iter().map(pair).collect(),
        }
    }

    #[test]
    fn every_difference_has_its_words() {
        let old = inputs(&[("ARG VERSION", "1")], &[("/a", "644 0:0 x"), ("/b", "644 0:0 y")]);
        let new = inputs(&[("ARG VERSION", "2")], &[("/a", "644 0:0 z"), ("/c", "644 0:0 y")]);
        assert_eq!(difference(&old, &new, None), "ARG VERSION 1 → 2, a changed, c is new, and 1 more");
        let mode = inputs(&[("ARG VERSION", "1")], &[("/a", "755 0:0 x"), ("/b", "644 0:0 y")]);
        assert_eq!(difference(&old, &mode, None), "a has mode 755 instead of 644");
        let below = Inputs { parent: Digest::of(b"other"), ..old.clone() };
        assert_eq!(difference(&old, &below, Some("because step 3 ran again")), "because step 3 ran again");
        let what = Inputs { what: "COPY x /".into(), ..old.clone() };
        assert_eq!(difference(&old, &what, None), "the instruction changed; it was COPY . /");
        assert_ne!(old.key(), new.key());
    }
}
