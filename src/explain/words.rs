//! What the explaining commands say, in each language that they speak. A text that one language lacks does not compile.

use crate::diag::printable;

/// A language that the explaining commands speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Russian,
}

impl Language {
    /// As the environment asks for it (locale(7)).
    pub fn of_locale() -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        if set.is_some_and(|locale| locale.starts_with("ru")) { Self::Russian } else { Self::English }
    }

    pub fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Russian => &RUSSIAN,
        }
    }

    /// `3 files`: a number with the form of its noun.
    pub fn count(self, number: u64, noun: Noun) -> String {
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
pub struct Noun {
    english: &'static [&'static str],
    russian: &'static [&'static str],
}

pub const ENTRIES: Noun =
    Noun { english: &["entry", "entries"], russian: &["запись", "записи", "записей"] };
pub const IMAGES: Noun =
    Noun { english: &["other image", "other images"], russian: &["образ", "образа", "образов"] };
pub const READ_ONLY_LAYERS: Noun = Noun {
    english: &["read-only layer", "read-only layers"],
    russian: &["слой только для чтения", "слоя только для чтения", "слоёв только для чтения"],
};
pub const FILES: Noun = Noun { english: &["file", "files"], russian: &["файл", "файла", "файлов"] };
pub const PROCESSES: Noun =
    Noun { english: &["process", "processes"], russian: &["процесс", "процесса", "процессов"] };
pub const LAYERS: Noun = Noun { english: &["layer", "layers"], russian: &["слой", "слоя", "слоёв"] };

/// Puts values in the places of `{}`, in their order. Values may come from a stranger's image: a terminal obeys none.
pub fn fill(text: &str, values: &[&dyn std::fmt::Display]) -> String {
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (part, value) in parts.zip(values) {
        filled += &printable(&value.to_string());
        filled += part;
    }
    filled
}

