//! What a hostile registry sends as a manifest or an index: never a panic, and never an image that is not for the platform.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minirun::image::platform::{self, Platform};
use minirun::registry::manifest::{self, Kind};

fuzz_target!(|document: &[u8]| {
    let _ = manifest::media_type(document);
    match manifest::parse(document, "fuzzed") {
        Ok(Kind::Image(image)) => {
            for descriptor in image.layers().iter().chain([image.config()]) {
                let blob = manifest::blob(descriptor);
                assert_eq!(blob.is_some(), manifest::digest(descriptor, "fuzzed").is_ok());
            }
        }
        Ok(Kind::Index(index)) => {
            let wanted = Platform::here();
            for chosen in platform::candidates(&index, &wanted) {
                assert!(chosen.platform().as_ref().is_none_or(|offered| wanted.takes_offered(offered)));
            }
            for offered in platform::offered(index.manifests().iter()) {
                assert!(!offered.contains(char::is_control));
            }
        }
        Err(_) => {}
    }
});
