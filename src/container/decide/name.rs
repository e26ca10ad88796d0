//! Random names of containers.

use crate::store;
use crate::store::Store;

/// Returns a random name that no container has. There are many names, because only chance makes those of containers that
/// are created at once different.
pub(crate) fn random(store: &Store) -> String {
    const MOODS: [&str; 32] = [
        "brave", "calm", "clever", "curious", "deft", "eager", "fair", "fleet", "gentle", "glad", "happy", "honest",
        "jolly", "keen", "kind", "lively", "lucid", "merry", "mild", "neat", "noble", "patient", "plucky", "proud",
        "quick", "quiet", "sharp", "steady", "sunny", "warm", "wise", "witty",
    ];
    const PEOPLE: [&str; 32] = [
        "babbage",
        "bell",
        "boole",
        "cerf",
        "curie",
        "darwin",
        "dijkstra",
        "einstein",
        "euler",
        "fermi",
        "gauss",
        "goodall",
        "hamilton",
        "hopper",
        "kernighan",
        "knuth",
        "kovalevskaya",
        "lamarr",
        "lebedev",
        "liskov",
        "lovelace",
        "mendeleev",
        "noether",
        "pavlov",
        "perlman",
        "popov",
        "ritchie",
        "shannon",
        "tesla",
        "thompson",
        "turing",
        "wirth",
    ];
    loop {
        let bits = usize::from_str_radix(&store::random_hex(6), 16).unwrap_or_default();
        let name = format!("{}_{}{}", MOODS[bits % 32], PEOPLE[bits / 32 % 32], bits / 1024 % 10_000);
        if !store.path("container-names").join(&name).exists() {
            return name;
        }
    }
}
