//! What a hostile registry sends as a manifest or an index: never an image that is not for the platform.

use minirun::exposed::manifest;
use minirun::exposed::manifest::Kind;
use minirun::exposed::platform;
use minirun::exposed::platform::Platform;

pub fn run(data: &[u8]) {
    let _ = manifest::media_type(data);
    match manifest::parse(data, "fuzzed") {
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
}
