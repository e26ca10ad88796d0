//! Images for several platforms under one name: an index that is put together here of manifests that lie in a registry.

use super::error::ListError;
use super::explain::{self, Verb};
use super::progress::Silent;
use super::session::Session;
use super::session::endpoint;
use super::tags::all_tags;
use super::transfer::manifest::{self, Document, Kind};
use super::transfer::publish::put_manifest;
use super::transfer::upload::Target;
use super::{RegistryError, Settings};
use crate::image::Image;
use crate::image::media_type::OCI_INDEX;
use crate::image::name::digest::Digest;
use crate::image::name::platform;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::image::nature;
use crate::store::{self, Store};
use crate::sys::On;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A manifest list that is being put together. It is local until it is pushed.
#[derive(Serialize, Deserialize)]
pub(crate) struct List {
    pub reference: Reference,
    members: Vec<Member>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Member {
    reference: Reference,
    digest: Digest,
    size: usize,
    media_type: String,
    platform: Value,
}

const DIRECTORY: &str = "manifest-lists";

fn path(store: &Store, reference: &Reference) -> PathBuf {
    // A name may be longer than a file's.
    store.path(DIRECTORY).join(Digest::of(reference.to_string().as_bytes()).hex())
}

impl List {
    /// Returns `None` if no list has this name.
    pub(crate) fn open(store: &Store, reference: &Reference) -> Result<Option<Self>, ListError> {
        let path = path(store, reference);
        let text = match fs::read(&path) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            other => other.on("read", &path)?,
        };
        store::format::from_record(&text).map(Some).map_err(|source| ListError::Json { path, source })
    }

    pub(crate) fn must(store: &Store, reference: &Reference) -> Result<Self, ListError> {
        Self::open(store, reference)?.ok_or_else(|| ListError::NotFound { reference: reference.clone() })
    }

    /// With `amend`, an existing list is taken.
    pub(crate) fn create(store: &Store, reference: &Reference, amend: bool) -> Result<Self, ListError> {
        match Self::open(store, reference)? {
            Some(found) if amend => Ok(found),
            Some(_) => Err(ListError::Exists { reference: reference.clone() }),
            None => Ok(Self { reference: reference.clone(), members: Vec::new() }),
        }
    }

    pub(crate) fn save(&self, store: &Store) -> Result<(), ListError> {
        let directory = store.path(DIRECTORY);
        fs::create_dir_all(&directory).on("mkdir", &directory)?;
        Ok(store::write_durably(&path(store, &self.reference), &store::format::to_record(self))?)
    }

    pub(crate) fn remove(&self, store: &Store) -> Result<(), ListError> {
        let path = path(store, &self.reference);
        Ok(fs::remove_file(&path).on("unlink", &path)?)
    }

    /// Adds an image that lies in a registry, or all images of an index there.
    pub(crate) fn add(&mut self, member: &Reference, settings: &Settings) -> Result<(), RegistryError> {
        let member = member.clone().or_latest();
        let session = endpoint::open(&member, settings)?;
        let added = members(&session, &member).map_err(|e| explain::explain(e, &session, &member, Verb::Pull))?;
        for one in added {
            self.members.retain(|other| other.digest != one.digest);
            self.members.push(one);
        }
        Ok(())
    }

    /// Sets fields of a member's platform.
    pub(crate) fn annotate(&mut self, member: &Reference, fields: &[(&str, String)]) -> Result<(), ListError> {
        let member = member.clone().or_latest();
        let found = self.members.iter_mut().find(|one| one.reference == member || Some(one.digest) == member.digest);
        let unknown = || ListError::NoMember { list: self.reference.familiar(), member: member.familiar() };
        let found = found.ok_or_else(unknown)?;
        for (name, value) in fields {
            found.platform[*name] = json!(value);
        }
        Ok(())
    }

