//! COPY and ADD: finds their files, looks the step up in the cache, and copies the files into a layer.

use super::layers::NewLayer;
use super::room::SIGNALS;
use super::shared::Shared;
use super::stage::Stage;
use crate::builder::error::{BuildError, CopyError, StepError};
use crate::builder::files::context;
use crate::builder::files::copier::Copier;
use crate::builder::files::glob::{Ignore, clean};
use crate::builder::files::material::Material;
use crate::builder::files::mode::Chmod;
use crate::builder::files::tree::{Selected, Tree, TreeError};
use crate::builder::listener::StepName;
use crate::builder::read::instruction::{Copy, Step};
use crate::builder::read::parse::heredoc;
use crate::container::decide::users;
use crate::container::decide::users::UserError;
use crate::http::{Fetched, fetch_to, is_url, look};
use crate::image::name::digest::{Digest, Hashing};
use crate::image::overlay::owner::Owners;
use crate::image::tar::unpack;
use crate::image::tar::unpack::Limits;
use crate::sys::On;
use crate::sys::process::LetThrough;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

/// The name of the input that holds a server's ETag or date for an address.
const VERSION: &str = "version";

/// COPY or ADD with its variables replaced.
struct CopyArguments {
    sources: Vec<String>,
    /// The absolute path; it ends with a slash if it is a directory.
    target: String,
    from: Option<String>,
    chown: Option<String>,
    chmod: Option<String>,
    checksum: Option<String>,
    exclude: Ignore,
}

/// A source tree and the paths to copy from it.
struct SourceTree {
    tree: Tree,
    paths: Vec<String>,
    /// Whether ADD unpacks its archives.
    unpacks: bool,
    /// The server's ETag or date.
    version: Option<String>,
}

