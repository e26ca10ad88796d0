//! Wasted space in an image: files of one layer that a later layer deletes or replaces.

use crate::image::name::digest::Digest;
use crate::image::overlay::mark;
use crate::image::stored::layer;
use crate::store::Store;
use crate::sys::{On, SysError, fs as sys};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A file that takes space in a layer and is hidden by a later one.
pub(crate) struct Ghost {
    pub path: PathBuf,
    pub size: u64,
    /// The numbers of the layers, from 0 for the lowest.
    pub added: usize,
    pub hidden: usize,
}

/// Returns the hidden files of these layers, the largest first. `layers`: the lowest first. Walks all of them.
pub(crate) fn ghosts(store: &Store, layers: &[Digest]) -> Result<Vec<Ghost>, SysError> {
    let mut search = Search { seen: BTreeMap::new(), ghosts: Vec::new() };
    for (number, diff_id) in layers.iter().enumerate() {
        search.layer(&layer::directory(store, diff_id).join("fs"), Path::new("/"), number)?;
    }
    search.ghosts.sort_by_key(|ghost| std::cmp::Reverse(ghost.size));
    Ok(search.ghosts)
}

struct Search {
    /// The visible files so far: their sizes, and the layers that have them.
    seen: BTreeMap<PathBuf, (u64, usize)>,
    ghosts: Vec<Ghost>,
}

impl Search {
    fn layer(&mut self, directory: &Path, shown: &Path, number: usize) -> Result<(), SysError> {
        let opened = fs::File::open(directory).on("open", directory)?;
        if sys::fgetxattr(&opened, mark::OPAQUE.as_bytes()).on("fgetxattr", directory)?.is_some() {
            self.hide_below(shown, number);
        }
        for entry in fs::read_dir(directory).on("opendir", directory)? {
            let entry = entry.on("readdir", directory)?;
            let (path, shown) = (entry.path(), shown.join(entry.file_name()));
            let meta = fs::symlink_metadata(&path).on("stat", &path)?;
            if meta.is_dir() {
                self.hide(&shown, number);
                self.layer(&path, &shown, number)?;
                continue;
            }
            self.hide(&shown, number);
            self.hide_below(&shown, number);
            let whiteout = meta.file_type().is_char_device() && meta.rdev() == 0;
            if !whiteout && meta.is_file() {
                self.seen.insert(shown, (meta.size(), number));
            }
        }
        Ok(())
    }

    fn hide(&mut self, path: &Path, number: usize) {
        if let Some((size, added)) = self.seen.remove(path)
            && added != number
        {
            self.ghosts.push(Ghost { path: path.to_owned(), size, added, hidden: number });
        }
    }

    fn hide_below(&mut self, directory: &Path, number: usize) {
        let below = self.seen.range(directory.to_owned()..).take_while(|(path, _)| path.starts_with(directory));
        let below: Vec<PathBuf> =
            below.filter(|(_, (_, added))| *added != number).map(|(path, _)| path.clone()).collect();
        below.iter().for_each(|path| self.hide(path, number));
    }
}
