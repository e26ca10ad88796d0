//! The inputs of fuzz/inputs, changed at random for a moment each, with the stable compiler and no coverage: what a longer run
//! (fuzz/run) has found lies in fuzz/seeds, and must never fail again. `MINIRUN_FUZZ_SECONDS` says how long, one each else.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../fuzz/inputs/mod.rs"]
mod inputs;

/// What means something in one of the inputs' languages.
const MARKS: &[u8] = b"${}\\\"'\n\0:-[],0";

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// A few changes: a byte, a piece cut out, a piece of another seed, a piece many times over.
    fn change(&mut self, input: &mut Vec<u8>, others: &[Vec<u8>]) {
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            let end = at + self.below((input.len() - at).min(64) + 1);
            match self.below(5) {
                0 if at < input.len() => input[at] = self.below(256) as u8,
                1 => drop(input.drain(at..end)),
                2 => {
                    let other = &others[self.below(others.len())];
                    let from = self.below(other.len() + 1);
                    let to = from + self.below((other.len() - from).min(64) + 1);
                    input.splice(at..end, other[from..to].iter().copied());
                }
                3 => {
                    let piece = input[at..end].repeat(self.below(40));
                    input.splice(at..at, piece);
                }
                _ => input.insert(at, MARKS[self.below(MARKS.len())]),
            }
        }
        input.truncate(32 * 1024);
    }
}

fn fuzz(name: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    // Where only the binary was copied, there are none.
    let read = |entry: fs::DirEntry| fs::read(entry.path()).ok();
    let mut seeds: Vec<Vec<u8>> = fs::read_dir(directory).into_iter().flatten().flatten().filter_map(read).collect();
    if seeds.is_empty() {
        seeds.push(b"{}".to_vec());
    }
    seeds.iter().for_each(|seed| run(seed));
    let seconds = std::env::var("MINIRUN_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (begun, mut random) = (Instant::now(), Random(u64::from(std::process::id()) << 20 | 1));
    while begun.elapsed() < Duration::from_secs(seconds) {
        let mut input = seeds[random.below(seeds.len())].clone();
        random.change(&mut input, &seeds);
        let started = Instant::now();
        let whole = catch_unwind(AssertUnwindSafe(|| run(&input))).is_ok();
        let is_quick = started.elapsed() < Duration::from_secs(10);
        if !whole || !is_quick {
            let kept = std::env::temp_dir().join(format!("minirun-{name}-{}", std::process::id()));
            fs::write(&kept, &input).expect("a file for the input");
            panic!("{name} fails or hangs with {}", kept.display());
        }
    }
}

/// A test for each input, and the list of them all.
macro_rules! each {
    ($($name:ident)*) => {
        const ALL: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                fuzz(stringify!($name), inputs::$name::run);
            }
        )*
    };
}

each! { answer bundle challenge config dockerfile ignore logs manifest packet protocol reference seccomp tar variable }

#[test]
fn every_input_has_a_target_and_seeds() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |directory: &str| -> Vec<String> {
        let entries = fs::read_dir(project.join(directory)).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<String> =
            entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("fuzz/fuzz_targets"), ALL);
    assert_eq!(names("fuzz/seeds"), ALL);
}
