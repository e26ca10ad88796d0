//! Lines that people type every day, typed as they stand, with `docker` as another name of minirun. docs/compatibility.md lists them.

use crate::common::{Sandbox, finish};
use clap::error::ErrorKind;
use minirun::exposed::command_line::tree;
use std::fs;
use std::path::Path;

/// How a line behaves whose command and flags minirun has. It refuses the others, and says what to type instead.
#[derive(Clone, Copy)]
pub enum Habit {
    /// It does what Docker does; standard output holds this text.
    Same(&'static str),
    /// It works, but is different in this; standard output holds the text.
    Different(&'static str, &'static str),
    /// As in Docker; it needs a registry or a terminal, and this test file types it.
    Elsewhere(&'static str),
}

use Habit::{Different, Elsewhere, Same};

/// The lines, in the order in which they are typed: later ones find what earlier ones made.
pub const HABITS: &[(&str, &[(&str, Habit)])] = &[
    (
        "Containers",
        &[
            ("docker run --rm alpine echo hello", Same("hello")),
            ("echo 'echo $((6 * 7))' | docker run -i --rm alpine sh", Same("42")),
            ("docker run -it --rm alpine sh", Elsewhere("container_terminal")),
            ("docker run -d --name web alpine sleep 1000", Same("")),
            ("docker run -dit --name shell alpine sh", Same("")),
            ("docker ps", Same("web")),
            ("docker ps -a", Same("web")),
            ("docker ps -q", Same("")),
            ("docker ps -f name=web --format '{{.Names}} {{.Status}}'", Same("web Up")),
            ("docker container ls --all", Same("web")),
            ("docker exec web cat /etc/hosts", Same("localhost")),
            ("docker exec -w /tmp -e A=b web sh -c 'pwd; echo $A'", Same("/tmp\nb\n")),
            ("docker exec -it web sh", Elsewhere("container_terminal")),
            ("docker exec -d web touch /tmp/there", Same("")),
            ("docker exec -u 0 web id -u", Same("0\n")),
            ("docker logs web", Same("")),
            ("docker logs --tail 10 -t web", Same("")),
            ("docker logs -f web", Elsewhere("container_logs")),
            ("docker inspect web", Same("\"Running\": true")),
            ("docker inspect -f '{{.State.Status}}' web", Same("running\n")),
            ("docker inspect --format '{{.Config.Image}}' web", Same("alpine\n")),
            ("docker top web", Same("sleep")),
            ("docker stats --no-stream web", Same("CPU %")),
            ("docker port web", Same("")),
            ("docker diff web", Same("A /tmp/there")),
            ("echo data >file; docker cp file web:/tmp/", Same("")),
            ("docker cp web:/tmp/file copy && cat copy", Same("data\n")),
            ("docker pause web && docker unpause web", Same("web\nweb\n")),
            ("docker stop -t 1 shell", Same("shell\n")),
            ("docker start shell", Same("shell\n")),
            ("docker restart -t 1 shell", Same("shell\n")),
            ("docker kill shell", Same("shell\n")),
            ("docker wait shell", Same("137\n")),
            ("docker rename shell old", Same("")),
            ("docker commit web mine:v1", Same("sha256:")),
            ("docker rm -f web", Same("web\n")),
            ("docker rm $(docker ps -aq)", Same("")),
            ("docker create --name job alpine echo done", Same("")),
            ("docker start -a job", Same("done\n")),
            ("docker container prune -f", Same("Total reclaimed space")),
        ],
    ),
    (
        "Options of run",
        &[
            ("docker run --rm -v \"$PWD:/work\" -w /work alpine ls", Same("file")),
            ("docker run --rm -v data:/data alpine touch /data/x", Same("")),
            ("docker run --rm --mount type=bind,source=\"$PWD\",target=/work alpine ls /work", Same("file")),
            ("docker run --rm --tmpfs /scratch alpine df /scratch", Same("/scratch")),
            ("docker run --rm --read-only alpine true", Same("")),
            ("docker run --rm -e NAME=value alpine env", Same("NAME=value")),
            ("echo K=v >env; docker run --rm --env-file env alpine env", Same("K=v")),
            ("docker run --rm -h box alpine hostname", Same("box\n")),
            ("docker run --rm --entrypoint sh alpine -c 'echo $0'", Same("sh\n")),
            ("docker run --rm -u nobody alpine id -un", Different("with one ID only, the process keeps that ID", "")),
            ("docker run --rm --network none alpine true", Same("")),
            ("docker run --rm --network host alpine true", Same("")),
            ("docker run --rm --cap-drop ALL alpine true", Same("")),
            ("docker run --rm --security-opt no-new-privileges alpine true", Same("")),
            (
                "docker run --rm --privileged alpine true",
                Different("all capabilities over what is the user's own, none over the host", ""),
            ),
            ("docker run --rm --memory 64m --cpus 1 alpine true", Same("")),
            ("docker run --rm --init alpine true", Same("")),
            ("docker run --rm --add-host db:10.0.0.2 alpine cat /etc/hosts", Same("10.0.0.2")),
            ("docker run --rm --pull never alpine true", Same("")),
            ("docker run -d --name up -p 127.0.0.1::80 alpine sleep 1000", Same("")),
            ("docker port up 80", Same("127.0.0.1:")),
            ("docker run -d --name again --restart unless-stopped alpine sleep 1000", Same("")),
            ("docker rm -f up again", Same("up\n")),
        ],
    ),
    (
        "Images and builds",
        &[
            ("docker images", Same("mine")),
            ("docker image ls -q", Same("")),
            ("docker tag alpine me/app:v1", Same("")),
            ("docker history alpine", Same("CREATED BY")),
            ("docker image inspect alpine", Same("\"RepoTags\"")),
            ("docker save -o app.tar me/app:v1", Same("")),
            ("docker rmi me/app:v1", Same("Untagged: me/app:v1")),
            ("docker load -i app.tar", Same("Loaded image: me/app:v1")),
            ("docker create --name flat alpine", Same("")),
            ("docker export -o flat.tar flat && docker import flat.tar flat:v1", Same("sha256:")),
            ("docker rm flat", Same("flat\n")),
            (
                "printf 'FROM alpine AS base\\nARG A\\nCOPY file /f\\nFROM base\\nRUN cat /f\\n' >Dockerfile; docker build -t app .",
                Same(""),
            ),
            ("docker build -t app --no-cache --build-arg A=1 .", Same("")),
            ("docker build -f Dockerfile --target base .", Same("")),
            ("printf 'FROM alpine\\n' | docker build -t piped -", Same("")),
            ("docker buildx build -t app .", Same("")),
            ("docker builder prune -f", Same("")),
            ("docker image prune -f", Same("Total reclaimed space")),
            ("docker pull nginx:alpine", Elsewhere("registry_pull")),
            ("docker login -u me registry.example.com", Elsewhere("registry_login")),
            ("docker push me/app:v1", Elsewhere("registry_uploads")),
        ],
    ),
    (
        "Volumes, networks, the engine",
        &[
            ("docker volume create new", Same("new\n")),
            ("docker volume ls", Same("data")),
            ("docker volume inspect data", Same("Mountpoint")),
            ("docker volume rm new", Same("new\n")),
            ("docker volume prune -f", Same("Total reclaimed space")),
            ("docker network ls", Same("bridge")),
            ("docker network create back", Same("")),
            ("docker network rm back", Same("back\n")),
            ("docker events --since 1h --until 0s", Same("container")),
            ("docker system df", Same("RECLAIMABLE")),
            ("docker system prune -f", Same("Total reclaimed space")),
            ("docker info", Same("Containers")),
            ("docker version", Same("")),
            ("docker --version", Same("minirun")),
            ("docker context ls", Same("default")),
            (
                "echo 'services: {one: {image: alpine, command: sleep 1000}}' >compose.yaml; docker compose up -d",
                Same(""),
            ),
            ("docker compose ps", Same("-one-1")),
            ("docker compose exec -T one echo hi", Same("hi\n")),
            ("docker compose logs one", Same("")),
            ("docker compose down -t 0", Same("")),
            ("docker swarm init", Same("")),
            ("docker stack deploy -c compose.yaml app", Same("")),
            ("docker plugin ls", Same("")),
        ],
    ),
];

/// Returns what minirun says of the first command in a line that it does not have. `None`: it has them all.
pub fn refusal(line: &str) -> Option<String> {
    let words = invocations(line).into_iter().find(|words| {
        let parsed = tree().try_get_matches_from(words);
        parsed.is_err_and(|error| matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand))
    })?;
    let said = Sandbox::new().run(&words[1..]);
    let hint = said.stderr.lines().find_map(|line| line.strip_prefix("hint:  "));
    Some(hint.unwrap_or_default().to_owned())
}

/// Returns the words of each `docker` in a shell's line.
fn invocations(line: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let (mut quote, mut word) = (None, String::new());
    for c in format!("{line} ").chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, ' ' | ';' | '&' | '|' | '(' | ')' | '$') => {
                let words = all.last_mut().unwrap();
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                if c != ' ' {
                    all.push(Vec::new());
                }
            }
            (_, c) => word.push(c),
        }
    }
    all.retain(|words| words.first().is_some_and(|word| word == "docker"));
    all
}

