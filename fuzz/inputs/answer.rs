//! What a hostile registry or token server answers, a header in the first line and then a body: nothing that commands a
//! terminal, no wait that cannot be counted, no address of another kind.

use jiff::Timestamp;
use minirun::exposed::answer;
use minirun::exposed::resolve;
use minirun::exposed::token;

pub fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (header, body) = (String::from_utf8_lossy(&data[..end]), data.get(end + 1..).unwrap_or_default());
    let (code, message) = answer::words(body);
    for text in [code, message] {
        assert!(!text.contains(char::is_control) && text.chars().count() <= 500);
    }
    let _ = answer::retry_after(&header, Timestamp::UNIX_EPOCH);
    let _ = token::parse(body).is_some_and(|token| token.is_good());
    if let Some(address) = resolve("https://registry.example.org/v2/a/blobs/uploads/?state=1", &header) {
        assert!(address.starts_with("http://") || address.starts_with("https://"));
    }
}
