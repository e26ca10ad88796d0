//! A tar stream of anybody: never more contents than there are bytes, and an end.

use minirun::exposed::Tape;

pub fn run(data: &[u8]) {
    let mut tape = Tape::new(data, ());
    let (mut entries, mut contents) = (0, 0);
    while let Ok(Some(entry)) = tape.entry() {
        entries += 1;
        assert!(entries <= data.len() / 512);
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
        assert!(contents <= data.len() && tape.position() <= data.len() as u64);
    }
}