macro_rules! words {
    ($($name:ident: $english:literal, $russian:literal;)*) => {
        /// Every text, in one language.
        pub struct Words { $(pub $name: &'static str,)* }

        impl Words {
            /// Their names, in the order in which they are told.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// The text of this name.
            pub fn get(&self, name: &str) -> Option<&'static str> {
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
    from_entrypoint_option: "from --entrypoint", "из --entrypoint";
    from_image_entrypoint: "from the image's ENTRYPOINT", "из ENTRYPOINT образа";
    from_command_line: "from the command line", "из командной строки";
    from_image_cmd: "from the image's CMD", "из CMD образа";
    ended_well: "{} ended with {}: its first process had done its work, and a container ends with that.", "{} завершился с кодом {}: первый процесс сделал своё дело, а контейнер заканчивается вместе с ним.";
    runs_well: "{} runs, and nothing here tells of trouble.", "{} работает, и ничто здесь не говорит о неполадках.";
    was_never_started: "{} was created, and never started.", "{} создан, но ни разу не запускался.";

    why_command_not_found: "`{}` is nowhere in the image; looked for in: {}", "`{}` нет в образе; искали в: {}";
    mend_command_not_found: "install it in the image, or name another program; looked for in: {}", "установите её в образ или назовите другую программу; искали в: {}";
    why_not_executable: "`{}` is there, but is no program that may be executed: {}", "`{}` есть, но не является программой, которую можно запустить: {}";
    mend_not_executable: "RUN chmod +x it, or COPY --chmod=755 (now: {})", "RUN chmod +x или COPY --chmod=755 (сейчас: {})";
    why_interpreter_missing: "`{}` asks for {}, which the image does not have", "`{}` требует {}, а в образе этого нет";
    mend_interpreter_missing: "install {}; or, for a program made for another C library (glibc, musl), build it for this one", "установите {}; а программу, собранную для другой библиотеки C (glibc, musl), соберите для этой";
    why_script_has_crlf: "`{}` has the line ends of Windows, so its interpreter's name ends in a character that no file has: {}", "в `{}` концы строк Windows, поэтому имя интерпретатора кончается символом, которого нет ни у одного файла: {}";
    mend_script_has_crlf: "save it with LF line ends: sed -i 's/\\r$//' FILE (now: {})", "сохраните с концами строк LF: sed -i 's/\\r$//' ФАЙЛ (сейчас: {})";
    why_wrong_architecture: "`{}` was made for another processor: {}", "`{}` собрана для другого процессора: {}";
    mend_wrong_architecture: "pull or build the image for this machine's platform, not {}", "возьмите или соберите образ для платформы этой машины, а не {}";
    why_port_taken: "port {} of this host is taken by {}", "порт {} этого хоста занят: {}";
    mend_port_taken: "publish on another port of the host with -p, or end what has it: {}", "откройте через -p другой порт хоста или завершите того, кто его занял: {}";
    why_port_privileged: "port {} of this host is for root: an ordinary user has those from {} on", "порт {} этого хоста — только для root: обычному пользователю доступны порты от {}";
    mend_port_privileged: "publish on port {} of the host or a higher one: -p 8080:80", "откройте порт хоста {} или выше: -p 8080:80";
    why_could_not_start: "{} could not be started: {}", "{} не удалось запустить: {}";
    mend_could_not_start: "see each step: minirun run --explain ({})", "посмотрите каждый шаг: minirun run --explain ({})";
    why_out_of_memory: "`{}` wanted more memory than --memory allows, {} bytes, so the kernel killed it", "`{}` хотела больше памяти, чем позволяет --memory, {} байт, и ядро её убило";
    mend_out_of_memory: "give it more than {} bytes with --memory, or find what takes so much", "дайте ей больше {} байт через --memory или найдите, что столько занимает";
    why_monitor_killed: "`{}` was ended with the container's monitor, from outside: {}", "`{}` завершена вместе с монитором контейнера, извне: {}";
    mend_monitor_killed: "the end of a log-in session does that too, and this keeps yours: loginctl enable-linger ({})", "так бывает и при выходе из системы; чтобы сеанс остался: loginctl enable-linger ({})";
    why_went_to_background: "`{}` went to the background, so the first process ended, and the container with it; missing: {}", "`{}` ушла в фон, первый процесс завершился, а с ним и контейнер; не хватает: {}";
    mend_went_to_background: "keep it in the foreground: {}", "оставьте её на переднем плане: {}";
    why_nothing_to_read: "`{}` is a shell that had nothing to read, so it ended at once; missing: {}", "`{}` — оболочка, которой нечего читать, поэтому она сразу завершилась; не хватает: {}";
    mend_nothing_to_read: "give it a terminal: minirun run {} …", "дайте ей терминал: minirun run {} …";
    why_killed_by_signal: "`{}` was ended by the signal {}", "`{}` завершена сигналом {}";
    mend_killed_by_signal: "it comes from stop, kill, or the host, not from the program itself (this: {})", "он приходит от stop, kill или хоста, а не от самой программы (здесь: {})";
    why_crashed: "`{}` crashed: the kernel ended it by {}, for something that the program itself did", "`{}` аварийно завершилась: ядро послало {} из-за того, что сделала сама программа";
    mend_crashed: "see what it said: minirun logs; often a bug, or a library that does not fit ({})", "посмотрите, что она сказала: minirun logs; часто это ошибка в ней или неподходящая библиотека ({})";
    why_shell_found_no_command: "`{}` ended with 127: a shell did not find the command; its last words: {}", "`{}` завершилась с кодом 127: оболочка не нашла команду; её последние слова: {}";
    mend_shell_found_no_command: "install it in the image, or mend its name: {}", "установите её в образ или исправьте имя: {}";
    why_shell_could_not_execute: "`{}` ended with 126: a shell may not execute the command; its last words: {}", "`{}` завершилась с кодом 126: оболочка не может запустить команду; её последние слова: {}";
    mend_shell_could_not_execute: "RUN chmod +x it, or build it for this machine: {}", "RUN chmod +x или соберите её для этой машины: {}";
    why_library_missing: "`{}` needs a shared library that the image does not have; its last words: {}", "`{}` нужна библиотека, которой нет в образе; последние слова: {}";
    mend_library_missing: "install the package that has it: {}", "установите пакет, в котором она есть: {}";
    why_read_only_file_system: "`{}` wants to write where nothing can be written; its last words: {}", "`{}` хочет писать туда, куда писать нельзя; последние слова: {}";
    mend_read_only_file_system: "give it a place: --tmpfs DIRECTORY, -v NAME:DIRECTORY, or leave out --read-only ({})", "дайте место: --tmpfs КАТАЛОГ, -v ИМЯ:КАТАЛОГ или уберите --read-only ({})";
    why_no_space_left: "`{}` found no space to write; its last words: {}", "`{}` не нашла места для записи; последние слова: {}";
    mend_no_space_left: "what takes it: minirun system df; /dev/shm has what --shm-size gives, --tmpfs what size= gives ({})", "кто занял место: minirun system df; в /dev/shm его столько, сколько даёт --shm-size, в --tmpfs — сколько даёт size= ({})";
    why_address_in_use: "`{}` wants a port or socket that another process of the same network has; its last words: {}", "`{}` нужен порт или сокет, занятый другим процессом той же сети; последние слова: {}";
    mend_address_in_use: "end that process, or choose another port ({})", "завершите тот процесс или выберите другой порт ({})";
    why_permission_denied: "`{}` may not do what it wants to; its last words: {}", "`{}` не имеет права на то, что хочет; последние слова: {}";
    mend_permission_denied: "compare who it is with whose the file is: USER or --user, and RUN chown, chmod or COPY --chown ({})", "сравните, кто она и чей файл: USER или --user и RUN chown, chmod или COPY --chown ({})";
    why_configuration_rejected: "`{}` ended with an error, and its last words name a file of its configuration: {}", "`{}` завершилась с ошибкой, и её последние слова называют файл настроек: {}";
    mend_configuration_rejected: "mend that file in the image, or mount another over it with -v: {}", "исправьте этот файл в образе или смонтируйте другой поверх через -v: {}";
    why_program_failed: "`{}` itself ended with code {}", "`{}` сама завершилась с кодом {}";
    mend_program_failed: "see what it said: minirun logs (code {} is the program's own)", "посмотрите, что она сказала: minirun logs (код {} — её собственный)";
    why_nothing_listens: "port {} does not answer: nothing in the container listens on any {} port", "порт {} не отвечает: в контейнере никто не слушает ни одного порта {}";
    mend_nothing_listens: "see whether the server has started: minirun logs (it has no {} socket)", "посмотрите, запустился ли сервер: minirun logs (сокета {} нет)";
    why_listens_on_localhost: "port {} does not answer: the server listens on the container's own loopback only: {}", "порт {} не отвечает: сервер слушает только собственный loopback контейнера: {}";
    mend_listens_on_localhost: "tell the server to listen on 0.0.0.0 (now: {})", "велите серверу слушать 0.0.0.0 (сейчас: {})";
    why_listens_elsewhere: "port {} does not answer: nothing listens there, but on: {}", "порт {} не отвечает: там никто не слушает, зато слушают: {}";
    mend_listens_elsewhere: "publish the port that the server listens on: {}", "откройте тот порт, который слушает сервер: {}";
    why_exposed_not_published: "port {} is only EXPOSEd, which opens nothing; missing: {}", "порт {} указан только в EXPOSE, а это ничего не открывает; не хватает: {}";
    mend_exposed_not_published: "create the container anew with {}", "создайте контейнер заново с {}";
    why_ignores_sigterm: "`minirun stop` will take its whole ten seconds: the kernel gives {} to a first process only if that handles it, and `{}` does not", "`minirun stop` займёт все десять секунд: ядро отдаёт {} первому процессу, только если тот его обрабатывает, а `{}` — нет";
    mend_ignores_sigterm: "run it with --init, or let `{}` handle the signal", "запустите с --init или пусть `{}` обрабатывает сигнал";
    why_shell_form: "`minirun stop` will take its whole ten seconds: the first process is a shell, which does not pass {} on to: {}", "`minirun stop` займёт все десять секунд: первый процесс — оболочка, а она не передаёт {} дальше: {}";
    mend_shell_form: "write the command as a list, CMD [\"…\"], or begin it with exec: {}", "запишите команду списком, CMD [\"…\"], или начните её с exec: {}";

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
            let is_russian = russian.chars().any(|c| ('а'..='я').contains(&c.to_lowercase().next().unwrap_or(c)));
            // Words of a Dockerfile are the same everywhere.
            assert_eq!(english != russian, is_russian, "{name}: {russian}");
        }
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
