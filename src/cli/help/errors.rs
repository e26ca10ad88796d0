//! `minirun help E0101`: the cause of an error, and an experiment that shows it.

use crate::cli::human::wrapped;
use crate::diag::ErrorCode;

/// What is said about an error.
struct Page {
    title: &'static str,
    cause: &'static str,
    /// Commands that bring the error about; the last one meets it.
    experiment: &'static [&'static str],
    /// Commands or words that mend it.
    remedy: &'static [&'static str],
}

/// Returns the page of the code that is the only word.
pub(crate) fn page_of_error(words: &[&str]) -> Option<String> {
    let [word] = words else { return None };
    ErrorCode::ALL.iter().find(|code| code.text().eq_ignore_ascii_case(word)).map(|code| page(*code))
}

/// Returns a page for a terminal of 80 columns.
fn page(code: ErrorCode) -> String {
    let Page { title, cause, experiment, remedy } = text(code);
    let lines = |lines: &[&str]| lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
    let cause = wrapped(cause, 78).join("\n");
    format!("{}: {title}\n\n{cause}\n\nSee it:\n{}\nMend it:\n{}", code.text(), lines(experiment), lines(remedy))
}

/// Returns the list of all codes.
pub(crate) fn list() -> String {
    ErrorCode::ALL.iter().map(|code| format!("{}  {}\n", code.text(), text(*code).title)).collect()
}

/// Returns the commands that bring an error about.
pub fn experiment(code: ErrorCode) -> &'static [&'static str] {
    text(code).experiment
}

