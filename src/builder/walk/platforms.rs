//! A build for one platform or for several: each platform walks the stages on its own, and later ones find what they have in
//! common in the cache. The images of several platforms, and an image with attestations, become an index.

use super::engine::Builder;
use super::finish;
use super::finish::Stored;
use super::rehearse::rehearse;
use super::schedule;
use super::shared::{Bases, Part};
use crate::builder::error::BuildError;
use crate::builder::listener::{Built, Listener};
use crate::builder::options::{Options, Output};
use crate::builder::read::annotation;
use crate::builder::read::annotation::Place;
use crate::image::attestation::Attestation;
use crate::image::name::digest::Digest;
use crate::image::name::platform::Platform;
use crate::image::stored::index;
use crate::image::stored::index::Listed;
use crate::store::Store;

/// Builds the image for all platforms, as far as the cache does not have it.
pub(crate) fn build(store: &Store, mut options: Options, listener: &mut dyn Listener) -> Result<Built, BuildError> {
    let platforms = options.platforms.clone();
    let mut bases: Vec<Bases> = platforms.iter().map(|_| Bases::new()).collect();
    if platforms.len() > 1 {
        // A name that is pulled for one platform after the other stays with this machine's.
        let mut order: Vec<usize> = (0..platforms.len()).collect();
        order.sort_by_key(|number| Platform::here().takes(&platforms[*number]));
        // What cannot be done for one of them is told before the first step of another.
        for number in order {
            options.platform = platforms[number].clone();
            bases[number] = rehearse(store, &options, listener)?;
        }
    }
    let mut all = Built::default();
    let mut keys = Vec::new();
    let (mut images, last) = (Vec::new(), platforms.len() - 1);
    for (number, platform) in platforms.iter().enumerate() {
        options.platform = platform.clone();
        let part = Part { is_first: number == 0, is_last: number == last, keys: std::mem::take(&mut keys) };
        let taken = std::mem::take(&mut bases[number]);
        let (built, image, passed) = build_one(store, &options, taken, part, listener)?;
        keys = passed;
        all.layers.extend(built.layers);
        let attestations = built.attestations.iter().map(|(_, one)| one.clone()).collect();
        all.attestations.extend(built.attestations);
        all.from_context = all.from_context.max(built.from_context);
        images.extend(image.map(|image| (platform.clone(), image, attestations)));
    }
    if images.is_empty() {
        return Ok(all);
    }
    Ok(Built { image: Some(finish(store, &options, images)?), ..all })
}

/// Builds the image for one platform; returns what was built, the stored image, and the cache keys to carry.
fn build_one(
    store: &Store,
    options: &Options,
    bases: Bases,
    part: Part,
    listener: &mut dyn Listener,
) -> Result<(Built, Option<Stored>, Vec<Digest>), BuildError> {
    let mut builder = Builder::new(store, options, bases, part, listener)?;
    let result = builder
        .rehearse()
        .and_then(|()| builder.warn())
        .and_then(|()| schedule::execute(&mut builder))
        .and_then(|()| builder.image());
    // A failed build leaves its results to the next one too.
    let kept = builder.keep();
    let (built, image) = match result {
        Err(BuildError::Failed { step, code, lacked_memory, .. }) if options.keep_failed => {
            return Err(BuildError::Failed { step, code, lacked_memory, state: builder.failed_state()? });
        }
        other => other?,
    };
    kept?;
    Ok((built, image, builder.shared.part.keys))
}

/// Makes an index of the images where the options ask for one, and writes the archives.
fn finish(
    store: &Store,
    options: &Options,
    images: Vec<(Platform, Stored, Vec<Attestation>)>,
) -> Result<Digest, BuildError> {
    let (platform, first) = (images[0].0.clone(), images[0].1.image);
    let noted = |place: Place, platform: &Platform| annotation::of(&options.annotations, place, platform);
    let (id, place) = if options.makes_index() {
        let listed = images.into_iter().map(|(platform, Stored { image, manifest }, attestations)| Listed {
            image,
            manifest,
            annotations: noted(Place::ManifestDescriptor, &platform),
            attestations,
            platform,
        });
        let made = index::make(listed.collect(), noted(Place::Index, &platform), &options.names);
        (index::keep(store, &made, &options.names)?, Place::IndexDescriptor)
    } else {
        (first, Place::ManifestDescriptor)
    };
    let descriptor = noted(place, &platform);
    for output in options.outputs.iter().filter(|output| Output::is_archive(output)) {
        finish::save(store, &id, &options.names, output, &descriptor)?;
    }
    Ok(id)
}
