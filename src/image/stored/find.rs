//! Finds images by what people type: a name, an id, or the beginning of an id.

use super::image::{Image, all, directory, must_open};
use super::index::{self, Index};
use super::names::{self, Name};
use crate::image::error::ImageError;
use crate::image::name::digest::Digest;
use crate::image::name::id;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::store::Store;

/// Opens an image by its name, its id, or the beginning of its id. Of an index, opens the image for this machine.
pub fn find(store: &Store, name_or_id: &str) -> Result<Image, ImageError> {
    must_open(store, &lookup(store, name_or_id)?.image)
}

/// Opens the image for a platform, by name or id. `None`: it is there for other platforms only.
pub(crate) fn find_for(store: &Store, name_or_id: &str, wanted: &Platform) -> Result<Option<Image>, ImageError> {
    let found = lookup(store, name_or_id)?;
    let image = must_open(store, &found.image)?;
    if wanted.takes_config(image.config()) {
        return Ok(Some(image));
    }
    match found.index(store)?.as_ref().and_then(|index| index.for_platform(wanted)) {
        Some(member) => Image::open(store, &member.image),
        None => Ok(None),
    }
}

/// The image or index that a name or an id stands for.
pub(crate) struct Match {
    /// The image; of an index, the one for this machine.
    pub image: Digest,
    /// The name, unless an id was given.
    pub name: Option<Name>,
    /// The manifest or index that was named.
    pub manifest: Option<Digest>,
}

impl Match {
    /// Opens the index. `None`: the name or id stands for an image alone, or its index is not here.
    pub(crate) fn index(&self, store: &Store) -> Result<Option<Index>, ImageError> {
        self.manifest.map_or(Ok(None), |digest| Index::open(store, &digest))
    }

    fn of_id(store: &Store, id: Digest) -> Result<Option<Self>, ImageError> {
        if directory(store, &id).exists() {
            return Ok(Some(Self { image: id, name: None, manifest: None }));
        }
        let index = Index::open(store, &id)?;
        Ok(index.map(|index| Self { image: index.main().image, name: None, manifest: Some(id) }))
    }
}

/// Finds an image like [`find`], and does not open it.
pub(crate) fn lookup(store: &Store, name_or_id: &str) -> Result<Match, ImageError> {
    let hex = name_or_id.strip_prefix("sha256:").unwrap_or(name_or_id);
    if let Some(id) = Digest::from_hex(hex) {
        return Match::of_id(store, id)?.ok_or_else(|| not_found(store, name_or_id));
    }
    let reference = name_or_id.parse::<Reference>();
    if let Ok(reference) = &reference
        && let Some(name) = names::resolve(store, &reference.clone().or_latest())?
    {
        return Ok(Match { image: name.image, manifest: Some(name.manifest), name: Some(name) });
    }
    if !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        let hex = hex.to_ascii_lowercase();
        let ids = all(store)?.into_iter().chain(index::all(store)?);
        let found: Vec<Digest> = ids.filter(|id| id.hex().starts_with(&hex)).collect();
        match found[..] {
            [] => {}
            [id] => return Match::of_id(store, id)?.ok_or_else(|| not_found(store, name_or_id)),
            _ => return Err(ImageError::Ambiguous { prefix: name_or_id.to_owned(), found }),
        }
    }
    if id::not_hexadecimal(name_or_id).is_none() {
        reference?;
    }
    Err(not_found(store, name_or_id))
}

/// The error for a name or id that no image has.
pub(crate) fn not_found(store: &Store, name: &str) -> ImageError {
    let hint = meant(store, name).unwrap_or_else(|| {
        "list the images: minirun images; get one: minirun pull NAME, minirun load -i FILE, minirun import FILE NAME"
            .into()
    });
    ImageError::NotFound { name: name.to_owned(), hint }
}

/// Returns a hint at a similar name or id, for one that no image has.
pub(crate) fn meant(store: &Store, name: &str) -> Option<String> {
    // This reads all names, which only a failed command may.
    let ids: Vec<String> = all(store).unwrap_or_default().iter().map(Digest::short).collect();
    let names: Vec<String> = names::all(store).unwrap_or_default().iter().map(|n| n.reference.familiar()).collect();
    id::suggestion("image", name, &ids, &names)
}
