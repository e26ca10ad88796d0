//! The errors and hints that people meet most, in other languages than the one they are written in. What is not here stays English.

use super::Language;

/// English and Russian; `{}` is a value. Of two that fit, the longer one comes first.
const MESSAGES: &[(&str, &str)] = &[
    ("no such container: {}", "нет такого контейнера: {}"),
    ("see which there are: minirun ps -a", "список контейнеров: minirun ps -a"),
    ("container {} is not running", "контейнер {} не работает"),
    (
        "start it: minirun start {}; or remove it: minirun rm {}; or choose another --name",
        "запустите его: minirun start {}; или удалите: minirun rm {}; или выберите другое --name",
    ),
    ("start it: minirun start {}", "запустите его: minirun start {}"),
    ("the name {} is in use by container {}, {}", "имя {} занято контейнером {} ({})"),
    ("cannot remove container {}: it is running", "нельзя удалить контейнер {}: он работает"),
    (
        "stop it first: minirun stop {}; or force: minirun rm -f {}",
        "сначала остановите его: minirun stop {}; или удалите принудительно: minirun rm -f {}",
    ),
    (
        "cannot attach a terminal: standard input is not a terminal",
        "нельзя подключить терминал: стандартный ввод — не терминал",
    ),
    ("leave out -t", "уберите -t"),
    ("port {} of this host is taken by {}", "порт {} этого хоста занят: {}"),
    ("port {} of this host is taken", "порт {} этого хоста занят"),
    ("take another one: -p {}", "выберите другой: -p {}"),
    (
        "port {} of this host is for root: ports below {} are privileged",
        "порт {} этого хоста — только для root: порты ниже {} привилегированные",
    ),
    ("no such image: {}", "нет такого образа: {}"),
    ("no such container or image: {}", "нет такого контейнера или образа: {}"),
    ("list them: minirun ps -a, minirun images", "списки: minirun ps -a, minirun images"),
    ("image {} is used by {}", "образ {} используется: {}"),
    ("remove first what uses it: minirun rm {}", "сначала удалите то, что его использует: minirun rm {}"),
    ("cannot reach {}", "нет связи с {}"),
    ("unknown command: minirun {}", "неизвестная команда: minirun {}"),
    ("unknown flag: {}", "неизвестный параметр: {}"),
    ("did you mean: {}", "возможно, имелось в виду: {}"),
    ("list the commands: minirun help {}", "список команд: minirun help {}"),
    ("list the commands: minirun help", "список команд: minirun help"),
    ("list the flags: {}", "список параметров: {}"),
    ("for example: {}", "например: {}"),
    ("see what this host lacks: minirun doctor", "чего не хватает этому хосту: minirun doctor"),
    (
        "the disk is full; see what minirun holds: minirun system df",
        "диск заполнен; что занимает minirun: minirun system df",
    ),
];

/// Returns a line in the language of this process, as far as it is known.
pub(crate) fn in_current_language(line: &str) -> String {
    match Language::current() {
        Language::English => line.to_owned(),
        Language::Russian => {
            MESSAGES.iter().find_map(|(english, russian)| fit(line, english, russian)).unwrap_or(line.into())
        }
    }
}

/// Puts a line's values into another text, if it is the first text with values.
fn fit(line: &str, from: &str, to: &str) -> Option<String> {
    let mut parts = from.split("{}");
    let mut rest = line.strip_prefix(parts.next()?)?;
    let mut values = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let (value, after) = match (part, parts.peek()) {
            ("", None) => (rest, ""),
            (part, None) => (rest.strip_suffix(part)?, ""),
            (part, Some(_)) => rest.split_once(part)?,
        };
        values.push(value);
        rest = after;
    }
    let mut texts = to.split("{}");
    let mut text = texts.next()?.to_owned();
    for (part, value) in texts.zip(values) {
        text += value;
        text += part;
    }
    rest.is_empty().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{MESSAGES, fit};
    use std::fs;
    use std::path::Path;

    #[test]
    fn values_move_to_the_other_text() {
        assert_eq!(fit("a 1 b 2", "a {} b {}", "{}, {}"), Some("1, 2".into()));
        assert_eq!(fit("a 1 b", "a {} b", "[{}]"), Some("[1]".into()));
        assert_eq!(fit("a b", "a b", "c"), Some("c".into()));
        for line in ["a b c", "a", "x 1 b"] {
            assert_eq!(fit(line, "a {} b", ""), None, "{line}");
        }
        assert_eq!(fit("a b c", "a b", ""), None);
    }

    #[test]
    fn every_message_is_in_the_sources() {
        let (mut sources, mut directories) = (String::new(), vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")]);
        while let Some(directory) = directories.pop() {
            for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    directories.push(path);
                } else if !path.ends_with("words/messages.rs") {
                    sources += &fs::read_to_string(path).unwrap_or_default();
                }
            }
        }
        for (english, russian) in MESSAGES {
            assert_eq!(english.matches("{}").count(), russian.matches("{}").count(), "{english}");
            // The longest text between values.
            let part = english.split("{}").max_by_key(|part| part.len()).unwrap();
            assert!(sources.contains(part), "no message says {part:?}");
        }
    }
}
