//! Loads archives from before Docker 1.10: a directory for each layer, with a `json` that names its parent. The `json` of the
//! top layer is the config of the image; today's config is made from all of them.

use super::archive::Archive;
use super::candidate::{ArchivedImage, Names, refuse_if_none};
use super::document::parse;
use crate::image::error::{ArchiveError, LoadError};
use crate::image::name::digest::{Digest, Hasher};
use crate::image::name::platform::{self, Platform};
use crate::image::overlay::stack::MOST_LAYERS;
use crate::image::tar::stream::{self, Compression};
use crate::image::tar::unpack::Limits;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Read};

pub(crate) const REPOSITORIES: &str = "repositories";
/// Fields of a layer's `json` that do not belong in a config.
const OF_A_LAYER: [&str; 7] = ["id", "parent", "parent_id", "layer_id", "throwaway", "Size", "container"];

pub(crate) fn images(archive: &Archive, wanted: Option<&Platform>) -> Result<Vec<ArchivedImage>, LoadError> {
    let repositories: BTreeMap<String, BTreeMap<String, String>> =
        parse(archive, REPOSITORIES, &archive.document(REPOSITORIES)?)?;
    let mut tops: BTreeMap<String, Names> = BTreeMap::new();
    for (repository, tags) in repositories {
        for (tag, id) in tags {
            tops.entry(id).or_default().add(&format!("{repository}:{tag}"));
        }
    }
    let (mut found, mut others, mut known) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (id, names) in tops {
        let chain = chain(archive, &id)?;
        let config = config_of(archive, &chain, &mut known)?.to_string().into_bytes();
        let parsed = parse(archive, "json", &config)?;
        if wanted.is_some_and(|wanted| !wanted.takes_config(&parsed)) {
            others.push(platform::of_config(&parsed).to_string());
            continue;
        }
        let files = chain.iter().map(|(id, _)| layer(id)).collect();
        found.push(ArchivedImage::of_files(config, files, names));
    }
    refuse_if_none(archive, wanted, found, others)
}

fn layer(id: &str) -> String {
    format!("{id}/layer.tar")
}

/// Returns the layers of an image with their `json`, bottom first.
fn chain(archive: &Archive, top: &str) -> Result<Vec<(String, Value)>, LoadError> {
    let mut chain = Vec::new();
    let mut next = Some(top.to_owned());
    while let Some(id) = next {
        if chain.len() > MOST_LAYERS {
            return Err(LoadError::Endless { archive: archive.name.clone(), id: top.escape_debug().to_string() });
        }
        let name = format!("{id}/json");
        let fields: Value = parse(archive, &name, &archive.document(&name)?)?;
        next = fields["parent"].as_str().filter(|parent| !parent.is_empty()).map(str::to_owned);
        chain.push((id, fields));
    }
    chain.reverse();
    Ok(chain)
}

fn config_of(
    archive: &Archive,
    chain: &[(String, Value)],
    known: &mut BTreeMap<String, Digest>,
) -> Result<Value, LoadError> {
    let (mut ids, mut history) = (Vec::new(), Vec::new());
    for (id, fields) in chain {
        let digest = match known.get(id) {
            Some(digest) => *digest,
            None => uncompressed(archive, &layer(id))?,
        };
        known.insert(id.clone(), digest);
        ids.push(digest);
        let command = fields["container_config"]["Cmd"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut step = json!({ "created_by": command.collect::<Vec<_>>().join(" ") });
        for name in ["created", "author", "comment"] {
            if let Some(value) = fields.get(name).filter(|value| value.is_string()) {
                step[name] = value.clone();
            }
        }
        history.push(step);
    }
    let mut image =
        chain.last().map(|(_, fields)| fields.clone()).filter(Value::is_object).unwrap_or_else(|| json!({}));
    if let Some(fields) = image.as_object_mut() {
        fields.retain(|name, _| !OF_A_LAYER.contains(&name.as_str()));
    }
    for (name, otherwise) in [("os", "linux"), ("architecture", platform::architecture())] {
        if !image[name].is_string() {
            image[name] = json!(otherwise);
        }
    }
    image["rootfs"] = json!({ "type": "layers", "diff_ids": ids });
    image["history"] = json!(history);
    Ok(image)
}

/// Returns the digest of a layer's archive, uncompressed.
fn uncompressed(archive: &Archive, name: &str) -> Result<Digest, LoadError> {
    let broken = |source| ArchiveError::Read { archive: archive.name.clone(), source };
    let (mut file, length) = archive.file(name)?;
    let limits = Limits::from_env();
    let mut magic = [0; stream::MAGIC];
    let n = stream::fill(&mut file, &mut magic).map_err(broken)?;
    let compression = Compression::of(&magic[..n])
        .map_err(|by| ArchiveError::Compression { archive: format!("{name} in {}", archive.name), by })?;
    let mut plain = compression.decode((&magic[..n]).chain(file)).map_err(broken)?;
    let (mut hasher, mut total) = (Hasher::default(), 0);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match plain.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                total += n as u64;
                let too_much =
                    |source| LoadError::Unpack { archive: archive.name.clone(), name: name.to_owned(), source };
                limits.check(length, total).map_err(too_much)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error).into()),
        }
    }
}
