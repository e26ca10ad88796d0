//! The config of anybody's image, and the nature that a manifest claims: no layer without a digest, and no control characters.

use minirun::exposed::Digest;
use minirun::exposed::Image;
use minirun::exposed::nature;
use minirun::exposed::platform;

pub fn run(data: &[u8]) {
    if let Ok(fields) = serde_json::from_slice(data) {
        for nature in [nature::of(&fields), nature::otherwise(&fields)].into_iter().flatten() {
            assert!(!nature.what.contains(char::is_control));
        }
    }
    if let Ok(image) = Image::parse(Digest::of(data), data) {
        assert!(image.layer_dirs().len() <= image.layers.len());
        assert!(!platform::of_config(image.config()).to_string().contains(char::is_control));
    }
}
