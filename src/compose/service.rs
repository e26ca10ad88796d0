//! A service of a project, as the rest asks for it.

use super::read::Node;
use std::str::FromStr;

#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub name: String,
    /// Its canonical form.
    pub node: Node,
}

/// What a service waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Started,
    Healthy,
    CompletedSuccessfully,
}

impl Condition {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
            Self::CompletedSuccessfully => "service_completed_successfully",
        }
    }
}

impl FromStr for Condition {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let all = [Self::Started, Self::Healthy, Self::CompletedSuccessfully];
        all.into_iter().find(|condition| condition.word() == word).ok_or(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub service: String,
    pub condition: Condition,
    pub is_required: bool,
    /// It is restarted when the other is.
    pub restarts: bool,
}

/// When the image of a service is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pull {
    Always,
    Missing,
    Never,
    Build,
}

impl Service {
    pub(crate) fn new(name: String, node: Node) -> Self {
        Self { name, node }
    }

    /// Whether one of the profiles enables it.
    pub(crate) fn is_of(&self, profiles: &[String]) -> bool {
        let own = self.node.texts("profiles");
        own.is_empty() || profiles.iter().any(|profile| profile == "*" || own.contains(profile))
    }

    /// The name of its image; one that is built has one even where none is given.
    pub(crate) fn image(&self, project: &str) -> String {
        self.node.text("image").map_or_else(|| format!("{project}-{}", self.name), str::to_owned)
    }

    pub(crate) fn is_built(&self) -> bool {
        self.node.get("build").is_some()
    }

    pub(crate) fn replicas(&self) -> usize {
        let of_deploy = || self.node.get("deploy")?.text("replicas");
        self.node.text("scale").or_else(of_deploy).and_then(|text| text.parse().ok()).unwrap_or(1)
    }

    pub(crate) fn dependencies(&self) -> Vec<Dependency> {
        let one = |(service, node): (&String, &Node)| Dependency {
            service: service.clone(),
            condition: node.text("condition").and_then(|word| word.parse().ok()).unwrap_or(Condition::Started),
            is_required: node.text("required") != Some("false"),
            restarts: node.is_set("restart"),
        };
        self.node.entries("depends_on").map(one).collect()
    }

    /// The name of its container with this number.
    pub(crate) fn container_name(&self, project: &str, number: usize) -> String {
        let own = self.node.text("container_name").map(str::to_owned);
        own.unwrap_or_else(|| format!("{project}-{}-{number}", self.name))
    }

    /// The volumes of the file that it mounts.
    pub(crate) fn volume_keys(&self) -> Vec<String> {
        let mounts = self.node.get("volumes").map_or(&[][..], Node::list).iter();
        let mounts = mounts.filter(|mount| mount.text("type") == Some("volume"));
        mounts.filter_map(|mount| mount.text("source").map(str::to_owned)).collect()
    }

    pub(crate) fn pull(&self) -> Pull {
        match self.node.text("pull_policy") {
            Some("always" | "daily" | "weekly") => Pull::Always,
            Some("never") => Pull::Never,
            Some("build") => Pull::Build,
            _ => Pull::Missing,
        }
    }

    /// Whether its output is shown by `up`.
    pub(crate) fn is_attached(&self) -> bool {
        self.node.text("attach") != Some("false")
    }
}