impl Shared<'_> {
    pub(crate) fn copy(
        &mut self,
        stage: &mut Stage,
        step: &Step,
        copy: &Copy,
        name: &StepName,
    ) -> Result<(), BuildError> {
        let wanted = self.copy_arguments(stage, copy).map_err(|error| self.at(stage, step, error))?;
        let row = row(&step.node.word, copy, &wanted);
        let mut inputs = self.inputs(stage, row.clone());
        if copy.link {
            // The layer does not depend on those below.
            inputs.parent = Digest::of(b"");
        }
        if self.options.no_cache {
            self.must_be_inside()?;
        }
        // First by what identifies the source as a whole, which is cheap; then by the files themselves.
        let mut quick = None;
        if let Some((what, is)) = self.origin(stage, copy, &wanted)? {
            let mut by_origin = inputs.clone();
            by_origin.values.insert(what, is);
            if self.look_up(stage, name, &by_origin, &row)? {
                if wanted.from.is_none() {
                    self.note_cached_download(stage, &wanted.sources[0], wanted.checksum.as_deref());
                }
                return Ok(());
            }
            self.must_be_inside()?;
            self.cache.forget_last(&name.stage_name);
            quick = Some(by_origin);
        }
        let taken = self.take(stage, step, copy, &wanted).map_err(|error| self.at(stage, step, error))?;
        // The file may have changed between the two requests.
        let is_that = |version: &String| taken.iter().any(|one| one.version.as_ref() == Some(version));
        let quick = quick.filter(|quick| quick.values.get(VERSION).is_none_or(is_that));
        let mut selected: Vec<(usize, Selected)> = Vec::new();
        for (index, one) in taken.iter().enumerate() {
            for path in &one.paths {
                let found = one.tree.select(path, &wanted.exclude, copy.parents);
                let found = found.map_err(|e| self.at(stage, step, e.into()))?;
                selected.extend(found.into_iter().map(|found| (index, found)));
            }
        }
        if selected.is_empty() {
            let (tree, pattern) =
                taken.first().map_or_else(Default::default, |one| (one.tree.name.clone(), wanted.sources.join(" ")));
            return Err(self.at(stage, step, TreeError::NoMatch { pattern, tree }.into()));
        }
        for (_, one) in &selected {
            let digests = one.digests(&mut self.memo).map_err(|e| self.at(stage, step, e.into()))?;
            inputs.files.extend(digests);
        }
        if self.look_up(stage, name, &inputs, &row)? {
            if let Some(quick) = quick {
                self.alias(&quick, &inputs.key())?;
            }
            return Ok(());
        }
        let reason = self.begin(stage, name, &inputs)?;
        let begun = Instant::now();
        let directory = self.directory(stage)?;
        let laid = self.copy_files(stage, copy, &wanted, &taken, &selected, &directory);
        laid.map_err(|error| self.at(stage, step, error))?;
        let key = inputs.key();
        let made =
            NewLayer { directory, alone: copy.link, leave_out: Vec::new(), creator: None, inputs, row, reason, begun };
        self.layer(stage, made)?;
        match quick {
            Some(quick) => self.alias(&quick, &key),
            None => Ok(()),
        }
    }

    /// Returns an input that identifies the files without reading them: the digest of another stage, a requested digest or
    /// commit, or a server's ETag or date.
    fn origin(
        &mut self,
        stage: &Stage,
        copy: &Copy,
        wanted: &CopyArguments,
    ) -> Result<Option<(String, String)>, BuildError> {
        let is_inline = wanted.sources.iter().any(|source| heredoc(source).is_some());
        if let Some(from) = wanted.from.as_ref().filter(|_| !is_inline) {
            let is_stage = self.plan.named.files(from).is_none();
            return if is_stage {
                Ok(Some((format!("stage {from}"), self.chain_of(stage.id, from)?.to_string())))
            } else {
                Ok(None)
            };
        }
        let [source] = &wanted.sources[..] else { return Ok(None) };
        if heredoc(source).is_some() {
            return Ok(None);
        }
        let known = |what: &str, is: &str| Ok(Some((what.to_owned(), is.to_owned())));
        if !copy.adds || self.options.no_cache {
            Ok(None)
        } else if context::is_git(source) {
            context::commit(source).map_or(Ok(None), |commit| known("commit", commit))
        } else if !is_url(source) {
            Ok(None)
        } else if let Some(checksum) = &wanted.checksum {
            known("checksum", checksum)
        } else {
            let found = look(source).ok();
            found.as_ref().and_then(Fetched::validator).map_or(Ok(None), |validator| known(VERSION, validator))
        }
    }

    /// Notes for the provenance what an ADD fetched when it was executed, from the inputs of its cache entry.
    fn note_cached_download(&mut self, stage: &Stage, address: &str, checksum: Option<&str>) {
        if let Some(commit) = context::commit(address).filter(|_| context::is_git(address)) {
            return self.record.material(Material::fetched(address, Some(("sha1", commit))));
        }
        let entry = stage.keys.last().and_then(|(_, key)| self.cache.inputs(key));
        let file = entry.as_ref().and_then(|inputs| inputs.files.first());
        let contents = file.and_then(|(_, what)| what.rsplit(' ').next()).filter(|hex| hex.len() == 64);
        let digest = checksum.and_then(|text| text.split_once(':')).or(contents.map(|hex| ("sha256", hex)));
        self.record.material(Material::fetched(address, digest));
    }

    /// Reports what is wrong with a COPY or ADD without any of its files.
    pub(crate) fn read_copy(&mut self, stage: &mut Stage, step: &Step, copy: &Copy) -> Result<(), StepError> {
        let wanted = self.copy_arguments(stage, copy)?;
        wanted.chmod.as_deref().map(chmod).transpose()?;
        let escape = self.plan.source.directives.escape;
        for heredoc in step.node.heredocs.iter().filter(|heredoc| heredoc.expands) {
            stage.state.text(escape, &heredoc.content)?;
        }
        let row = row(&step.node.word, copy, &wanted);
        stage.state.note(row, None);
        Ok(())
    }

    fn copy_arguments(&self, stage: &Stage, copy: &Copy) -> Result<CopyArguments, StepError> {
        let escape = self.plan.source.directives.escape;
        let state = &stage.state;
        let word = |text: &String| state.word(escape, text);
        let expanding = || copy.sources.iter().filter(|source| heredoc(source).is_none());
        let mut words = state.words(escape, &mut expanding().map(String::as_str))?.into_iter();
        let sources: Vec<String> = copy
            .sources
            .iter()
            .filter_map(|source| if heredoc(source).is_some() { Some(source.clone()) } else { words.next() })
            .collect();
        let given = word(&copy.target)?;
        let is_directory = given.ends_with('/') || given == "." || given.ends_with("/.");
        let whole = Path::new(state.working_directory()).join(&given);
        let mut target = format!("/{}", clean(&whole.to_string_lossy()));
        if is_directory && target != "/" {
            target.push('/');
        }
        Ok(CopyArguments {
            sources,
            target,
            from: copy.from.as_ref().map(word).transpose()?,
            chown: copy.chown.as_ref().map(word).transpose()?,
            chmod: copy.chmod.as_ref().map(word).transpose()?,
            checksum: copy.checksum.as_ref().map(word).transpose()?,
            exclude: Ignore::parse(&copy.exclude.join("\n")).map_err(CopyError::Exclude)?,
        })
    }

    /// Opens the trees of all sources; fetches what is elsewhere.
    fn take(
        &mut self,
        stage: &Stage,
        step: &Step,
        copy: &Copy,
        wanted: &CopyArguments,
    ) -> Result<Vec<SourceTree>, StepError> {
        let mut all = Vec::new();
        let mut local = Vec::new();
        for source in &wanted.sources {
            if let Some(found) = heredoc(source) {
                let text = step.node.heredocs.iter().find(|h| h.name == found.name);
                let text = text.map(|h| h.content.clone()).unwrap_or_default();
                let escape = self.plan.source.directives.escape;
                let text = if found.expands { stage.state.text(escape, &text)? } else { text };
                all.push(self.inline(&found.name, text.as_bytes())?);
            } else if copy.adds && context::is_git(source) {
                let directory = self.scratch_directory()?;
                let checksum = wanted.checksum.as_deref();
                let commit =
                    context::clone(source, &directory, copy.keep_git_dir, checksum).map_err(CopyError::from)?;
                self.record.material(Material::fetched(source, Some(("sha1", &commit))));
                let mut tree = Tree::context(&directory, Ignore::default())?;
                tree.name = source.clone();
                all.push(SourceTree { tree, paths: vec![String::new()], unpacks: false, version: None });
            } else if copy.adds && is_url(source) {
                all.push(self.download(source, copy.unpack == Some(true), wanted.checksum.as_deref())?);
            } else {
                local.push(source.clone());
            }
        }
        if !local.is_empty() {
            let tree = self.tree(stage.id, wanted.from.as_deref())?;
            all.push(SourceTree {
                tree,
                paths: local,
                unpacks: copy.adds && copy.unpack != Some(false),
                version: None,
            });
        }
        Ok(all)
    }

    /// Writes a heredoc to a file.
    fn inline(&mut self, name: &str, contents: &[u8]) -> Result<SourceTree, StepError> {
        let directory = self.scratch_directory()?;
        let path = directory.join(name);
        std::fs::write(&path, contents).on("write", &path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).on("chmod", &path)?;
        let mut tree = Tree::context(&directory, Ignore::default())?;
        tree.name = "the Dockerfile".into();
        Ok(SourceTree { tree, paths: vec![name.to_owned()], unpacks: false, version: None })
    }

    fn download(&mut self, url: &str, unpacks: bool, checksum: Option<&str>) -> Result<SourceTree, StepError> {
        let directory = self.scratch_directory()?;
        let name = url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let name = if name.is_empty() { "index.html" } else { name }.to_owned();
        let path = directory.join(&name);
        let ends_at_once = LetThrough::new(&SIGNALS);
        let fetched = fetch_to(url, &path).map_err(CopyError::from)?;
        drop(ends_at_once);
        let mut body = Hashing::new(File::open(&path).on("open", &path)?);
        io::copy(&mut body, &mut io::sink()).on("read", &path)?;
        let (file, digest, _) = body.finish();
        if let Some(time) = fetched.last_modified.as_deref().and_then(modified) {
            file.set_modified(time).on("futimens", &path)?;
        }
        if let Some(wanted) = checksum.filter(|wanted| *wanted != digest.to_string()) {
            let (url, wanted) = (url.to_owned(), wanted.to_owned());
            return Err(CopyError::Checksum { url, found: digest.to_string(), wanted }.into());
        }
        self.record.material(Material::fetched(url, Some(("sha256", &digest.hex()))));
        // Docker gives downloads this mode.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).on("chmod", &path)?;
        let mut tree = Tree::context(&directory, Ignore::default())?;
        tree.name = url.to_owned();
        Ok(SourceTree { tree, paths: vec![name], unpacks, version: fetched.validator().map(str::to_owned) })
    }

    /// Makes an empty directory for files that are not part of any layer.
    fn scratch_directory(&mut self) -> Result<PathBuf, BuildError> {
        self.must_be_inside()?;
        let directory = self.new_directory()?;
        Ok(self.store.path(directory).join("upper"))
    }

    fn copy_files(
        &mut self,
        stage: &Stage,
        copy: &Copy,
        wanted: &CopyArguments,
        taken: &[SourceTree],
        selected: &[(usize, Selected)],
        directory: &Path,
    ) -> Result<(), StepError> {
        let owner = wanted.chown.as_ref().map(|text| self.owner(stage, text)).transpose()?;
        let chmod = wanted.chmod.as_deref().map(chmod).transpose()?;
        let root = self.writable(stage, directory, copy.link)?;
        let now = self.now();
        let owners = self.room()?.owners.clone();
        let upper = if copy.link { None } else { self.upper(directory)? };
        let mut copier = Copier { upper, owners: &owners, owner, chmod: chmod.as_ref(), mode: 0o755, now };
        // Docker gives --chmod to missing directories too, but not if an archive is unpacked there.
        let mode_of_parents = |unpacks: bool| match &chmod {
            Some(Chmod::Octal(mode)) if !unpacks && !copy.parents => mode & 0o755,
            _ => 0o755,
        };
        let is_unpacked = |(index, one): &(usize, Selected)| -> Result<bool, TreeError> {
            Ok(taken[*index].unpacks && !one.is_directory && unpack::is_archive(one.file()?))
        };
        if let Some(first) = selected.first().filter(|_| wanted.target.ends_with('/')) {
            copier.mode = mode_of_parents(is_unpacked(first)?);
            copier.directory(&root, &wanted.target)?;
        }
        for chosen @ (index, one) in selected {
            let unpacks = is_unpacked(chosen)?;
            copier.mode = mode_of_parents(unpacks);
            if unpacks {
                let into = copier.directory(&root, &wanted.target)?;
                let path = PathBuf::from(format!("/proc/self/fd/{}/.", into.as_raw_fd()));
                let owners = Owners { always: owner, ..owners.clone() };
                let unpacked = unpack::extract(&path, one.file()?, &owners, Limits::from_env());
                unpacked.map_err(|error| CopyError::Unpack { archive: one.path.clone(), source: error })?;
                continue;
            }
            let mut target = wanted.target.clone();
            if copy.parents {
                // The part after a `/./`, if there is one, is kept.
                let source = wanted.sources.iter().find_map(|s| s.split_once("/./")).map(|(before, _)| clean(before));
                let below = source.and_then(|before| one.path.strip_prefix(&format!("{before}/"))).unwrap_or(&one.path);
                let kept = one.path.strip_suffix(below).unwrap_or_default();
                let below =
                    if one.is_directory { below } else { below.rsplit_once('/').map_or("", |(parent, _)| parent) };
                let top = target.trim_end_matches('/').to_owned();
                // Each parent is like the one in the source.
                let ends = below.match_indices('/').map(|(at, _)| at).chain([below.len()]).filter(|end| *end > 0);
                for part in ends.filter_map(|end| below.get(..end)) {
                    let parent = taken[*index].tree.directory(&format!("{kept}{part}"))?;
                    copier.parent(&root, &parent, &format!("{top}/{part}"))?;
                }
                target = format!("{top}/{below}/");
            }
            if selected.len() > 1 && !one.is_directory && !target.ends_with('/') && !root.is_directory(&target) {
                return Err(CopyError::NoDirectory(target).into());
            }
            copier.copy(&root, one, &target)?;
        }
        Ok(())
    }

    /// Resolves `--chown`, by name or number.
    fn owner(&self, stage: &Stage, text: &str) -> Result<(u64, u64), StepError> {
        // A single number is the group too.
        if let Ok(id) = text.parse::<u32>() {
            return Ok((id.into(), id.into()));
        }
        let directories = self.layer_directories(&stage.state.layers);
        let user = users::resolve(text, |path| {
            directories.iter().rev().find_map(|layer| users::read_beneath(Path::new(layer), path))
        });
        let user = user.map_err(|error: UserError| TreeError::Owner(text.to_owned(), error))?;
        Ok((user.uid.into(), user.gid.into()))
    }
}

