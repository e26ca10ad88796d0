//! What a hostile registry sends as `WWW-Authenticate`: an end, and a token only with a realm.

use minirun::exposed::Challenge;
use minirun::exposed::choose;

pub fn run(data: &[u8]) {
    if let Some(Challenge::Bearer { realm, .. }) = choose(&[&String::from_utf8_lossy(data)]) {
        assert!(!realm.is_empty());
    }
}
