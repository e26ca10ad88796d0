//! Names of images: what is taken comes back the same when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minirun::image::reference::Reference;

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string().parse::<Reference>().ok(), Some(reference.clone()));
        assert_eq!(reference.familiar().parse::<Reference>().ok(), Some(reference));
    }
});
