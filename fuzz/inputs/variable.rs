//! Words with variables, long ones too: what comes out grows with what goes in, and no faster.

use minirun::exposed::Lexer;

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lookup = |name: &str| (name.len() % 2 == 1).then(|| "value".to_owned());
    for escape in ['\\', '`'] {
        let lexer = Lexer::new(escape, &lookup);
        for word in [lexer.word(&text), lexer.text(&text)].into_iter().flatten() {
            assert!(word.len() <= text.len() * 8 + 64, "{} bytes became {}", text.len(), word.len());
        }
        let _ = lexer.words(&text);
        let _ = Lexer::raw_words(&text, escape);
    }
}
