//! Names of images: what is taken is the same after it was written and read again.

use minirun::exposed::Reference;

pub fn run(data: &[u8]) {
    if let Ok(reference) = String::from_utf8_lossy(data).parse::<Reference>() {
        assert_eq!(reference.to_string().parse::<Reference>().ok(), Some(reference.clone()));
        assert_eq!(reference.familiar().parse::<Reference>().ok(), Some(reference));
    }
}
