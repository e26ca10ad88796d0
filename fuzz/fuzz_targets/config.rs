//! The config of an image of anybody, and what a manifest says that it is: never a panic, and no layer that is no digest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minirun::image::digest::Digest;
use minirun::image::platform;
use minirun::image::{Image, nature};

fuzz_target!(|document: &[u8]| {
    if let Ok(fields) = serde_json::from_slice(document) {
        for nature in [nature::of(&fields), nature::otherwise(&fields)].into_iter().flatten() {
            assert!(!nature.what.contains(char::is_control));
        }
    }
    if let Ok(image) = Image::parse(Digest::of(document), document) {
        assert!(image.layer_dirs().len() <= image.layers.len());
        assert!(!platform::of_config(image.config()).to_string().contains(char::is_control));
    }
});
