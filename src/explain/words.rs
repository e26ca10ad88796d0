//! What the explaining commands say, in each language that they speak. A text that one language lacks does not compile.

use crate::diag::printable;

/// A language that the explaining commands speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Russian,
}

impl Language {
    /// As the environment asks for it (locale(7)).
    pub(crate) fn of_locale() -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        if set.is_some_and(|locale| locale.starts_with("ru")) { Self::Russian } else { Self::English }
    }

    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Russian => &RUSSIAN,
        }
    }

    /// `3 files`: a number with the form of its noun.
    pub(crate) fn count(self, number: u64, noun: Noun) -> String {
        let forms = match self {
            Self::English => noun.english,
            Self::Russian => noun.russian,
        };
        let form = match self {
            Self::English => usize::from(number != 1),
            // One file, two files, five files: three forms, by the last digits.
            Self::Russian => match (number % 10, number % 100) {
                (1, hundred) if hundred != 11 => 0,
                (2..=4, hundred) if !(12..=14).contains(&hundred) => 1,
                _ => 2,
            },
        };
        format!("{number} {}", forms[form.min(forms.len() - 1)])
    }
}

/// A thing that is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noun {
    english: &'static [&'static str],
    russian: &'static [&'static str],
}

pub(crate) const ENTRIES: Noun =
    Noun { english: &["entry", "entries"], russian: &["запись", "записи", "записей"] };
pub(crate) const CHANGES: Noun = Noun {
    english: &["change", "changes"],
    russian: &["изменение", "изменения", "изменений"],
};
pub(crate) const IMAGES: Noun =
    Noun { english: &["other image", "other images"], russian: &["образ", "образа", "образов"] };
pub(crate) const READ_ONLY_LAYERS: Noun = Noun {
    english: &["read-only layer", "read-only layers"],
    russian: &["слой только для чтения", "слоя только для чтения", "слоёв только для чтения"],
};
pub(crate) const FILES: Noun =
    Noun { english: &["file", "files"], russian: &["файл", "файла", "файлов"] };
pub(crate) const PROCESSES: Noun =
    Noun { english: &["process", "processes"], russian: &["процесс", "процесса", "процессов"] };
pub(crate) const LAYERS: Noun =
    Noun { english: &["layer", "layers"], russian: &["слой", "слоя", "слоёв"] };

/// Puts values in the places of `{}`, in their order. Values may come from a stranger's image: a terminal obeys none.
pub(crate) fn fill(text: &str, values: &[&dyn std::fmt::Display]) -> String {
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (part, value) in parts.zip(values) {
        filled += &printable(&value.to_string());
        filled += part;
    }
    filled
}

/// Puts values in the places that bear their names: `{name}`. Any other name stays as it is. As with [`fill`], no value
/// commands a terminal.
pub(crate) fn place(text: &str, values: &[(&str, &str)]) -> String {
    let mut placed = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        placed += before;
        let value = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        match value {
            Some((value, after)) => {
                placed += &printable(value);
                rest = after;
            }
            None => {
                placed.push('{');
                rest = after;
            }
        }
    }
    placed + rest
}

macro_rules! words {
    ($($name:ident: $english:literal, $russian:literal;)*) => {
        /// Every text, in one language.
        pub(crate) struct Words { $(pub $name: &'static str,)* }

        impl Words {
            /// Their names, in the order in which they are told.
            pub(crate) const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// The text of this name.
            pub(crate) fn get(&self, name: &str) -> Option<&'static str> {
                match name {
                    $(stringify!($name) => Some(self.$name),)*
                    _ => None,
                }
            }
        }

        const ENGLISH: Words = Words { $($name: $english,)* };
        const RUSSIAN: Words = Words { $($name: $russian,)* };
        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $russian),)*];
    };
}