    /// Returns the index that a push would send.
    pub(crate) fn document(&self) -> Value {
        let entries = self.members.iter().map(|one| {
            let mut entry = json!({ "mediaType": one.media_type, "digest": one.digest, "size": one.size });
            if !one.platform.is_null() {
                entry["platform"] = one.platform.clone();
            }
            entry
        });
        json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries.collect::<Vec<_>>() })
    }

    /// Brings all members into the list's repository, and then the list.
    pub(crate) fn push(&self, settings: &Settings) -> Result<Digest, RegistryError> {
        let session = endpoint::open(&self.reference, settings)?;
        self.push_to(&session).map_err(|error| explain::explain(error, &session, &self.reference, Verb::Push))
    }

    fn push_to(&self, session: &Session) -> Result<Digest, RegistryError> {
        for member in &self.members {
            if member.reference.registry != self.reference.registry {
                let tag = member.reference.tag.as_deref().unwrap_or("latest");
                let own = format!("{}:{tag}", self.reference.familiar_repository());
                let (list, member) = (self.reference.familiar(), member.reference.familiar());
                return Err(ListError::Elsewhere { list, member, own }.into());
            }
            if member.reference.repository != self.reference.repository {
                self.bring(session, member)?;
            }
        }
        put_manifest(session, &self.reference, self.document().to_string().as_bytes())
    }

    fn bring(&self, session: &Session, member: &Member) -> Result<(), RegistryError> {
        let from = &member.reference.repository;
        let document = manifest::get(session, from, &member.digest.to_string())?;
        let Kind::Image(image) = manifest::parse(&document.bytes, &member.reference.familiar())? else { return Ok(()) };
        let target = Target { session, repository: &self.reference.repository, progress: &Silent };
        for descriptor in image.layers().iter().chain([image.config()]) {
            let digest = manifest::digest(descriptor, &member.reference.familiar())?;
            if !target.has(&digest)? && !target.mount(&digest, from)? {
                let (list, member) = (self.reference.name(), member.reference.familiar());
                return Err(ListError::NotMounted { list, member, digest }.into());
            }
        }
        let place = Reference { tag: None, digest: Some(member.digest), ..self.reference.clone() };
        put_manifest(session, &place, &document.bytes).map(drop)
    }
}

fn members(session: &Session, reference: &Reference) -> Result<Vec<Member>, RegistryError> {
    let which = manifest::which(reference);
    let subject = reference.familiar();
    let document = manifest::get(session, &reference.repository, &which)?;
    let Kind::Index(index) = manifest::parse(&document.bytes, &subject)? else {
        return Ok(vec![member(session, reference.clone(), &document)?]);
    };
    let mut found = Vec::new();
    for descriptor in index.manifests() {
        let digest = manifest::digest(descriptor, &subject)?;
        let document = manifest::get(session, &reference.repository, &digest.to_string())?;
        let reference = Reference { tag: None, digest: Some(digest), ..reference.clone() };
        let mut one = member(session, reference, &document)?;
        if let Some(offered) = platform::of_descriptor(descriptor) {
            one.platform = described(&offered);
        }
        found.push(one);
    }
    Ok(found)
}

fn member(session: &Session, reference: Reference, document: &Document) -> Result<Member, RegistryError> {
    let Kind::Image(image) = manifest::parse(&document.bytes, &reference.familiar())? else {
        return Err(RegistryError::Nested { subject: reference.familiar() });
    };
    let fields = serde_json::from_slice(&document.bytes).unwrap_or_default();
    let platform = match nature::of(&fields) {
        // An index may list other things beside its images.
        Some(_) => Value::Null,
        None => {
            let config = manifest::config(session, &reference.repository, image.config())?;
            described(&platform::of_config(Image::parse(Digest::of(&config), &config)?.config()))
        }
    };
    Ok(Member {
        reference,
        digest: document.digest,
        size: document.bytes.len(),
        media_type: manifest::media_type(&document.bytes),
        platform,
    })
}

fn described(platform: &Platform) -> Value {
    let mut fields = json!({});
    platform.describe(&mut fields);
    fields
}

/// Fetches a manifest or an index from a registry.
pub(crate) fn fetch(reference: &Reference, settings: &Settings) -> Result<Vec<u8>, RegistryError> {
    let reference = reference.clone().or_latest();
    let session = endpoint::open(&reference, settings)?;
    let document = manifest::get(&session, &reference.repository, &manifest::which(&reference));
    Ok(document.map_err(|error| explain::explain(error, &session, &reference, Verb::Pull))?.bytes)
}

/// Lists every tag of a repository.
pub(crate) fn tags(reference: &Reference, settings: &Settings) -> Result<Vec<String>, RegistryError> {
    let session = endpoint::open(reference, settings)?;
    all_tags(&session, &reference.repository).map_err(|error| explain::explain(error, &session, reference, Verb::Pull))
}