fn chmod(text: &str) -> Result<Chmod, CopyError> {
    Chmod::parse(text).ok_or_else(|| CopyError::Mode(text.to_owned()))
}

/// Makes the directory of a WORKDIR.
pub(crate) fn make_directory(
    shared: &mut Shared,
    stage: &Stage,
    directory: &Path,
    path: &str,
) -> Result<(), StepError> {
    let root = shared.writable(stage, directory, false)?;
    let now = shared.now();
    let owners = shared.room()?.owners.clone();
    let user = stage.state.user().to_owned();
    let owner = if user.is_empty() { None } else { Some(shared.owner(stage, &user)?) };
    Copier { upper: None, owners: &owners, owner, chmod: None, mode: 0o755, now }.directory(&root, path)?;
    Ok(())
}

/// Parses `Sun, 06 Nov 1994 08:49:37 GMT`.
fn modified(text: &str) -> Option<SystemTime> {
    let text = text.trim_end_matches(" GMT");
    let time = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S", text).ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| SystemTime::from(time.timestamp()))
}

/// Returns the instruction for the image's history and for the cache.
fn row(word: &str, copy: &Copy, wanted: &CopyArguments) -> String {
    let mut text = word.to_owned();
    for (name, value) in
        [("from", &wanted.from), ("chown", &wanted.chown), ("chmod", &wanted.chmod), ("checksum", &wanted.checksum)]
    {
        if let Some(value) = value {
            text += &format!(" --{name}={value}");
        }
    }
    for (name, on) in [("link", copy.link), ("parents", copy.parents), ("keep-git-dir", copy.keep_git_dir)] {
        if on {
            text += &format!(" --{name}");
        }
    }
    if let Some(unpack) = copy.unpack {
        text += &format!(" --unpack={unpack}");
    }
    for pattern in &copy.exclude {
        text += &format!(" --exclude={pattern}");
    }
    format!("{text} {} {}", wanted.sources.join(" "), wanted.target)
}