words! {
    layer: "layer {}", "слой {}";
    writable_layer: "writable layer", "слой для записи";
    a_mount: "mount", "монтирование";
    container_itself: "the container, since it was created", "сам контейнер, после создания";
    unknown_instruction: "(the image does not say)", "(образ об этом не говорит)";

    head_place: "PLACE", "МЕСТО";
    head_what: "WHAT", "ЧТО";
    head_size: "SIZE", "РАЗМЕР";
    head_made_by: "MADE BY", "ЧЕМ СОЗДАНО";

    head_on_disk: "ON DISK", "НА ДИСКЕ";
    head_size_below: "BELOW", "НИЖЕ";
    sets_only: "no layer: sets something", "без слоя: только настройка";
    wasted: "{} are carried for nothing: {} of one layer that a later one hides, the largest {}.", "{} лежат зря: {} одного слоя, которые скрыл другой; самый большой — {}.";
    wasted_file: "{} ({}, from layer {}, hidden in layer {})", "{} ({}, из слоя {}, скрыт в слое {})";
    files_of: "{}, {}: {}. BELOW is the size in the layers below.", "{}, {}: {}. НИЖЕ — размер в нижних слоях.";
    added: "added", "добавлен";
    changed: "changed", "изменён";
    removed: "removed", "удалён";

    container_of: "container {} of image {}, {}: what lies higher is what programs see", "контейнер {} из образа {}, {}: программы видят то, что лежит выше";
    image_alone: "image {}: what lies higher is what programs will see", "образ {}: программы увидят то, что лежит выше";
    running: "running", "работает";
    not_running: "not running", "не работает";
    stays_after_rm: "not in any layer: stays after rm, commit leaves it out", "не в слоях: остаётся после rm, в commit не попадает";
    goes_with_rm_v: "not in any layer: goes with rm -v, commit leaves it out", "не в слоях: исчезает с rm -v, в commit не попадает";
    changes: "{} added, {} changed, {} deleted", "добавлено {}, изменено {}, удалено {}";
    shared_with: "shared with {}", "общий: ещё {}";
    image_is: "Image {}: {}, {} on disk, read-only; containers that stand on it now: {}.", "Образ {}: {}, {} на диске, только чтение; контейнеров на нём сейчас: {}.";
    rm_loses: "`{} {}` frees the writable layer, {} on disk, and nothing else.", "`{} {}` освободит слой для записи, {} на диске, и ничего больше.";
    commit_keeps: "`minirun commit {} NAME` freezes it as one more layer of a new image.", "`minirun commit {} ИМЯ` заморозит его как ещё один слой нового образа.";

    gist_shared: "{} is {}'s {}, not copied, + {} of its own", "{} — это {}: {} без копирования + {} своих данных";
    gist_copied: "{} is a copy of {}'s {} (this host lays no layers over each other): {} of its own", "{} — это копия {}: {} (этот хост не накладывает слои друг на друга), {} своих данных";
    gist_processes: " + {} on this machine's kernel {}", " + {} на ядре этой машины {}";
    gist_no_process: " and no process now: it would run on this machine's kernel {}", ", процессов сейчас нет: работали бы они на ядре этой машины {}";
    gist_no_kernel: "; the image brings no kernel.", "; ядра в образе нет.";
    gist_kernel_file: "; {} of the image is a file like any other, which nothing boots.", "; {} в образе — файл, как все, его ничто не загружает.";

    frozen: "FROZEN IN THE IMAGE: the same for everybody who has it", "ЗАМОРОЖЕНО В ОБРАЗЕ: одинаково у всех, у кого он есть";
    decided: "DECIDED WHEN THE CONTAINER WAS CREATED: stays until rm", "РЕШЕНО ПРИ СОЗДАНИИ КОНТЕЙНЕРА: остаётся до rm";
    while_it_runs: "EXISTS ONLY WHILE IT RUNS", "СУЩЕСТВУЕТ, ТОЛЬКО ПОКА ОН РАБОТАЕТ";
    it_does_not_run: "nothing: it does not run now", "ничего: сейчас он не работает";
    not_made_from: "The container was made from another image than this one.", "Контейнер создан не из этого образа, а из другого.";
    shared_by_both: "SHARED, on disk once: {}, {}", "ОБЩЕЕ, на диске один раз: {}, {}";
    in_page_cache: "; in memory once: {}", "; в памяти один раз: {}";
    private_to: "PRIVATE TO {}: {} on disk", "ТОЛЬКО У {}: {} на диске";
    own_layers: "read-only layers of its own: {}", "собственные слои только для чтения: {}";
    own_writable: "writable layer: {}", "слой для записи: {}";
    yes: "yes", "да";
    host_has: "the host has {}", "у хоста {}";
    same_as_host: "the host's", "тот же, что у хоста";

    what_ran: "what ran", "что запускалось";
    how_it_ended: "how it ended", "как закончился";
    last_line: "last line", "последняя строка";
    from_entrypoint_option: "from --entrypoint", "из --entrypoint";
    from_image_entrypoint: "from the image's ENTRYPOINT", "из ENTRYPOINT образа";
    from_command_line: "from the command line", "из командной строки";
    from_image_cmd: "from the image's CMD", "из CMD образа";
    exited_by_itself: "exited with code {code}", "вышел с кодом {code}";
    ended_by: "ended by {signal} (code {code})", "завершён сигналом {signal} (код {code})";
    ended_unseen: "with code {code}; how, nobody recorded", "с кодом {code}; как именно, никто не записал";
    asked_by_stop: "`minirun stop` sent {signal} at {at}", "`minirun stop` послал {signal} в {at}";
    asked_by_kill: "`minirun kill` sent {signal} at {at}", "`minirun kill` послал {signal} в {at}";
    asked_by_client: "the attached command passed {signal} on at {at}", "присоединённая команда передала {signal} в {at}";
    asked_by_monitor: "the container's monitor was sent {signal}, and passed it on, at {at}", "монитор контейнера получил {signal} и передал его в {at}";
    asked_and_killed: "SIGKILL by minirun when the {grace} of its grace had run out", "SIGKILL от minirun, когда истёк срок ожидания, {grace}";
    ended_well: "{name} ended with {code}: its first process had done its work, and a container ends with that.", "{name} завершился с кодом {code}: первый процесс сделал своё дело, а контейнер заканчивается вместе с ним.";
    ended_as_asked: "{name} ended with {code}, as it was asked to.", "{name} завершился с кодом {code}, как его и просили.";
    runs_well: "{name} runs, and nothing here tells of trouble.", "{name} работает, и ничто здесь не говорит о неполадках.";
    runs_unchecked: "{name} runs. Its image has a HEALTHCHECK, but minirun does not run health checks, so nobody has asked whether it is well. Ask: minirun exec {name} {check}", "{name} работает. У образа есть HEALTHCHECK, но minirun не выполняет таких проверок, так что о его здоровье никто не спрашивал. Спросите: minirun exec {name} {check}";
    was_never_started: "{name} was created, and never started.", "{name} создан, но ни разу не запускался.";
    seconds: "{number} s", "{number} с";

    why_command_not_found: "`{subject}` is nowhere in the container's files; looked for in: {found}", "`{subject}` нет среди файлов контейнера; искали в: {found}";
    mend_command_not_found: "install it in the image, or name another program", "установите её в образ или назовите другую программу";
    why_hidden_by_mount: "`{subject}` is in the container's layers, but what is mounted on {found} hides it", "`{subject}` есть в слоях контейнера, но её скрывает то, что смонтировано в {found}";
    mend_hidden_by_mount: "mount on another directory than {found}, or on single files in it", "монтируйте в другой каталог, не {found}, или на отдельные файлы в нём";
    why_option_after_image: "`{subject}` stands behind the image's name, so it was taken for the command", "`{subject}` стоит после имени образа, поэтому принято за команду";
    mend_option_after_image: "put options before the image: minirun run {found} …", "ставьте параметры перед образом: minirun run {found} …";
    why_several_words_in_one: "`{subject}` came as one word, and no program has that name; `{found}` is there", "`{subject}` передано одним словом, а программы с таким именем нет; `{found}` есть";
    mend_several_words_in_one: "give its words apart: {advice}", "передайте слова по отдельности: {advice}";
    why_shell_builtin: "`{subject}` is a command of shells, and no program of the container", "`{subject}` — команда оболочки, а не программа контейнера";
    mend_shell_builtin: "let a shell do it: sh -c '{found}'", "поручите это оболочке: sh -c '{found}'";
    why_not_executable: "`{subject}` is there, but nobody may execute it: {found}", "`{subject}` есть, но запускать её никому нельзя: {found}";
    mend_not_executable: "RUN chmod +x {subject}, or COPY --chmod=755", "RUN chmod +x {subject} или COPY --chmod=755";
    why_is_directory: "`{subject}` is a directory, not a program", "`{subject}` — каталог, а не программа";
    mend_is_directory: "name a program in it: {subject}/…", "назовите программу в нём: {subject}/…";
    why_not_executable_by_user: "the container's user {advice} may not execute `{subject}`, or not go through it: {found}", "пользователю контейнера {advice} нельзя запустить `{subject}` или пройти через него: {found}";
    mend_not_executable_by_user: "RUN chmod o+x {subject}, or COPY --chown={advice}; or run as another user: --user", "RUN chmod o+x {subject} или COPY --chown={advice}; или запустите от другого пользователя: --user";
    why_mounted_noexec: "`{subject}` is on a mount from which nothing may be executed ({found})", "`{subject}` находится на монтировании, откуда ничего нельзя запускать ({found})";
    mend_mounted_noexec: "put the program elsewhere, or allow it there: --tmpfs DIRECTORY:exec", "положите программу в другое место или разрешите там запуск: --tmpfs КАТАЛОГ:exec";
    why_interpreter_missing: "`{subject}` asks for {found}, which the container does not have", "`{subject}` требует {found}, а в контейнере этого нет";
    mend_interpreter_missing: "install {found}; or, for a program made for another C library (glibc, musl), build it for this one", "установите {found}; а программу, собранную для другой библиотеки C (glibc, musl), соберите для этой";
    why_script_has_crlf: "`{subject}` has the line ends of Windows, so its interpreter's name ends in a character that no file has: {found}", "в `{subject}` концы строк Windows, поэтому имя интерпретатора кончается символом, которого нет ни у одного файла: {found}";
    mend_script_has_crlf: "save it with LF line ends: sed -i 's/\\r$//' {subject}", "сохраните с концами строк LF: sed -i 's/\\r$//' {subject}";
    why_script_has_bom: "`{subject}` begins with a byte order mark ({found}), so the kernel does not see its #! line", "`{subject}` начинается с метки порядка байтов ({found}), и ядро не видит строки #!";
    mend_script_has_bom: "save it without the mark: sed -i '1s/^\\xEF\\xBB\\xBF//' {subject}", "сохраните без метки: sed -i '1s/^\\xEF\\xBB\\xBF//' {subject}";
    why_no_interpreter_line: "`{subject}` is no program that the kernel knows, and names no interpreter; it begins with: {found}", "`{subject}` не является программой, известной ядру, и не называет интерпретатора; начинается с: {found}";
    mend_no_interpreter_line: "if it is a script, its first line must name its interpreter: #!/bin/sh", "если это скрипт, первая строка должна называть интерпретатор: #!/bin/sh";
    why_file_is_empty: "`{subject}` is empty", "`{subject}` пуст";
    mend_file_is_empty: "see what was to be in it: minirun where {name} {subject}", "посмотрите, откуда он: minirun where {name} {subject}";
    why_wrong_architecture: "`{subject}` was made for another processor: {found}", "`{subject}` собрана для другого процессора: {found}";
    mend_wrong_architecture: "pull or build the image for this machine's platform, not {found}", "возьмите или соберите образ для платформы этой машины, а не {found}";
    why_workdir_not_a_directory: "the working directory {subject} is a file", "рабочий каталог {subject} — это файл";
    mend_workdir_not_a_directory: "choose another: {found} DIRECTORY, or WORKDIR in the image", "выберите другой: {found} КАТАЛОГ или WORKDIR в образе";
    why_port_taken: "port {subject} of this host is taken by {found}", "порт {subject} этого хоста занят: {found}";
    why_port_taken_by_unknown: "port {subject} of this host is taken by a process that only its owner or root can see", "порт {subject} этого хоста занят процессом, который виден только его владельцу или root";
    mend_port_taken: "publish on another port of the host with -p, or end what has this one: ss -ltnup 'sport = :{subject}'", "откройте через -p другой порт хоста или завершите того, кто занял этот: ss -ltnup 'sport = :{subject}'";
    why_port_privileged: "port {subject} of this host is for root: an ordinary user has those from {found} on", "порт {subject} этого хоста — только для root: обычному пользователю доступны порты от {found}";
    mend_port_privileged: "publish on a higher port of the host: {advice}", "откройте порт хоста с большим номером: {advice}";
    why_could_not_start: "{subject} could not be started: {found}", "{subject} не удалось запустить: {found}";
    mend_could_not_start: "{advice}", "подсказка движка: {advice}";
    mend_could_not_start_by_steps: "see each step: minirun run --explain …", "посмотрите каждый шаг: minirun run --explain …";
    why_out_of_memory: "`{subject}` wanted more memory than --memory allows, {found} bytes, so the kernel killed it", "`{subject}` хотела больше памяти, чем позволяет --memory, {found} байт, и ядро её убило";
    why_child_out_of_memory: "the kernel killed a process in the container, which wanted more memory than --memory allows, {found} bytes", "ядро убило процесс в контейнере: он хотел больше памяти, чем позволяет --memory, {found} байт";
    mend_out_of_memory: "give it more than {found} bytes with --memory, or find what takes so much", "дайте ей больше {found} байт через --memory или найдите, что столько занимает";
    why_host_out_of_memory: "the kernel killed a process in the container for want of memory, though the container has no limit of its own", "ядро убило процесс в контейнере из-за нехватки памяти, хотя своего предела у контейнера нет";
    mend_host_out_of_memory: "see what takes the host's memory: sudo dmesg | grep -i 'out of memory'", "посмотрите, что занимает память хоста: sudo dmesg | grep -i 'out of memory'";
    why_monitor_killed: "`{subject}` was ended with the container's monitor, which somebody killed", "`{subject}` завершена вместе с монитором контейнера, который кто-то убил";
    mend_monitor_killed: "perhaps the end of a log-in session, which does that here; this keeps yours: {advice}", "возможно, это сделал выход из системы: здесь он завершает и контейнеры; чтобы сеанс остался: {advice}";
    mend_monitor_killed_by_somebody: "start it again: minirun start {name}", "запустите снова: minirun start {name}";
    why_host_restarted: "`{subject}` ended with the host, which was started anew at {found}", "`{subject}` завершилась вместе с хостом, который был запущен заново в {found}";
    mend_host_restarted: "start it again: minirun start {name}", "запустите снова: minirun start {name}";
    why_went_to_background: "`{subject}` ended at once and without an error: perhaps it went to the background, and the container ended with its first process", "`{subject}` сразу завершилась без ошибки: возможно, она ушла в фон, а контейнер закончился вместе с первым процессом";
    mend_sent_to_background: "keep it in the foreground: leave out {found}", "оставьте её на переднем плане: уберите {found}";
    mend_went_to_background: "keep it in the foreground: {advice}", "оставьте её на переднем плане: {advice}";
    why_nothing_to_read: "`{subject}` is a shell that had nothing to read, so it ended at once; missing: {found}", "`{subject}` — оболочка, которой нечего читать, поэтому она сразу завершилась; не хватает: {found}";
    mend_nothing_to_read: "give it a terminal: minirun run {found} …", "дайте ей терминал: minirun run {found} …";
    why_grace_ran_out: "`minirun stop` sent {found} at {at}; `{subject}` was still there when its {grace} had run out, so minirun itself ended it by SIGKILL", "`minirun stop` послал {found} в {at}; `{subject}` всё ещё работала, когда истекли её {grace}, и minirun сам завершил её через SIGKILL";
    mend_grace_ran_out: "what stands in the way, `minirun why {name}` tells while it runs; if it only needs longer: --stop-timeout", "что мешает, скажет `minirun why {name}`, пока контейнер работает; если ему просто нужно больше времени: --stop-timeout";
    why_killed_by_signal: "`{subject}` was ended by {found}: {asked}", "`{subject}` завершена сигналом {found}: {asked}";
    mend_killed_by_signal: "start it again: minirun start {name}", "запустите снова: minirun start {name}";
    why_killed_from_elsewhere: "`{subject}` was ended by {found}, which minirun did not send", "`{subject}` завершена сигналом {found}, который послал не minirun";
    mend_killed_from_elsewhere: "somebody on the host sent it, the container itself did, or, with SIGKILL, the kernel for want of memory: sudo dmesg | grep -i 'killed process'", "его послал кто-то на хосте, сам контейнер или, если это SIGKILL, ядро из-за нехватки памяти: sudo dmesg | grep -i 'killed process'";
    why_crashed: "`{subject}` crashed: {found} ended it, which the kernel sends for what the program itself did", "`{subject}` аварийно завершилась: её остановил {found}, который ядро посылает за то, что сделала сама программа";
    mend_crashed_by_bus: "perhaps there was too little room in /dev/shm, which has {advice} bytes: --shm-size; or a bug in it: minirun logs {name}", "возможно, не хватило места в /dev/shm, где {advice} байт: --shm-size; или это ошибка в ней: minirun logs {name}";
    mend_crashed: "perhaps a bug in it, or a library that does not fit; see what it said: minirun logs {name}", "возможно, это ошибка в ней или неподходящая библиотека; посмотрите, что она сказала: minirun logs {name}";
    why_end_not_recorded: "`{subject}` ended with {code}: by {found}, or by an exit with that code; this was not recorded", "`{subject}` завершилась с кодом {code}: от {found} или выйдя с этим кодом; это не записано";
    mend_end_not_recorded: "start it again, and the next end will be recorded: minirun start {name}", "запустите снова, и следующий конец будет записан: minirun start {name}";
    why_shell_found_no_command: "`{subject}` ended with {code}, with which a shell says that it found no such command: {found}", "`{subject}` завершилась с кодом {code}, так оболочка говорит, что не нашла команды: {found}";
    mend_shell_found_no_command: "install the command in the image, or correct its name", "установите команду в образ или исправьте имя";
    why_shell_could_not_execute: "`{subject}` ended with {code}, with which a shell says that it could not execute a command: {found}", "`{subject}` завершилась с кодом {code}, так оболочка говорит, что не может запустить команду: {found}";
    mend_shell_could_not_execute: "make it executable: RUN chmod +x {advice}, or COPY --chmod=755", "сделайте исполняемой: RUN chmod +x {advice} или COPY --chmod=755";
    mend_shell_could_not_execute_somewhere: "perhaps it is not executable (RUN chmod +x), or was built for another machine", "возможно, она не исполняемая (RUN chmod +x) или собрана для другой машины";
    why_library_missing: "`{subject}` ended with {code}, perhaps for lack of a shared library: {found}", "`{subject}` завершилась с кодом {code}, возможно, из-за отсутствия библиотеки: {found}";
    mend_library_missing: "install the package that has the library", "установите пакет, в котором есть эта библиотека";
    why_module_missing: "`{subject}` ended with {code}, perhaps for lack of a module: {found}", "`{subject}` завершилась с кодом {code}, возможно, из-за отсутствия модуля: {found}";
    mend_module_missing: "install it in the image (pip install, npm ci, …), and see that no -v hides it", "установите его в образ (pip install, npm ci, …) и проверьте, не скрывает ли его -v";
    why_file_missing: "`{subject}` ended with {code}, perhaps for lack of a file: {found}", "`{subject}` завершилась с кодом {code}, возможно, из-за отсутствия файла: {found}";
    mend_file_missing: "see what the container has there: minirun where {name} {advice}", "посмотрите, что там есть в контейнере: minirun where {name} {advice}";
    mend_file_missing_somewhere: "see what the container has there: minirun where {name} PATH", "посмотрите, что там есть в контейнере: minirun where {name} ПУТЬ";
    why_variable_missing: "`{subject}` ended with {code}, perhaps for lack of a variable: {found}", "`{subject}` завершилась с кодом {code}, возможно, из-за отсутствия переменной: {found}";
    mend_variable_missing: "the container was not given it: {advice}", "контейнеру её не дали: {advice}";
    why_name_not_resolved: "`{subject}` ended with {code}, perhaps because a name has no address: {found}", "`{subject}` завершилась с кодом {code}, возможно, потому что у имени нет адреса: {found}";
    mend_name_not_resolved: "a name that only you know, such as another container's: --add-host NAME:ADDRESS; who is asked for all others: minirun run --rm --entrypoint cat {image} /etc/resolv.conf", "имя, известное только вам, например другого контейнера: --add-host ИМЯ:АДРЕС; у кого спрашивают остальные: minirun run --rm --entrypoint cat {image} /etc/resolv.conf";
    mend_name_by_dns: "it was created with {advice}, so it asks nobody else", "он создан с {advice} и больше никого не спрашивает";
    mend_name_without_network: "it was created with {advice}, so it can ask nobody", "он создан с {advice} и никого спросить не может";
    why_connection_refused: "`{subject}` ended with {code}, perhaps because nobody listens where it wanted to connect: {found}", "`{subject}` завершилась с кодом {code}, возможно, потому что там, куда она подключалась, никто не слушает: {found}";
    mend_connection_refused: "{advice} is the container itself: a service of the host or of another container is not there", "{advice} — это сам контейнер: службы хоста или другого контейнера там нет";
    mend_connection_refused_elsewhere: "see whether that service runs, and listens on the address that was asked for", "проверьте, работает ли та служба и слушает ли она этот адрес";
    why_read_only_file_system: "`{subject}` ended with {code}, perhaps because it wanted to write where nothing can be written: {found}", "`{subject}` завершилась с кодом {code}, возможно, потому что хотела писать туда, куда писать нельзя: {found}";
    mend_read_only_file_system: "its root is read-only; give it a place: {advice}, or a volume there", "его корень только для чтения; дайте место: {advice} или том там же";
    mend_read_only_somewhere: "give it a place: --tmpfs DIRECTORY, -v NAME:DIRECTORY", "дайте место: --tmpfs КАТАЛОГ, -v ИМЯ:КАТАЛОГ";
    mend_read_only_mount: "it was mounted read-only, by {advice}: create the container without that", "это смонтировано только для чтения, через {advice}: создайте контейнер без этого";
    mend_read_only_kernel: "{advice} belongs to the kernel, and may be written only with --privileged", "{advice} принадлежит ядру, писать туда можно только с --privileged";
    why_no_space_left: "`{subject}` ended with {code}, perhaps for lack of space: {found}", "`{subject}` завершилась с кодом {code}, возможно, из-за нехватки места: {found}";
    mend_no_space_left: "what takes it: minirun system df; /dev/shm has what --shm-size gives, --tmpfs what size= gives", "кто занял место: minirun system df; в /dev/shm его столько, сколько даёт --shm-size, в --tmpfs — сколько даёт size=";
    why_too_many_files: "`{subject}` ended with {code}, perhaps because it had too many files open: {found}", "`{subject}` завершилась с кодом {code}, возможно, потому что открыла слишком много файлов: {found}";
    mend_too_many_files: "the container was created with {advice}: allow more", "контейнер создан с {advice}: разрешите больше";
    mend_too_many_files_of_host: "allow more with --ulimit nofile=NUMBER, or find what leaves them open", "разрешите больше через --ulimit nofile=ЧИСЛО или найдите, что оставляет их открытыми";
    why_too_many_processes: "`{subject}` ended with {code}, perhaps because it may have no more processes: {found}", "`{subject}` завершилась с кодом {code}, возможно, потому что больше процессов ей нельзя: {found}";
    mend_too_many_processes: "the container was created with {advice}: allow more", "контейнер создан с {advice}: разрешите больше";
    mend_too_many_processes_of_host: "the host has a limit of its own for all of its user's processes: ulimit -u", "у хоста свой предел на все процессы пользователя: ulimit -u";
    why_address_in_use: "`{subject}` ended with {code}, perhaps because another process of the same network has its port or socket: {found}", "`{subject}` завершилась с кодом {code}, возможно, потому что её порт или сокет занят другим процессом той же сети: {found}";
    mend_address_in_use: "see what the container starts besides, or choose another port", "посмотрите, что ещё запускается в контейнере, или выберите другой порт";
    why_permission_denied: "`{subject}` ended with {code}, perhaps because it may not do what it wanted: {found}", "`{subject}` завершилась с кодом {code}, возможно, потому что не имеет права на то, что хотела: {found}";
    mend_permission_denied: "its user ≠ owner and mode of the file: {advice}; change one of them: --user, RUN chown, chmod, COPY --chown", "её пользователь ≠ владелец и права файла: {advice}; измените одно из двух: --user, RUN chown, chmod, COPY --chown";
    mend_permission_denied_somewhere: "if it wanted a file, compare who it is with whose that is: --user, RUN chown, chmod; if it wanted a right that a container lacks: --cap-add", "если ей нужен файл, сравните, кто она и чей он: --user, RUN chown, chmod; если нужно право, которого у контейнера нет: --cap-add";
    mend_set_user_id: "it was created with {advice}, with which no set-user-ID program gains rights", "он создан с {advice}, а с этим ни одна программа с set-user-ID не получает прав";
    why_configuration_rejected: "`{subject}` ended with {code}, perhaps because of its configuration: {found}", "`{subject}` завершилась с кодом {code}, возможно, из-за своих настроек: {found}";
    mend_configuration_rejected: "correct {advice} in the image, or mount another over it with -v", "исправьте {advice} в образе или смонтируйте другой поверх через -v";
    why_program_failed: "`{subject}` ended with {code}; it said: {found}", "`{subject}` завершилась с кодом {code}; она сказала: {found}";
    why_program_failed_silently: "`{subject}` ended with {code}, and said nothing", "`{subject}` завершилась с кодом {code} и ничего не сказала";
    mend_program_failed: "the code is the program's own; see what else it said: minirun logs {name}", "код — её собственный; посмотрите, что ещё она сказала: minirun logs {name}";
    mend_program_reports_signal: "the program itself exited with {code}; a shell does so when {advice} ended its command: perhaps that; see: minirun logs {name}", "программа сама вышла с кодом {code}; так выходит оболочка, когда её команду завершил {advice}: возможно, это оно; смотрите: minirun logs {name}";
    why_stopped: "`{subject}` (process {found} inside) is stopped by a signal, and does nothing until it is continued", "`{subject}` (процесс {found} внутри) остановлена сигналом и ничего не делает, пока её не продолжат";
    mend_stopped: "let it go on: {advice}", "пусть продолжает: {advice}";
    why_nothing_listens: "port {subject} does not answer: nothing in the container listens on any {found} port", "порт {subject} не отвечает: в контейнере никто не слушает ни одного порта {found}";
    why_nothing_listens_there: "port {subject} does not answer: nothing in the container listens on {advice}", "порт {subject} не отвечает: в контейнере никто не слушает {advice}";
    mend_nothing_listens: "see whether the server has started: minirun logs {name}", "посмотрите, запустился ли сервер: minirun logs {name}";
    why_listens_on_localhost: "port {subject} does not answer: the server listens on the container's own loopback only: {found}", "порт {subject} не отвечает: сервер слушает только собственный loopback контейнера: {found}";
    mend_listens_on_localhost: "tell the server to listen on 0.0.0.0", "велите серверу слушать 0.0.0.0";
    why_listens_elsewhere: "port {subject} does not answer: nothing listens there, but on: {found}", "порт {subject} не отвечает: там никто не слушает, зато слушают: {found}";
    mend_listens_elsewhere: "publish the port that the server listens on: {advice}", "откройте тот порт, который слушает сервер: {advice}";
    why_exposed_not_published: "port {subject} is only EXPOSEd, which opens nothing; missing: {found}", "порт {subject} указан только в EXPOSE, а это ничего не открывает; не хватает: {found}";
    mend_exposed_not_published: "create the container anew with {advice}", "создайте контейнер заново с {advice}";
    why_published_in_vain: "port {subject} is not published: the container has {found}", "порт {subject} не открыт: у контейнера {found}";
    mend_published_in_vain: "create the container anew without {found}", "создайте контейнер заново без {found}";
    why_ignores_sigterm: "`minirun stop` will wait {grace} in vain: the kernel gives {subject} to a first process only if that handles it, and `{found}` does not", "`minirun stop` будет напрасно ждать {grace}: ядро отдаёт {subject} первому процессу, только если тот его обрабатывает, а `{found}` — нет";
    mend_ignores_sigterm: "run it with {advice}, or let `{found}` handle the signal", "запустите с {advice} или пусть `{found}` обрабатывает сигнал";
    why_ignores_deliberately: "`minirun stop` will wait {grace} in vain: `{found}` ignores {subject}", "`minirun stop` будет напрасно ждать {grace}: `{found}` не обращает внимания на {subject}";
    mend_ignores_deliberately: "let `{found}` handle the signal, or choose one that it handles: --stop-signal", "пусть `{found}` обрабатывает сигнал, или выберите тот, который она обрабатывает: --stop-signal";
    why_shell_form: "`minirun stop` will wait {grace} in vain: the first process is a shell, which does not pass {subject} on to: {found}", "`minirun stop` будет напрасно ждать {grace}: первый процесс — оболочка, а она не передаёт {subject} дальше: {found}";
    mend_shell_form: "write the command as a list, CMD [\"…\"], or let the shell become it: {advice}", "запишите команду списком, CMD [\"…\"], или пусть оболочка станет ею: {advice}";
    why_script_without_exec: "`minirun stop` will wait {grace} in vain: the first process is still the script {found}, which does not pass {subject} on to what it started", "`minirun stop` будет напрасно ждать {grace}: первый процесс — всё ещё скрипт {found}, а он не передаёт {subject} тому, что запустил";
    mend_script_without_exec: "let the script become the program, in its last line: {advice}", "пусть в последней строке скрипт станет программой: {advice}";
    why_trap_waits: "`minirun stop` will wait, up to {grace}: the shell has a trap for {subject}, but runs it only when the command has ended that it waits for: {found}", "`minirun stop` будет ждать, вплоть до {grace}: у оболочки есть trap для {subject}, но она выполнит его, лишь когда закончится команда, которой она ждёт: {found}";
    mend_trap_waits: "start the command in the background and wait for it, which a signal interrupts: {found} & wait $!", "запустите команду в фоне и ждите её, это ожидание сигнал прервёт: {found} & wait $!";
    why_handler_does_not_exit: "`minirun stop` will perhaps wait {grace} in vain: what the shell does for {subject} does not seem to end it: trap '{found}'", "`minirun stop`, возможно, будет напрасно ждать {grace}: то, что оболочка делает по {subject}, её, похоже, не завершает: trap '{found}'";
    mend_handler_does_not_exit: "let the trap end with exit: trap '{found}; exit' {subject}", "пусть trap заканчивается на exit: trap '{found}; exit' {subject}";

    host_kernel_too_old: "{release} is too old", "{release} слишком старое";
    host_kernel_from: "a kernel from {oldest} on", "нужно ядро не старше {oldest}";
    host_no_seccomp: "not in this kernel: containers may use every system call", "в этом ядре нет: контейнерам доступны все системные вызовы";
    host_kernel_with_seccomp: "a kernel built with CONFIG_SECCOMP_FILTER", "нужно ядро, собранное с CONFIG_SECCOMP_FILTER";
    host_seccomp: "filters, and notifications", "фильтры и уведомления";
    host_seccomp_without_notifications: "filters, but no notifications, which a user with one id needs for chown", "фильтры, но без уведомлений, которые нужны для chown пользователю с одним id";
    host_way_out: "{program}, through {device}", "{program}, через {device}";
    host_no_way_out: "containers have no way out: neither slirp4netns nor pasta is installed; published ports work", "у контейнеров нет выхода наружу: не установлены ни slirp4netns, ни pasta; открытые порты работают";
    host_may_not_open: "{device} may not be opened by you", "вам нельзя открыть {device}";
    host_no_device: "containers have no way out: no {device}", "у контейнеров нет выхода наружу: нет {device}";
    host_low_ports: "80 and 443 can be published", "порты 80 и 443 можно открывать";
    host_ports_from: "published from {first} on; -p 80:80 is not yours to open", "открывать можно порты от {first}; -p 80:80 вам недоступен";
    host_choose_store: "choose a local directory: minirun --root DIR …, or MINIRUN_ROOT=DIR", "выберите локальный каталог: minirun --root КАТАЛОГ … или MINIRUN_ROOT=КАТАЛОГ";
    host_store_without_ids: "{place} is on {kind}, which keeps no files for the ids of containers", "{place} лежит на {kind}, где не бывает файлов с id контейнеров";
    host_little_room: "{place}: only {free} GB free", "{place}: свободно только {free} ГБ";
    host_see_usage: "minirun system df shows what is used", "что занято, покажет minirun system df";
    host_store: "{place}, on {kind}, {free} GB free", "{place}, на {kind}, свободно {free} ГБ";
    host_store_of_type: "{place}, on a file system of type {kind}, {free} GB free", "{place}, на файловой системе типа {kind}, свободно {free} ГБ";
    host_boot_unified: "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line", "загрузите ядро с параметром systemd.unified_cgroup_hierarchy=1";
    host_no_cgroup_v2: "no cgroup v2: --memory, --cpus and --pids-limit have no effect", "нет cgroup v2: --memory, --cpus и --pids-limit не действуют";
    host_cgroup_v1: "cgroup v1 has the controllers: --memory, --cpus and --pids-limit have no effect", "контроллеры у cgroup v1: --memory, --cpus и --pids-limit не действуют";
    host_log_in: "log in as this user (ssh, machinectl shell), so that a user session starts", "войдите в систему этим пользователем (ssh, machinectl shell), чтобы начался его сеанс";
    host_no_cgroup_delegated: "no cgroup is delegated to you: --memory, --cpus and --pids-limit have no effect", "вам не передана контрольная группа: --memory, --cpus и --pids-limit не действуют";
    host_nothing: "nothing", "ничего";
    host_cgroup_lacks: "cgroup v2 gives {given}, not {missing}", "cgroup v2 даёт {given}, но не {missing}";
    host_no_systemd: "no systemd on this host: limits need a cgroup delegated by hand", "на этом хосте нет systemd: для ограничений нужна контрольная группа, переданная вручную";
    host_no_user_systemd: "the user's systemd does not answer, and limits are asked of it", "systemd пользователя не отвечает, а ограничения запрашиваются у него";
    host_logind_kills: "logind ends what a session leaves behind, containers too (KillUserProcesses=yes in logind.conf)", "logind завершает всё, что остаётся после сеанса, и контейнеры тоже (KillUserProcesses=yes в logind.conf)";
    host_no_linger: "the user's systemd answers; it ends at the last log-out, and containers that have limits with it", "systemd пользователя отвечает; он закончится с последним выходом из системы, а с ним и контейнеры с ограничениями";
    host_lingers: "the user's systemd answers, and lingers after the last log-out", "systemd пользователя отвечает и остаётся после последнего выхода";
    host_namespace_used: "made and used, in a child", "создано и использовано, в дочернем процессе";
    host_kernel_with_namespaces: "a kernel built with CONFIG_NAMESPACES and all its kinds", "нужно ядро, собранное с CONFIG_NAMESPACES и всеми его видами";
    host_proc: "a new one can be mounted", "новую можно смонтировать";
    host_no_proc: "no new one can be mounted, as in a container of another engine that hides parts of its own", "новую нельзя смонтировать, как в контейнере другого движка, который скрывает части своей";
    host_start_with: "start that container with: --security-opt {option}", "запустите тот контейнер с: --security-opt {option}";
    host_no_room: "not tried: nothing can be made in the store", "не испытано: в хранилище ничего нельзя создать";
    host_overlay: "mounted in a user namespace", "смонтировано в пространстве имён пользователей";
    host_overlay_again: "mounted in a user namespace; that this store did without is forgotten", "смонтировано в пространстве имён пользователей; то, что хранилище обходилось без него, забыто";
    host_no_overlay: "{error}; {instead}", "{error}; {instead}";
    host_by_fuse: "fuse-overlayfs lays the layers instead, more slowly", "вместо этого слои накладывает fuse-overlayfs, медленнее";
    host_by_copy: "each container gets a copy of its image instead, which costs time and disk", "вместо этого каждый контейнер получает копию образа, а это время и диск";
    host_by_either: "fuse-overlayfs will do it instead if it is there, else each container gets a copy of its image", "вместо этого послужит fuse-overlayfs, если он есть, иначе каждый контейнер получит копию образа";
    host_mend_overlay: "a kernel from 5.11 on, or the store on ext4, xfs or btrfs: minirun --root DIR …", "нужно ядро не старше 5.11 или хранилище на ext4, xfs или btrfs: minirun --root КАТАЛОГ …";
    host_ids_shifted: "{first} to {last} of the host, for containers alone; `-v` and the store keep their owners", "с {first} по {last} на хосте, только для контейнеров; у `-v` и хранилища владельцы прежние";
    host_ids_of_root: "the host's own, so that a container's root is the host's: {why}", "идентификаторы самого хоста, так что root контейнера — это root хоста: {why}";
    host_ids_to_shift: "keep the store on ext4, xfs, btrfs or tmpfs, and use a kernel from 5.19 on", "держите хранилище на ext4, xfs, btrfs или tmpfs и возьмите ядро 5.19 или новее";
    host_one_id: "one, your own: {why}; owners of files in images are kept on record", "один, ваш собственный: {why}; владельцы файлов из образов хранятся отдельной записью";
    host_ids_not_tried: "{count} of a subordinate range; mapping them was not tried", "{count} из подчинённого диапазона; отображение не испытано";
    host_ids_of_range: "{count}: your own and a subordinate range, mapped by newuidmap", "{count}: ваш собственный и подчинённый диапазон, через newuidmap";
    host_no_range: "no range for you in {files}", "для вас нет диапазона в {files}";
    host_no_newuidmap: "newuidmap and newgidmap are missing", "нет newuidmap и newgidmap";
    host_no_new_privs: "start the shell you are in without no_new_privs: it makes newuidmap powerless", "запустите вашу оболочку без no_new_privs: с ним newuidmap бессилен";
    host_forbidden_for_all: "forbidden for everybody: user.max_user_namespaces is 0", "запрещено для всех: user.max_user_namespaces равен 0";
    host_namespaces_used_up: "all used up, here or in a namespace around us: user.max_user_namespaces is {limit}", "все израсходованы, здесь или в объемлющем пространстве имён: user.max_user_namespaces равен {limit}";
    host_kept_for_root: "kept for root: kernel.unprivileged_userns_clone is 0", "только для root: kernel.unprivileged_userns_clone равен 0";
    host_restricted_by_apparmor: "restricted by AppArmor: kernel.apparmor_restrict_unprivileged_userns is 1", "ограничено AppArmor: kernel.apparmor_restrict_unprivileged_userns равен 1";
    host_forbidden_by_seccomp: "forbidden by a seccomp filter, as in a container of another engine", "запрещено фильтром seccomp, как в контейнере другого движка";
    host_refused_silently: "refused without a word of why; a changed root directory (chroot) does that", "отказано без объяснений; так бывает при изменённом корневом каталоге (chroot)";
    host_refused_by_module: "refused by a security module", "отказано модулем безопасности";
    host_look_for_denial: "look for the denial: sudo dmesg | grep -iE 'apparmor|avc' | tail", "найдите отказ: sudo dmesg | grep -iE 'apparmor|avc' | tail";
    host_no_user_namespaces: "not in this kernel, which was built without CONFIG_USER_NS", "в этом ядре нет: оно собрано без CONFIG_USER_NS";
    host_can_run: "Containers can run here.", "Контейнеры здесь могут работать.";
    host_cannot_run: "Containers cannot run here yet.", "Контейнеры здесь пока не могут работать.";
    host_verdict_ok: "ok", "хорошо";
    host_verdict_note: "note", "заметка";
    host_verdict_lacks: "lacks", "нет";
    host_kernel: "kernel", "ядро";
    host_user_namespace: "user namespace", "пространство имён пользователей";
    host_limits: "limits", "ограничения";
    host_session: "user session", "сеанс пользователя";
    host_uplink: "way out", "выход наружу";
    host_ports: "ports", "порты";
    host_place: "store", "хранилище";

    size_from_layer: "{} in layer {}", "{} в слое {}";
    whiteout_in_layer: "whiteout: a layer still has it", "whiteout: в слое он остался";
    nothing_is_left: "no layer has it: nothing is left", "ни в одном слое его нет: ничего не осталось";
    in_a_volume: "in a volume, not in the layer", "в томе, не в слое";
    in_memory: "in memory (tmpfs), not in the layer", "в памяти (tmpfs), не в слое";
    layer_holds: "→ the writable layer holds {} on disk", "→ в слое для записи {} на диске";
    watch_begun: "watching what {} changes in: {}. Times are UTC; Ctrl-C ends this, not the container.", "наблюдаем, что меняет {} в: {}. Время по UTC; Ctrl-C остановит наблюдение, а не контейнер.";
    watched_volume: "volume {}", "том {}";
    watched_tmpfs: "tmpfs {}", "tmpfs {}";
    head_time: "TIME", "ВРЕМЯ";
    head_path: "PATH", "ПУТЬ";

    head_attempt: "FROM INSIDE", "ИЗНУТРИ";
    head_call: "CALL", "ВЫЗОВ";
    head_wall: "WALL", "СТЕНА";
    head_answer: "ANSWER", "ОТВЕТ";
    allowed: "goes through", "проходит";
    stopped: "stopped", "остановлено";
    done: "done", "сделано";
    not_tried: "not tried", "не испытано";
    and_also: ", and also: ", ", а также: ";
    wall_seccomp: "seccomp", "фильтр seccomp";
    wall_capability: "{}, which it does not have", "{}, которой у него нет";
    wall_user_namespace: "user namespace: root over the container only", "пространство имён пользователей: root только над контейнером";
    wall_pid_namespace: "PID namespace: the host's processes have no number here", "пространство имён PID: у процессов хоста здесь нет номеров";
    wall_own_pid_namespace: "PID namespace: it would end this container's processes only", "пространство имён PID: завершились бы только процессы этого контейнера";
    wall_mount_namespace: "mount namespace: there is no such name here", "пространство имён монтирования: такого имени здесь нет";
    wall_read_only: "mounted read-only", "смонтировано только для чтения";
    wall_masked: "masked: an empty file lies over it", "закрыто: поверх лежит пустой файл";
    wall_limit: "the limit of its control group: {} {}", "ограничение его контрольной группы: {} {}";
    wall_no_limit: "none: {} is not set", "нет: {} не задано";
    wall_no_controller: "none: {} was asked for, but this host does not give the controller (see: minirun doctor)", "нет: {} задано, но хост не даёт такого контроллера (смотрите: minirun doctor)";
    wall_not_in_this_kernel: "this kernel has none", "в этом ядре такого нет";
    wall_other: "the kernel itself", "само ядро";
    too_many_processes: "more processes than its limit", "больше процессов, чем его предел";
    too_much_memory: "more memory than its limit", "больше памяти, чем его предел";
    load_a_module: "load a kernel module", "загрузить модуль ядра";
    boot_another_kernel: "boot another kernel", "загрузить другое ядро";
    reboot: "reboot", "перезагрузить";
    set_the_clock: "set the clock", "перевести часы";
    mount: "mount a file system", "смонтировать файловую систему";
    make_a_device: "make a device", "создать устройство";
    open_a_disk: "open a disk of the host", "открыть диск хоста";
    signal_a_host_process: "signal a process of the host", "послать сигнал процессу хоста";
    write_into_a_layer: "write into a layer of the image", "писать в слой образа";
    set_a_kernel_parameter: "set a kernel parameter", "изменить параметр ядра";
    see_the_interrupts: "see the host's interrupts", "видеть прерывания хоста";
    change_its_network: "change its own network devices", "менять свои сетевые устройства";
    raise_a_limit: "raise a resource limit", "поднять ограничение ресурсов";
    load_a_bpf_program: "load a BPF program", "загрузить программу BPF";
    write_into_its_root: "write into its own root", "писать в собственный корень";
    give_a_file_away: "give a file to another user", "отдать файл другому пользователю";
    become_another_user: "become another user", "стать другим пользователем";
    open_a_raw_socket: "open a raw socket", "открыть «сырой» сокет";
    be_root_of_a_namespace: "make a user namespace", "создать пространство имён пользователей";

    step_user_namespace_joined: "all your containers share one user namespace, which process {} is in already", "у всех ваших контейнеров одно пространство имён пользователей, процесс {} уже в нём";
    step_user_namespace_made: "root inside is you outside", "root внутри — это вы снаружи";
    step_map: "first id inside, first id outside, how many; and so on", "первый id внутри, первый id снаружи, сколько; и так далее";
    step_network_namespace: "its own interfaces, addresses and ports", "собственные интерфейсы, адреса и порты";
    step_loopback_up: "127.0.0.1 answers inside, too", "127.0.0.1 отвечает и внутри";
    step_address: "an address of its own, which published ports lead to", "собственный адрес, к которому ведут открытые порты";
    step_device: "a way out: what carries its packets is started when the first one comes", "выход наружу: то, что понесёт пакеты, запускается с первым из них";
    step_low_ports: "its processes may listen on ports below 1024: they are its own", "его процессы могут слушать порты ниже 1024: эти порты его собственные";
    step_ping: "ping works without privileges", "ping работает без привилегий";
    step_sysctl: "a setting of its own namespaces", "настройка его собственных пространств имён";
    step_cgroup_limit: "what it may use of the host, at most", "сколько ему можно занять у хоста, не больше";
    step_clone: "the container's first process is born into new namespaces: it sees only itself", "первый процесс контейнера рождается в новых пространствах имён и видит только себя";
    step_join_namespaces: "a second process in the container of process {}", "ещё один процесс в контейнере процесса {}";
    step_session_keyring: "it gets an empty session keyring: it can neither read nor replace the keys of who started it", "он получает пустую связку ключей сеанса: ключи того, кто его запустил, ему не прочесть и не заменить";
    step_sibling: "it is born into the container's PID namespace only now, when nothing is left that could be taken from it", "он рождается в пространстве PID контейнера только теперь, когда у него уже нечего отнять";
    step_shifted_store: "its root is id {} of the host, which owns nothing there; through an idmapped mount the files of layers, which are root's on disk, are its own", "его root — идентификатор {} хоста, которому там ничего не принадлежит; через монтирование с отображением идентификаторов файлы слоёв, принадлежащие на диске root, становятся его";
    step_shifted_root: "it becomes the container's root, which is nobody on the host", "он становится root контейнера, который на хосте никто";
    step_cgroup_namespace: "it sees its own control group as the root of all", "свою контрольную группу он видит как корень всех";
    step_detach: "its mounts stay its own: none reaches the host", "его монтирования остаются у него: ни одно не попадёт на хост";
    step_overlay: "{} below, one writable directory on top; nothing is copied", "{} снизу, один каталог для записи сверху; ничего не копируется";
    step_volatile_overlay: "{} below, one writable directory on top; nothing is copied, and nothing waits for the disk, since all of it goes with the container", "{} снизу, один каталог для записи сверху; ничего не копируется, и ничто не ждёт диска: всё исчезнет вместе с контейнером";
    step_fuse_overlay: "the kernel gives no overlay here, but a program does: it answers for every file", "ядро здесь не даёт overlay, его даёт программа: она отвечает за каждый файл";
    step_copy_layers: "this host gives no overlay: the image's files are copied, once for each container", "этот хост не даёт overlay: файлы образа копируются, по разу на контейнер";
    step_root: "the layers as they were laid over each other", "слои, уже наложенные друг на друга";
    step_fill_volume: "a new volume starts with what the image has there", "новый том начинается с того, что на его месте в образе";
    step_link: "programs expect this name", "программы ждут этого имени";
    step_terminal: "a terminal of its own, not yours", "собственный терминал, не ваш";
    step_mask: "it tells of the whole host, not of the container", "это рассказывает обо всём хосте, а не о контейнере";
    step_read_only: "it sets the whole host, not the container", "это настраивает весь хост, а не контейнер";
    step_read_only_root: "you asked for --read-only", "вы попросили --read-only";
    step_pivot_root: "the overlay becomes /, and the host's tree is gone from sight", "overlay становится /, дерево хоста больше не видно";
    step_hostname: "its own name, in its own UTS namespace", "собственное имя в собственном пространстве имён UTS";
    step_make_directory: "the image's working directory must be there", "рабочий каталог образа должен существовать";
    step_session_of_terminal: "its terminal's Ctrl-C reaches its processes", "Ctrl-C его терминала доходит до его процессов";
    step_session: "signals from your terminal do not reach it by accident", "сигналы вашего терминала не дойдут до него случайно";
    step_limit: "a resource limit", "ограничение ресурса";
    step_bound_capabilities: "no program in it can ever gain more than these", "ни одна программа в нём никогда не получит больше этих";
    step_filter: "only the system calls that Docker allows too", "только те системные вызовы, что разрешает и Docker";
    step_filter_of_one_id: "there is one id only: changes of owner and user succeed without effect", "id только один: смена владельца и пользователя удаётся без последствий";
    step_same_root: "root in the container is root on the host too: what follows limits it", "root в контейнере — root и на хосте: его ограничит то, что дальше";
    step_root_user: "root in the container is an ordinary user on the host", "root в контейнере — обычный пользователь на хосте";
    step_user: "the user that the image or you named", "пользователь, которого назвали образ или вы";
    step_set_capabilities: "root here is root over the container only", "root здесь — root только над контейнером";
    step_no_new_privileges: "no set-user-ID program can add privileges", "никакая программа с set-user-ID не добавит привилегий";
    step_directory: "where the process starts", "здесь начинает процесс";
    step_reaping_init: "a small init reaps orphans and passes signals on", "маленький init подбирает сирот и передаёт сигналы";
    step_exec: "this process becomes yours; nothing of minirun stays in it", "этот процесс становится вашим; от minirun в нём ничего не остаётся";
    step_skipped: "skipped, nothing to do: {}", "пропущено, делать нечего: {}";
    skipped_missing: "there is no such path in this container", "в этом контейнере такого пути нет";
    skipped_unreachable: "nobody can reach it in this container", "в этом контейнере никому его не достать";
    skipped_exists: "it is there already", "это уже есть";
    skipped_not_empty: "the volume has something in it already", "в томе уже что-то есть";
    skipped_other: "the kernel has none of it here", "здесь у ядра этого нет";
    step_probe: "what a container should not be able to do is tried", "испытывается то, чего контейнер не должен мочь";

    mount_proc: "its own processes, as its PID namespace numbers them", "его собственные процессы, с номерами его пространства имён PID";
    mount_sysfs: "devices and its own network interfaces, to read", "устройства и собственные сетевые интерфейсы, для чтения";
    mount_dev: "a few harmless devices instead of the host's", "несколько безобидных устройств вместо устройств хоста";
    mount_devpts: "terminals of its own", "собственные терминалы";
    mount_shm: "shared memory of its own", "собственная разделяемая память";
    mount_mqueue: "POSIX message queues of its own IPC namespace", "очереди сообщений POSIX собственного пространства имён IPC";
    mount_cgroup: "its limits and usage, to read", "его ограничения и расход, для чтения";
    mount_device: "the host's device, which is harmless", "устройство хоста, безобидное";
    mount_apt_config: "for apt, which else would become another user, and here is one id only", "для apt: иначе он сменил бы пользователя, а id здесь только один";
    mount_resolv_conf: "where names are asked for", "у кого спрашивать имена";
    mount_hosts: "its own name", "его собственное имя";
    mount_bind: "a part of the host's tree that you asked for; it outlives the container", "часть дерева хоста, о которой вы попросили; она переживёт контейнер";
    mount_tmpfs: "memory that is gone when the container stops", "память, которая исчезнет, когда контейнер остановится";
    mount_other: "a file system of kind {}", "файловая система вида {}";

    script_head: "{} by hand: what `minirun run` and `minirun start` do, in the same order.", "{} вручную: то, что делают `minirun run` и `minirun start`, в том же порядке.";
    script_two: "Save it as a file and run that: sh FILE. Ctrl-C ends it, and it removes what it made.", "Сохраните в файл и запустите: sh ФАЙЛ. Ctrl-C завершит его, и он уберёт за собой.";
    script_outside: "the process that you start", "процесс, который запускаете вы";
    script_inside: "the process in the container, which becomes its program", "процесс в контейнере, который станет его программой";
    script_born: "Starts a command in new namespaces: it says which process it is, and waits until its ids are mapped.", "Запускает команду в новых пространствах имён: она сообщает номер своего процесса и ждёт, пока отобразят её id.";
    script_remove: "Only root of the same ids may remove what belongs to them.", "Удалить файлы этих id может только root тех же id.";
    by_hand_from_outside: "from outside: beyond the new root there is no program of the host to do it", "снаружи: за новым корнем нет программ хоста, чтобы это сделать";
    not_by_hand: "not by hand", "не вручную";
    by_hand_filter: "setpriv sets no_new_privs with it", "setpriv ставит вместе с ним no_new_privs";
    no_filter_option: "this setpriv has no --seccomp-filter (util-linux 2.40 has it): going on without the filter", "у этого setpriv нет --seccomp-filter (есть в util-linux 2.40): дальше без фильтра";
    not_by_hand_keyring: "not by hand: no program of util-linux does it; keyctl(1) does", "вручную нельзя: в util-linux такой программы нет; это умеет keyctl(1)";
    not_by_hand_shifted: "minirun gives root's container ids that nobody else has, through idmapped mounts; by hand it has the host's", "minirun даёт контейнеру root идентификаторы, которых нет ни у кого, через монтирования с отображением; вручную у него идентификаторы хоста";
    not_by_hand_terminal: "it stays on yours: script -c would give it one of its own", "остаётся на вашем: собственный дал бы script -c";
    not_by_hand_ports: "not by hand: the monitor forwards published ports, and carries packets out", "не вручную: открытые порты и пакеты наружу обслуживает монитор";
    not_by_hand_session: "left out: so your Ctrl-C reaches it", "опущено: так до него доходит ваш Ctrl-C";
    not_by_hand_limit: "in the host's tree: echo {} > {}", "в дереве хоста: echo {} > {}";

    image_id: "image id", "номер образа";
    image_names: "names", "имена";
    image_created: "made", "создан";
    platform: "platform", "платформа";
    layers: "layers", "слои";
    layers_on_disk: "on disk", "на диске";
    entrypoint: "ENTRYPOINT", "ENTRYPOINT";
    cmd: "CMD", "CMD";
    default_env: "ENV", "ENV";
    default_user: "USER", "USER";
    default_workdir: "WORKDIR", "WORKDIR";
    exposed_ports: "EXPOSE", "EXPOSE";
    declared_volumes: "VOLUME", "VOLUME";
    labels: "LABEL", "LABEL";
    container_id: "container id", "номер контейнера";
    container_name: "name", "имя";
    container_created: "created", "создан";
    image: "of image", "из образа";
    entrypoint_option: "--entrypoint", "--entrypoint";
    command: "command", "команда";
    added_env: "variables added", "добавленные переменные";
    added_labels: "labels added", "добавленные метки";
    ids: "uid:gid inside", "uid:gid внутри";
    groups: "groups inside", "группы внутри";
    workdir: "starts in", "начинает в";
    hostname: "host name", "имя хоста";
    network: "network", "сеть";
    published_ports: "published ports", "открытые порты";
    dns_servers: "name servers", "серверы имён";
    added_hosts: "hosts added", "добавленные хосты";
    mounts: "mounts", "монтирования";
    tmpfs_mounts: "in memory (tmpfs)", "в памяти (tmpfs)";
    shm_size: "size of /dev/shm", "размер /dev/shm";
    read_only_root: "root read-only", "корень только для чтения";
    privileged: "privileged", "привилегированный";
    capabilities_added: "capabilities added", "добавленные capabilities";
    capabilities_dropped: "capabilities dropped", "убранные capabilities";
    no_new_privileges: "no new privileges", "без новых привилегий";
    seccomp_unconfined: "without seccomp filter", "без фильтра seccomp";
    memory_limit: "memory, at most", "память, не больше";
    cpus_limit: "processors, at most", "процессоры, не больше";
    processes_limit: "processes, at most", "процессов, не больше";
    ulimits: "resource limits", "ограничения ресурсов";
    reaping_init: "small init (--init)", "маленький init (--init)";
    terminal: "terminal of its own", "собственный терминал";
    stdin_open: "standard input open", "стандартный ввод открыт";
    stop_signal: "asked to stop by", "сигнал остановки";
    stop_timeout: "seconds to stop", "секунд на остановку";
    goes_when_it_ends: "removed as it ends", "удаляется по окончании";
    writable_directory: "writable layer", "слой для записи";
    writable_on_disk: "its size on disk", "его размер на диске";
    first_process: "first process, on the host", "первый процесс, на хосте";
    first_process_inside: "first process, inside", "первый процесс, внутри";
    processes: "processes", "процессов";
    started: "started", "запущен";
    monitor: "its monitor", "его монитор";
    namespaces: "namespaces", "пространства имён";
    addresses: "addresses", "адреса";
    listening: "listens on", "слушает";
    memory: "memory of its own", "собственная память";
    cgroup: "control group", "контрольная группа";

    file: "file", "файл";
    directory: "directory", "каталог";
    link: "link to {}", "ссылка на {}";
    device: "device", "устройство";
    pipe_or_socket: "pipe or socket", "канал или сокет";
    deleted_here: "deleted here (whiteout)", "удалён здесь (whiteout)";
    parent_deleted_here: "deleted here with {} (whiteout)", "удалён здесь вместе с {} (whiteout)";
    made_anew: "directory made anew here, hides those below", "каталог создан здесь заново и скрывает нижние";
    copied_up: "copied up from layer {}, then changed", "скопирован наверх из слоя {}, затем изменён";
    written_anew: "written anew over layer {}", "записан заново поверх слоя {}";
    hidden: "{}, hidden", "{}, не виден";
    hidden_by: "hidden by {}, made anew here", "скрыт каталогом {}, созданным здесь заново";
    from_host: "from the host, over the layers", "с хоста, поверх слоёв";
    from_kernel: "from the kernel, over the layers", "от ядра, поверх слоёв";
    seen_in: "{} in {} comes from: {}", "{} в {} берётся отсюда: {}";
    hidden_but_held: "{} is hidden in {}, and still takes its room in: {}", "{} в {} не виден, но всё ещё занимает место здесь: {}";
    covered_but_held: "{} is not in {}: what is mounted there does not have it, and hides what is in: {}", "{} в {} нет: там смонтировано другое, оно скрывает то, что лежит здесь: {}";
    replaced_by: "hidden by {}, which is no directory here", "скрыт: {} здесь не каталог";
    not_in_mount: "not in what is mounted here", "нет в том, что здесь смонтировано";
    only_while_it_runs: "there only while it runs", "есть, только пока он работает";
    deleted_but_held: "{} is deleted in {}, and still takes its room in: {}", "{} в {} удалён, но всё ещё занимает место здесь: {}";
    through_link: "{} is a link to {}", "{} — ссылка на {}";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_the_same_in_both_languages() {
        for (name, english, russian) in ALL {
            assert_eq!(english.matches("{}").count(), russian.matches("{}").count(), "{name}");
            assert_eq!(places(english), places(russian), "{name}");
            let is_russian = russian.chars().any(|c| ('а'..='я').contains(&c.to_lowercase().next().unwrap_or(c)));
            // Words of a Dockerfile are the same everywhere.
            assert_eq!(english != russian, is_russian, "{name}: {russian}");
        }
    }

    /// The names of the places in a text.
    fn places(text: &str) -> std::collections::BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect()
    }

    #[test]
    fn values_in_their_places() {
        let values = [("subject", "a {found}"), ("found", "b")];
        assert_eq!(place("{found}: {subject} {other} { {found", &values), "b: a {found} {other} { {found");
    }

    #[test]
    fn counted_nouns() {
        let russian = |n| Language::Russian.count(n, ENTRIES);
        assert_eq!(
            [1, 2, 5, 11, 12, 21, 104, 111].map(russian).join(", "),
            "1 запись, 2 записи, 5 записей, 11 записей, 12 записей, 21 запись, 104 записи, 111 записей"
        );
        assert_eq!(Language::English.count(1, LAYERS), "1 layer");
        assert_eq!(Language::English.count(0, LAYERS), "0 layers");
    }
}
