//! The groups of commands, and two lines that show how each is used.

/// A group of commands on the first page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Run,
    Look,
    Images,
    Build,
    Storage,
    See,
    System,
    /// What belongs to a command of another group.
    Nested,
    /// What the table does not name.
    Other,
}

impl Group {
    /// The groups of the first page, in order.
    pub(super) const SHOWN: [Self; 8] =
        [Self::Run, Self::Look, Self::Images, Self::Build, Self::Storage, Self::See, Self::System, Self::Other];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Run => "Run containers",
            Self::Look => "Look at containers",
            Self::Images => "Images and registries",
            Self::Build => "Build images",
            Self::Storage => "Volumes and networks",
            Self::See => "See how it works",
            Self::System => "minirun itself",
            Self::Nested | Self::Other => "Other",
        }
    }
}

/// Command, group, examples without `minirun`.
const COMMANDS: &[(&str, Group, [&str; 2])] = &[
    ("run", Group::Run, ["run -it --rm alpine sh", "run -d --name web -p 8080:80 nginx"]),
    ("create", Group::Run, ["create --name web -p 8080:80 nginx", "create -it --name shell alpine sh"]),
    ("start", Group::Run, ["start web", "start -ai shell"]),
    ("stop", Group::Run, ["stop web", "stop -t 2 web db"]),
    ("restart", Group::Run, ["restart web", "restart -t 2 web db"]),
    ("kill", Group::Run, ["kill web", "kill -s HUP web"]),
    ("pause", Group::Run, ["pause web", "pause web db"]),
    ("unpause", Group::Run, ["unpause web", "unpause web db"]),
    ("wait", Group::Run, ["wait web", "wait web db"]),
    ("rm", Group::Run, ["rm web", "rm -f -v web db"]),
    ("exec", Group::Run, ["exec -it web sh", "exec -u nobody -w /tmp web id"]),
    ("attach", Group::Run, ["attach shell", "attach --no-stdin web"]),
    ("cp", Group::Run, ["cp web:/etc/nginx/nginx.conf .", "cp index.html web:/usr/share/nginx/html/"]),
    ("rename", Group::Run, ["rename web old-web", "rename 7b3d web"]),
    ("update", Group::Run, ["update --memory 512m web", "update --cpus 1.5 --pids-limit 100 web"]),
    ("ps", Group::Look, ["ps", "ps -a"]),
    ("logs", Group::Look, ["logs -f web", "logs --tail 20 --since 10m web"]),
    ("top", Group::Look, ["top web", "top shell"]),
    ("stats", Group::Look, ["stats", "stats --no-stream web"]),
    ("inspect", Group::Look, ["inspect web", "inspect -f '{{.State.Status}}' web"]),
    ("port", Group::Look, ["port web", "port web"]),
    ("diff", Group::Look, ["diff web", "diff shell"]),
    ("events", Group::Look, ["events --since 10m", "events --filter container=web"]),
    ("healthcheck", Group::Look, ["healthcheck run web", "healthcheck run db"]),
    ("export", Group::Look, ["export -o web.tar web", "export web"]),
    ("mount", Group::Look, ["mount web", "mount"]),
    ("unmount", Group::Look, ["unmount web", "unmount --all"]),
    ("images", Group::Images, ["images", "images -q alpine"]),
    ("pull", Group::Images, ["pull alpine", "pull --platform linux/arm64 nginx:1.27"]),
    ("push", Group::Images, ["push me/web:v1", "push -a me/web"]),
    ("tag", Group::Images, ["tag web me/web:v1", "tag 7b3d web:old"]),
    ("untag", Group::Images, ["untag web:old", "untag web:old web:older"]),
    ("rmi", Group::Images, ["rmi web:old", "rmi -f 7b3d"]),
    ("commit", Group::Images, ["commit shell tools:v1", "commit -c 'CMD [\"nginx\"]' web web:changed"]),
    ("history", Group::Images, ["history nginx", "history --no-trunc web"]),
    ("save", Group::Images, ["save -o web.tar web", "save --format oci-dir -o web web"]),
    ("load", Group::Images, ["load -i web.tar", "load --platform linux/amd64 -i web.tar"]),
    ("import", Group::Images, ["import rootfs.tar base:v1", "import -c 'CMD [\"/bin/sh\"]' rootfs.tar base"]),
    ("search", Group::Images, ["search nginx", "search --filter is-official=true --limit 5 redis"]),
    ("login", Group::Images, ["login -u me", "login -u me --password-stdin registry.example.com"]),
    ("logout", Group::Images, ["logout", "logout registry.example.com"]),
    ("manifest", Group::Images, ["manifest inspect alpine", "manifest create me/web:v1 me/web:amd64 me/web:arm64"]),
    ("image", Group::Images, ["image ls", "image inspect nginx"]),
    ("build", Group::Build, ["build -t web .", "build -f Dockerfile.dev --target test --progress plain ."]),
    ("builder", Group::Build, ["builder prune", "builder prune"]),
    ("buildx", Group::Build, ["buildx build -t web .", "buildx du"]),
    ("compose", Group::Run, ["compose up -d", "compose logs -f web"]),
    ("container", Group::Run, ["container ls -a", "container inspect web"]),
    ("volume", Group::Storage, ["volume create data", "volume ls"]),
    ("network", Group::Storage, ["network create mynet", "network ls"]),
    ("secret", Group::Storage, ["secret create token ./token", "secret ls"]),
    ("why", Group::See, ["why web", "why web --to db:5432"]),
    ("explain", Group::See, ["explain web", "explain --files top nginx"]),
    ("compare", Group::See, ["compare nginx web", "compare web shell"]),
    ("where", Group::See, ["where /etc/passwd", "where web /etc/nginx/nginx.conf"]),
    ("watch", Group::See, ["watch web", "watch --json web"]),
    ("probe", Group::See, ["probe", "probe --json web"]),
    ("script", Group::See, ["script web", "script alpine"]),
    ("doctor", Group::System, ["doctor", "doctor --json"]),
    ("system", Group::System, ["system df", "system check --repair"]),
    ("unshare", Group::System, ["unshare", "unshare rm -r logs"]),
    ("context", Group::System, ["context ls", "context show"]),
    ("info", Group::System, ["info", "info"]),
    ("version", Group::System, ["version", "version"]),
    ("completion", Group::System, ["completion bash", "completion zsh"]),
    ("help", Group::System, ["help run", "help volume create"]),
    ("image ls", Group::Nested, ["image ls", "image ls -q alpine"]),
    ("image rm", Group::Nested, ["image rm web:old", "image rm -f 7b3d"]),
    ("image inspect", Group::Nested, ["image inspect nginx", "image inspect -f '{{.Config.Cmd}}' nginx"]),
    ("container ls", Group::Nested, ["container ls", "container ls -a"]),
    ("container inspect", Group::Nested, ["container inspect web", "container inspect -f '{{.State.Status}}' web"]),
    ("builder prune", Group::Nested, ["builder prune", "builder prune"]),
    (
        "manifest create",
        Group::Nested,
        ["manifest create me/web:v1 me/web:amd64 me/web:arm64", "manifest create -a me/web:v1"],
    ),
    ("manifest add", Group::Nested, ["manifest add me/web:v1 me/web:arm64", "manifest add me/web:v1 me/web:amd64"]),
    (
        "manifest annotate",
        Group::Nested,
        [
            "manifest annotate --arch arm64 me/web:v1 me/web:arm64",
            "manifest annotate --variant v8 me/web:v1 me/web:arm64",
        ],
    ),
    ("manifest inspect", Group::Nested, ["manifest inspect alpine", "manifest inspect me/web:v1"]),
    ("manifest push", Group::Nested, ["manifest push me/web:v1", "manifest push --purge me/web:v1"]),
    ("manifest rm", Group::Nested, ["manifest rm me/web:v1", "manifest rm me/web:v1 me/web:v2"]),
    ("system df", Group::Nested, ["system df", "system df --json"]),
    ("system check", Group::Nested, ["system check", "system check --repair"]),
    ("system reset", Group::Nested, ["system reset", "system reset --force"]),
    ("system info", Group::Nested, ["system info", "system info"]),
    ("container prune", Group::Nested, ["container prune", "container prune -f --filter until=24h"]),
    ("container exists", Group::Nested, ["container exists web", "container exists 7b3d"]),
    ("image prune", Group::Nested, ["image prune", "image prune -a -f"]),
    ("image exists", Group::Nested, ["image exists nginx", "image exists me/web:v1"]),
    ("builder ls", Group::Nested, ["builder ls", "builder ls"]),
    ("image untag", Group::Nested, ["image untag web:old", "image untag web:old web:older"]),
    ("builder du", Group::Nested, ["builder du", "builder du"]),
    ("builder inspect", Group::Nested, ["builder inspect", "builder inspect"]),
    ("builder version", Group::Nested, ["builder version", "builder version"]),
    ("builder bake", Group::Nested, ["builder bake", "builder bake"]),
    ("context ls", Group::Nested, ["context ls", "context ls"]),
    ("context show", Group::Nested, ["context show", "context show"]),
    ("context use", Group::Nested, ["context use default", "context use default"]),
    ("context inspect", Group::Nested, ["context inspect", "context inspect default"]),
    ("system prune", Group::Nested, ["system prune", "system prune -a -f"]),
    ("system events", Group::Nested, ["system events --since 10m", "system events --filter container=web"]),
    ("healthcheck run", Group::Nested, ["healthcheck run web", "healthcheck run db"]),
    ("network create", Group::Nested, ["network create mynet", "network create --subnet 10.20.0.0/24 mynet"]),
    ("network ls", Group::Nested, ["network ls", "network ls --filter type=custom"]),
    ("network inspect", Group::Nested, ["network inspect mynet", "network inspect -f '{{.IPAM.Config}}' mynet"]),
    ("network rm", Group::Nested, ["network rm mynet", "network rm -f mynet"]),
    ("network prune", Group::Nested, ["network prune", "network prune -f"]),
    ("network connect", Group::Nested, ["network connect mynet web", "network connect --alias www mynet web"]),
    ("network disconnect", Group::Nested, ["network disconnect mynet web", "network disconnect -f mynet web"]),
    ("network exists", Group::Nested, ["network exists mynet", "network exists mynet"]),
    ("volume create", Group::Nested, ["volume create data", "volume create --label app=web data"]),
    ("volume ls", Group::Nested, ["volume ls", "volume ls -q"]),
    ("volume inspect", Group::Nested, ["volume inspect data", "volume inspect -f '{{.Mountpoint}}' data"]),
    ("volume rm", Group::Nested, ["volume rm data", "volume rm -f data"]),
    ("volume prune", Group::Nested, ["volume prune", "volume prune -a -f"]),
    ("volume exists", Group::Nested, ["volume exists data", "volume exists data"]),
    ("volume export", Group::Nested, ["volume export -o data.tar data", "volume export -o data.tar data"]),
    ("volume import", Group::Nested, ["volume import data data.tar", "volume import data data.tar"]),
    ("compose up", Group::Nested, ["compose up -d", "compose up --build --scale web=3"]),
    ("compose down", Group::Nested, ["compose down", "compose down -v --rmi local"]),
    ("compose ps", Group::Nested, ["compose ps", "compose ps -a --format json"]),
    ("compose logs", Group::Nested, ["compose logs -f", "compose logs --tail 20 web"]),
    ("compose exec", Group::Nested, ["compose exec web sh", "compose exec -T -u postgres db psql -c '\\l'"]),
    ("compose run", Group::Nested, ["compose run --rm web sh", "compose run --rm -e DEBUG=1 web ls"]),
    ("compose build", Group::Nested, ["compose build", "compose build --no-cache web"]),
    ("compose pull", Group::Nested, ["compose pull", "compose pull db"]),
    ("compose push", Group::Nested, ["compose push", "compose push web"]),
    ("compose config", Group::Nested, ["compose config", "compose config --format json"]),
    ("compose create", Group::Nested, ["compose create", "compose create --build"]),
    ("compose start", Group::Nested, ["compose start", "compose start db"]),
    ("compose stop", Group::Nested, ["compose stop", "compose stop -t 2 web"]),
    ("compose restart", Group::Nested, ["compose restart", "compose restart web"]),
    ("compose kill", Group::Nested, ["compose kill", "compose kill -s HUP web"]),
    ("compose rm", Group::Nested, ["compose rm -f", "compose rm -s -f -v web"]),
    ("compose pause", Group::Nested, ["compose pause", "compose pause web"]),
    ("compose unpause", Group::Nested, ["compose unpause", "compose unpause web"]),
    ("compose wait", Group::Nested, ["compose wait web", "compose wait --down-project web"]),
    ("compose scale", Group::Nested, ["compose scale web=3", "compose scale web=3 worker=2"]),
    ("compose ls", Group::Nested, ["compose ls", "compose ls -a"]),
    ("compose images", Group::Nested, ["compose images", "compose images -q"]),
    ("compose port", Group::Nested, ["compose port web 80", "compose port --protocol udp dns 53"]),
    ("compose top", Group::Nested, ["compose top", "compose top web"]),
    ("compose stats", Group::Nested, ["compose stats", "compose stats --no-stream web"]),
    ("compose attach", Group::Nested, ["compose attach web", "compose attach --no-stdin web"]),
    ("compose version", Group::Nested, ["compose version", "compose version --short"]),
];

fn entry(path: &str) -> Option<&'static (&'static str, Group, [&'static str; 2])> {
    COMMANDS.iter().find(|(command, ..)| *command == path)
}

pub(super) fn group(command: &str) -> Group {
    entry(command).map_or(Group::Other, |(_, group, _)| *group)
}

/// Returns the command's place on the first page within its group.
pub(super) fn rank(command: &str) -> usize {
    COMMANDS.iter().position(|(name, ..)| *name == command).unwrap_or(usize::MAX)
}

/// Returns lines that show how a command (`image ls`) is used. What a group has from elsewhere (`container stop`) has its lines.
pub fn examples(path: &str) -> Vec<String> {
    let mut lines: Vec<String> = match (entry(path), path.split_once(' ')) {
        (Some((_, _, lines)), _) => lines.iter().map(|line| format!("minirun {line}")).collect(),
        (None, Some((group, command))) => {
            let of_command = entry(command).into_iter().flat_map(|(_, _, lines)| lines);
            of_command.map(|line| format!("minirun {group} {line}")).collect()
        }
        (None, None) => Vec::new(),
    };
    lines.dedup();
    lines
}
