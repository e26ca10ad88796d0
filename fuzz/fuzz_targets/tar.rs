//! A tar stream of anybody: never a panic, never more contents than there are bytes, and an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minirun::image::tape::Tape;

fuzz_target!(|archive: &[u8]| {
    let mut tape = Tape::new(archive, ());
    let (mut entries, mut contents) = (0, 0);
    while let Ok(Some(entry)) = tape.entry() {
        entries += 1;
        assert!(entries <= archive.len() / 512);
        for run in entry.sparse.iter().flatten() {
            assert!(run.offset.checked_add(run.length).is_some_and(|end| end <= entry.size));
        }
        while let Ok(bytes) = tape.contents() {
            let n = bytes.len();
            if n == 0 {
                break;
            }
            contents += n;
            tape.consume(n);
        }
        assert!(contents <= archive.len() && tape.position() <= archive.len() as u64);
    }
});