#[test]
fn lines_that_people_type_do_what_the_page_says() {
    let sandbox = Sandbox::with_alpine();
    let programs = sandbox.file("bin");
    fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(Sandbox::binary(), programs.join("docker")).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut wrong = Vec::new();
    for (line, habit) in HABITS.iter().flat_map(|(_, lines)| *lines) {
        if let Elsewhere(file) = habit {
            let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{file}.rs"));
            assert!(there.is_file(), "{line}: no tests/{file}.rs");
            continue;
        }
        let said = finish(sandbox.other("sh").args(["-c", line]).env("PATH", &path));
        let is_right = match (refusal(line), habit) {
            (Some(hint), _) => said.code != 0 && !hint.is_empty() && said.stderr.contains(&hint),
            (None, Same(text) | Different(_, text)) => said.code == 0 && said.stdout.contains(text),
            (None, Elsewhere(_)) => true,
        };
        if !is_right {
            wrong.push(format!("{line}: {}\n{}", said.code, said.streams()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_line_is_taken_apart() {
    let words = |line| invocations(line).into_iter().map(|words| words.join("|")).collect::<Vec<_>>();
    assert_eq!(words("docker rm $(docker ps -aq)"), ["docker|rm", "docker|ps|-aq"]);
    assert_eq!(words("echo 'a; b' | docker run -f '{{.A}} x' y && docker x"), ["docker|run|-f|{{.A}} x|y", "docker|x"]);
    assert!(refusal("docker swarm init").unwrap().contains("no cluster"));
    assert_eq!(refusal("docker ps -a; docker rm x"), None);
}
