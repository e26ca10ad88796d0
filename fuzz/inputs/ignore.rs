//! The patterns of a `.dockerignore`, and behind an empty line paths to hold against them: an ignored directory takes with it
//! what lies in it, and a path that is written out ignores itself.

use minirun::exposed::Glob;
use minirun::exposed::Ignore;
use minirun::exposed::clean;

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (patterns, paths) = text.split_once("\n\n").unwrap_or((&text, "a/b/c.o\ndocs/README.md"));
    let Ok(ignore) = Ignore::parse(patterns) else { return };
    // A context has any number of paths; what one of them costs is the question.
    for path in paths.lines().take(20).map(clean).filter(|path| !path.is_empty()) {
        let is_ignored = ignore.ignores(&path);
        if is_ignored && ignore.is_final() {
            assert!(ignore.ignores(&format!("{path}/below")), "{path} is ignored, but not what lies in it");
        }
        if !path.contains(['*', '?', '[', '\\', '\r'])
            && path.trim() == path
            && !path.starts_with(['#', '!', '\u{feff}'])
        {
            assert!(Ignore::parse(&path).is_ok_and(|ignore| ignore.ignores(&path)), "{path:?} does not ignore itself");
        }
        if let Some(glob) = patterns.lines().next().and_then(Glob::new) {
            let _ = glob.matches(&path);
        }
    }
}
