//! An event, as it is kept and as Docker prints it.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Something that was done to an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// Nanoseconds since 1970.
    pub time: i64,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Docker's word: `start`, `die`, `health_status: healthy`, …
    pub action: String,
    /// The object's id; for a pull or push the image's name.
    pub id: String,
    pub attributes: BTreeMap<String, String>,
}

/// The type of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Container,
    Image,
    Volume,
    Network,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Volume => "volume",
            Self::Network => "network",
        }
    }
}

impl Event {
    /// Makes an event of this moment.
    pub(crate) fn now(kind: Kind, action: impl Into<String>, id: impl Into<String>) -> Self {
        Self { time: 0, kind, action: action.into(), id: id.into(), attributes: BTreeMap::new() }.of_now()
    }

    /// Makes it an event of this moment.
    #[must_use]
    pub(crate) fn of_now(mut self) -> Self {
        self.time = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        self
    }

    /// Makes the event of a prune that freed so many bytes.
    pub(crate) fn pruned(kind: Kind, freed: u64) -> Self {
        Self::now(kind, "prune", "").with("reclaimed", freed)
    }

    /// Returns another event of the same object, of this moment.
    pub(crate) fn again(self, action: impl Into<String>) -> Self {
        let Self { time, action, .. } = Self::now(self.kind, action, "");
        Self { time, action, ..self }
    }

    /// Adds an attribute.
    #[must_use]
    pub(crate) fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.attributes.insert(name.into(), value.to_string());
        self
    }

    /// Returns the object that Docker's API sends.
    pub(crate) fn json(&self) -> Value {
        let mut object = json!({
            "Type": self.kind.name(),
            "Action": self.action,
            "Actor": {"ID": self.id, "Attributes": self.attributes},
            "scope": "local",
            "time": self.time.div_euclid(1_000_000_000),
            "timeNano": self.time,
        });
        if matches!(self.kind, Kind::Container | Kind::Image) {
            object["status"] = json!(self.action);
            object["id"] = json!(self.id);
        }
        if self.kind == Kind::Container
            && let Some(image) = self.attributes.get("image")
        {
            object["from"] = json!(image);
        }
        object
    }

    /// Returns the fields as templates name them.
    pub(crate) fn fields(&self) -> Value {
        json!({
            "Type": self.kind.name(),
            "Action": self.action,
            "Status": self.action,
            "ID": self.id,
            "From": self.attributes.get("image").map(String::as_str).unwrap_or_default(),
            "Actor": {"ID": self.id, "Attributes": self.attributes},
            "Scope": "local",
            "Time": self.time.div_euclid(1_000_000_000),
            "TimeNano": self.time,
        })
    }

    /// Returns Docker's line: `TIME TYPE ACTION ID (NAME=VALUE, …)`, with the time as in that zone.
    pub(crate) fn line(&self, zone: &TimeZone) -> String {
        let time = jiff::Timestamp::from_nanosecond(self.time.into()).unwrap_or_default().to_zoned(zone.clone());
        let zone = if time.offset().is_zero() { "Z" } else { "%:z" };
        let time = time.strftime(&format!("%Y-%m-%dT%H:%M:%S.%9f{zone}")).to_string();
        let mut line = format!("{time} {} {} {}", self.kind.name(), self.action, self.id);
        if !self.attributes.is_empty() {
            let all: Vec<String> = self.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            line += &format!(" ({})", all.join(", "));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_as_docker_prints_it() {
        let event =
            Event::now(Kind::Container, "die", "f00").with("name", "web").with("exitCode", 1).with("image", "alpine");
        let event = Event { time: 1_700_000_000_000_000_007, ..event };
        let line = "2023-11-14T22:13:20.000000007Z container die f00 (exitCode=1, image=alpine, name=web)";
        assert_eq!(event.line(&TimeZone::UTC), line);
        let east = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(
            event.line(&east),
            line.replace("22:13:20.000000007Z", "00:13:20.000000007+02:00").replace("-14T", "-15T")
        );
        let expected = json!({
            "status": "die", "id": "f00", "from": "alpine", "Type": "container", "Action": "die",
            "Actor": {"ID": "f00", "Attributes": {"exitCode": "1", "image": "alpine", "name": "web"}},
            "scope": "local", "time": 1_700_000_000, "timeNano": 1_700_000_000_000_000_007_i64,
        });
        assert_eq!(event.json(), expected);
    }
}