fn text(code: ErrorCode) -> Page {
    match code {
        ErrorCode::NoContainer => Page {
            title: "no such container",
            cause: "No container has this name or ID. A container keeps its name until it is removed, also after it has ended; \
                    with --rm it is removed when it ends.",
            experiment: &["minirun run --rm --name gone alpine true", "minirun logs gone"],
            remedy: &["minirun ps -a", "minirun run --name gone alpine true   (without --rm its log stays)"],
        },
        ErrorCode::NotRunning => Page {
            title: "container is not running",
            cause: "A container runs as long as its first process. When that process ends, so does the container, and nothing \
                    can be executed in it.",
            experiment: &["minirun run --name short alpine true", "minirun exec short sh"],
            remedy: &["minirun why short", "minirun start short"],
        },
        ErrorCode::NameTaken => Page {
            title: "the name is in use",
            cause: "A name belongs to one container from its creation until it is removed, also while it does not run.",
            experiment: &["minirun create --name web alpine", "minirun create --name web alpine"],
            remedy: &["minirun rm web", "minirun rename web old"],
        },
        ErrorCode::StillRunning => Page {
            title: "cannot remove a running container",
            cause: "Removing a container deletes its writable layer. While its processes run they use that layer.",
            experiment: &["minirun run -d --name busy alpine sleep 100", "minirun rm busy"],
            remedy: &["minirun stop busy && minirun rm busy", "minirun rm -f busy"],
        },
        ErrorCode::ProgramNotFound => Page {
            title: "the command does not exist in the container",
            cause: "The command after the image's name is looked up in the container's files, along its PATH. Programs of the \
                    host are not there. The exit code is 127.",
            experiment: &["minirun run --name nothing alpine no-such-program"],
            remedy: &["minirun why nothing", "minirun run --rm alpine ls /bin"],
        },
        ErrorCode::NotExecutable => Page {
            title: "the command cannot be executed",
            cause: "The file is there, but it is a directory, has no execute permission, or is a program for another \
                    processor. The exit code is 126.",
            experiment: &["minirun run --name no-program alpine /etc"],
            remedy: &["minirun why no-program", "RUN chmod +x FILE, in the Dockerfile"],
        },
        ErrorCode::PortTaken => Page {
            title: "a port of the host is taken",
            cause: "A port of an address of the host can be listened on by one program at a time: another container, or a \
                    program of the host.",
            experiment: &[
                "minirun run -d --name first -p 127.0.0.1:18080:80 alpine sleep 100",
                "minirun run -d --name second -p 127.0.0.1:18080:80 alpine sleep 100",
            ],
            remedy: &["minirun ps", "minirun run -d -p 127.0.0.1:18081:80 alpine sleep 100"],
        },
        ErrorCode::PortPrivileged => Page {
            title: "a port of the host is reserved for root",
            cause: "The kernel lets only root listen on ports below net.ipv4.ip_unprivileged_port_start, usually 1024. A \
                    container's root is not the host's root. Ports inside a container are free to use.",
            experiment: &["minirun run --rm -p 80:80 alpine true"],
            remedy: &[
                "minirun run --rm -p 8080:80 alpine true",
                "sysctl -w net.ipv4.ip_unprivileged_port_start=80   (as root)",
            ],
        },
        ErrorCode::NoTerminal => Page {
            title: "standard input is not a terminal",
            cause: "-t gives the container a terminal and connects it with yours. In a script or a pipe there is none.",
            experiment: &["echo date | minirun run --rm -it alpine sh"],
            remedy: &["echo date | minirun run --rm -i alpine sh"],
        },
        ErrorCode::NoImage => Page {
            title: "no such image",
            cause: "No image in the store has this name, or an ID that begins so. A name without a tag means :latest. Only \
                    run, create and build pull what is missing.",
            experiment: &["minirun history no-such-image"],
            remedy: &["minirun images", "minirun pull alpine"],
        },
        ErrorCode::ImageInUse => Page {
            title: "the image is used by a container",
            cause: "A container's files are the image's layers with a writable one on top: without the image it has none. This \
                    holds for stopped containers too.",
            experiment: &["minirun create --name user alpine", "minirun rmi alpine"],
            remedy: &["minirun rm user", "minirun rmi -f alpine   (only the name goes)"],
        },
        ErrorCode::ManyNames => Page {
            title: "the image has several names",
            cause: "An ID stands for the image with all of its names, so removing it by ID would remove them all.",
            experiment: &["minirun tag alpine second", "minirun rmi $(minirun images -q alpine)"],
            remedy: &["minirun rmi second", "minirun rmi -f $(minirun images -q alpine)"],
        },
        ErrorCode::PullDenied => Page {
            title: "pull access denied",
            cause: "The registry shows this repository to nobody, or not to you. Most registries answer so for names that do \
                    not exist, too, so that private names stay private.",
            experiment: &["minirun pull no-such-user/no-such-repository"],
            remedy: &["minirun search NAME", "minirun login"],
        },
        ErrorCode::NoManifest => Page {
            title: "the repository has no such tag",
            cause: "The repository exists, but it has no image with this tag or digest.",
            experiment: &["minirun pull alpine:no-such-tag"],
            remedy: &["minirun pull alpine:latest"],
        },
        ErrorCode::Limited => Page {
            title: "too many requests",
            cause: "The registry counts pulls for each address or account, and this one has used its share of the hour.",
            experiment: &["minirun pull alpine   (some hundred times within six hours)"],
            remedy: &["minirun login", "minirun run --pull never alpine"],
        },
        ErrorCode::PushDenied => Page {
            title: "you may not push there",
            cause: "The part before the slash of a name on Docker Hub is an account. Only that account, logged in, may push.",
            experiment: &["minirun tag alpine somebody/else", "minirun push somebody/else"],
            remedy: &["minirun login -u me", "minirun tag alpine me/else && minirun push me/else"],
        },
        ErrorCode::Unreachable => Page {
            title: "the server cannot be reached",
            cause: "Nothing answers at this address: no network, a wrong name or port, a proxy, or a firewall.",
            experiment: &["minirun pull localhost:1/app"],
            remedy: &[
                "minirun doctor",
                "curl -v https://registry-1.docker.io/v2/",
                "export HTTPS_PROXY=http://PROXY:PORT",
            ],
        },
        ErrorCode::Dockerfile => Page {
            title: "the Dockerfile has a mistake",
            cause: "The whole file is read before the first step runs. The message names line and column.",
            experiment: &["printf 'FROM alpine\\nRUNN true\\n' | minirun build -"],
            remedy: &["minirun build --check ."],
        },
        ErrorCode::RunFailed => Page {
            title: "a RUN ended with an error",
            cause: "A command of a RUN ended with another exit code than 0. Its last lines stand above the error. What the \
                    steps before it made is kept.",
            experiment: &["printf 'FROM alpine\\nRUN false\\n' | minirun build -"],
            remedy: &["minirun build --debug .   (a shell in the state before the step)", "RUN command || true"],
        },
        ErrorCode::NoDockerfile => Page {
            title: "there is no Dockerfile",
            cause: "build reads the file Dockerfile or Containerfile in the context, the directory that is its last argument.",
            experiment: &["mkdir -p empty", "minirun build empty"],
            remedy: &["minirun build -f path/to/Dockerfile ."],
        },
        ErrorCode::UnknownCommand => Page {
            title: "unknown command",
            cause: "minirun has no command of this name. For names of Docker and Podman the hint says what to do instead.",
            experiment: &["minirun frobnicate"],
            remedy: &["minirun help"],
        },
        ErrorCode::UnknownFlag => Page {
            title: "unknown flag",
            cause: "The command has no such flag. Flags of run stand before the image; what follows it is the container's.",
            experiment: &["minirun ps --frobnicate"],
            remedy: &["minirun ps --help"],
        },
        ErrorCode::ArgumentCount => Page {
            title: "too few or too many arguments",
            cause: "The command needs more arguments than it was given, or fewer.",
            experiment: &["minirun exec web"],
            remedy: &["minirun exec -it web sh", "minirun help exec"],
        },
        ErrorCode::NoUserNamespace => Page {
            title: "no user namespace can be created",
            cause: "Containers without root stand on user namespaces (user_namespaces(7)). This host forbids them, by a \
                    setting, by AppArmor, or since minirun runs in a container itself.",
            experiment: &["sysctl -w user.max_user_namespaces=0   (as root)", "minirun run --rm alpine true"],
            remedy: &["minirun doctor"],
        },
        ErrorCode::DiskFull => Page {
            title: "no space is left",
            cause: "The file system that holds the store has no room, or no inode, left.",
            experiment: &["minirun system df"],
            remedy: &[
                "minirun rm $(minirun ps -aq)",
                "minirun builder prune",
                "minirun --root /another/disk/minirun pull alpine",
            ],
        },
    }
}
