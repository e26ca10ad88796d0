//! A log that a disk or a hand has damaged: read to its end, and never twice the same.

use minirun::exposed::Reader;
use minirun::exposed::last;

pub fn run(data: &[u8]) {
    let path = std::env::temp_dir().join(format!("minirun-fuzz-log-{}", std::process::id()));
    std::fs::write(&path, data).expect("a temporary file");
    let mut reader = Reader::new(&path);
    let mut entries = 0;
    while let Ok(Some(_)) = reader.entry() {
        entries += 1;
    }
    assert!(entries <= data.iter().filter(|byte| **byte == b'\n').count());
    assert!(last(&path, 5).len() <= 5);
    let _ = std::fs::remove_file(&path);
}
