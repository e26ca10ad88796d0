//! `--format`: Go templates over Docker's documents, with Docker's own functions.

use crate::diag::Diagnose;
use gtmpl_ng::{Context, FuncError, Template, Value};
use std::collections::HashMap;
use std::str::FromStr;

/// What `--format` asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    /// Nothing, or `table` alone.
    Default,
    /// `json`, or a template that says the same.
    Json,
    /// `table TEMPLATE`: a heading, and columns between tabs.
    Table(String),
    /// One line for each object.
    Lines(String),
}

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum FormatError {
    #[error("invalid template {template:?}: {reason}")]
    Invalid { template: String, reason: String },
    #[error("invalid template {template:?}: no field {field:?}")]
    NoField { template: String, field: String, fields: Vec<String> },
}

impl Diagnose for FormatError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoField { fields, .. } if !fields.is_empty() => format!("fields: {}", fields.join(" ")),
            Self::NoField { .. } => "without --format all fields are printed as JSON".into(),
            Self::Invalid { .. } => "for example: --format '{{.State.Status}}', --format '{{json .Mounts}}'".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let is_json = |text: &str| text == "json" || text.replace(' ', "") == "{{json.}}";
        let format = match text.trim() {
            "" | "table" => Self::Default,
            text if is_json(text) => Self::Json,
            text => match text.strip_prefix("table ") {
                Some(columns) => Self::Table(columns.trim_start().to_owned()),
                None => Self::Lines(text.to_owned()),
            },
        };
        if let Self::Table(template) | Self::Lines(template) = &format {
            parse(template, FUNCTIONS)?;
        }
        Ok(format)
    }
}

/// A parsed template.
pub(crate) struct Renderer {
    text: String,
    template: Template,
}

impl Renderer {
    pub(crate) fn new(text: &str) -> Result<Self, FormatError> {
        Ok(Self { text: text.to_owned(), template: parse(text, FUNCTIONS)? })
    }

    /// A template that is rendered with headings in place of values, which no function may change.
    pub(crate) fn of_headings(text: &str) -> Result<Self, FormatError> {
        let first: gtmpl_ng::Func = |values| Ok(values.first().cloned().unwrap_or(Value::NoValue));
        let name: gtmpl_ng::Func =
            |values| values.get(1).map_or_else(|| Ok(Value::NoValue), |name| upper(std::slice::from_ref(name)));
        let functions: Vec<_> = FUNCTIONS
            .iter()
            .map(|(function, _)| (*function, if *function == "label" { name } else { first }))
            .collect();
        Ok(Self { text: text.to_owned(), template: parse(text, &functions)? })
    }

    pub(crate) fn render(&self, object: &serde_json::Value) -> Result<String, FormatError> {
        self.template.render(&Context::from(to_value("", object))).map_err(|error| {
            let reason = error.as_structured().map_or_else(|| error.to_string(), |error| error.message.clone());
            let template = self.text.clone();
            match reason.strip_prefix("no field `").and_then(|rest| rest.split('`').next()) {
                Some(field) => FormatError::NoField { template, field: field.to_owned(), fields: Vec::new() },
                None => FormatError::Invalid { template, reason },
            }
        })
    }
}

fn parse(text: &str, functions: &[(&str, gtmpl_ng::Func)]) -> Result<Template, FormatError> {
    let mut template = Template::default();
    template.add_funcs(functions);
    // `.Label "x"` is a method, which a JSON value does not have.
    template.parse(text.replace(".Label ", "label . ")).map_err(|error| {
        let reason = match &error {
            gtmpl_ng::ParseError::WithContext(_, reason) => reason.clone(),
            error => error.to_string(),
        };
        FormatError::Invalid { template: text.to_owned(), reason }
    })?;
    Ok(template)
}

const FUNCTIONS: &[(&str, gtmpl_ng::Func)] = &[
    ("index", index),
    ("join", join),
    ("json", json),
    ("label", label),
    ("lower", |values| text(values, str::to_lowercase)),
    ("pad", pad),
    ("split", split),
    ("title", |values| text(values, title)),
    ("truncate", truncate),
    ("upper", upper),
];

/// The field that holds the labels of an object in a list, where `.Labels` is a text.
pub(crate) const LABELS: &str = "label map";

/// The keys of Docker's documents that hold maps. A key that a map lacks is empty; one that a struct lacks is an error.
const MAPS: &[&str] = &[
    "Annotations",
    "Data",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
    LABELS,
];

/// The keys that hold lists, which a template finds empty where the document has `null`.
const LISTS: &[&str] = &[
    "Aliases",
    "Binds",
    "CapAdd",
    "CapDrop",
    "Cmd",
    "DeviceRequests",
    "Devices",
    "Entrypoint",
    "Env",
    "ExecIDs",
    "GroupAdd",
    "Layers",
    "Links",
    "OnBuild",
    "SecurityOpt",
    "Shell",
    "Ulimits",
    "VolumesFrom",
];

/// Keys in JSON, and the names of the same fields in Docker's source, which templates may use too.
const ALIASES: &[(&str, &str)] = &[
    ("CpuPeriod", "CPUPeriod"),
    ("CpuQuota", "CPUQuota"),
    ("CpuShares", "CPUShares"),
    ("Dns", "DNS"),
    ("DnsOptions", "DNSOptions"),
    ("DnsSearch", "DNSSearch"),
    ("HostIp", "HostIP"),
    ("Id", "ID"),
    ("NanoCpus", "NanoCPUs"),
];

/// Converts the value of a key.
fn to_value(key: &str, value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null if LISTS.contains(&key) => Value::Array(Vec::new()),
        Json::Null if MAPS.contains(&key) => Value::Map(HashMap::new()),
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(value) => Value::String(value.clone()),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::Array(list) => Value::Array(list.iter().map(|value| to_value("", value)).collect()),
        Json::Object(object) => {
            // The options of a log driver are a map under a name that elsewhere is a struct's.
            let convert = |(child, value): (&String, &serde_json::Value)| {
                let kind = if (key, child.as_str()) == ("LogConfig", "Config") { MAPS[0] } else { child };
                (child.clone(), to_value(kind, value))
            };
            let mut fields: HashMap<String, Value> = object.iter().map(convert).collect();
            if MAPS.contains(&key) {
                return Value::Map(fields);
            }
            for (_, field) in OMITTED.iter().filter(|(of, _)| *of == key) {
                fields.entry((*field).to_owned()).or_insert(Value::NoValue);
            }
            for (json, name) in ALIASES {
                if let Some(value) = fields.get(*json) {
                    let value = value.clone();
                    fields.insert((*name).to_owned(), value);
                }
            }
            Value::Object(fields)
        }
    }
}

/// Fields that Docker's documents leave out where they are empty: the key of their object, and their own. A template may name
/// them nevertheless.
const OMITTED: &[(&str, &str)] = &[
    ("Config", "ExposedPorts"),
    ("Config", "Healthcheck"),
    ("Config", "Shell"),
    ("Config", "StopSignal"),
    ("Config", "StopTimeout"),
    ("State", "Health"),
    ("HostConfig", "Annotations"),
    ("HostConfig", "Init"),
    ("HostConfig", "Mounts"),
    ("HostConfig", "StorageOpt"),
    ("HostConfig", "Sysctls"),
    ("HostConfig", "Tmpfs"),
];

fn to_json(value: &Value) -> Result<serde_json::Value, FuncError> {
    Ok(match value {
        Value::Object(fields) => {
            let is_alias = |key: &String| ALIASES.iter().any(|(json, name)| key == name && fields.contains_key(*json));
            let shown =
                fields.iter().filter(|(key, value)| !is_alias(key) && *key != LABELS && **value != Value::NoValue);
            let shown = shown.map(|(key, value)| Ok((key.clone(), to_json(value)?)));
            serde_json::Value::Object(shown.collect::<Result<_, FuncError>>()?)
        }
        Value::Array(list) => serde_json::Value::Array(list.iter().map(to_json).collect::<Result<_, _>>()?),
        value => serde_json::to_value(value).map_err(|_| FuncError::UnableToConvertFromValue)?,
    })
}

fn json(values: &[Value]) -> Result<Value, FuncError> {
    let [value] = values else { return Err(FuncError::ExactlyXArgs("json".into(), 1)) };
    Ok(to_json(value)?.to_string().into())
}

/// Go's `index`; what a map lacks is empty.
fn index(values: &[Value]) -> Result<Value, FuncError> {
    Ok(match gtmpl_ng::funcs::index(values)? {
        Value::NoValue => Value::String(String::new()),
        value => value,
    })
}

/// Docker's `.Label "NAME"` of an object in a list.
fn label(values: &[Value]) -> Result<Value, FuncError> {
    let (object, name) = match values {
        [Value::Object(object), Value::String(name)] => (object, name),
        _ => return Err(FuncError::Generic("Label needs the name of a label".into())),
    };
    match object.get(LABELS) {
        Some(Value::Map(labels)) => Ok(labels.get(name).cloned().unwrap_or_else(|| String::new().into())),
        _ => Err(FuncError::Generic("no field `Label`".into())),
    }
}

fn text(values: &[Value], change: impl Fn(&str) -> String) -> Result<Value, FuncError> {
    match values {
        [Value::String(text)] => Ok(change(text).into()),
        _ => Err(FuncError::UnableToConvertFromValue),
    }
}

fn upper(values: &[Value]) -> Result<Value, FuncError> {
    text(values, str::to_uppercase)
}

fn title(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn join(values: &[Value]) -> Result<Value, FuncError> {
    match values {
        [Value::Array(list), Value::String(between)] => {
            let words: Vec<String> = list.iter().map(ToString::to_string).collect();
            Ok(words.join(between).into())
        }
        _ => Err(FuncError::UnableToConvertFromValue),
    }
}

fn split(values: &[Value]) -> Result<Value, FuncError> {
    match values {
        [Value::String(text), Value::String(between)] => {
            Ok(text.split(between.as_str()).map(str::to_owned).collect::<Vec<_>>().into())
        }
        _ => Err(FuncError::UnableToConvertFromValue),
    }
}

/// The widest padding that `pad` makes.
const WIDEST: usize = 1000;

/// `pad TEXT BEFORE AFTER`: blanks around a text that is not empty.
fn pad(values: &[Value]) -> Result<Value, FuncError> {
    let [Value::String(text), Value::Number(before), Value::Number(after)] = values else {
        return Err(FuncError::ExactlyXArgs("pad".into(), 3));
    };
    let blanks = |count: &gtmpl_ng::Number| {
        " ".repeat(count.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0).min(WIDEST))
    };
    Ok(if text.is_empty() { text.clone().into() } else { (blanks(before) + text + &blanks(after)).into() })
}

/// `truncate TEXT LENGTH`.
fn truncate(values: &[Value]) -> Result<Value, FuncError> {
    let [Value::String(text), Value::Number(length)] = values else {
        return Err(FuncError::ExactlyXArgs("truncate".into(), 2));
    };
    let length = length.as_u64().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    Ok(text.chars().take(length).collect::<String>().into())
}

/// Prints objects as `inspect` does: as one JSON array, or each through a template.
pub(super) fn print_objects(template: Option<&str>, objects: Vec<serde_json::Value>) -> Result<(), FormatError> {
    match template {
        Some(template) => {
            let renderer = Renderer::new(template)?;
            for object in &objects {
                println!("{}", renderer.render(object)?);
            }
        }
        None => println!("{}", serde_json::to_string_pretty(&objects).unwrap_or_default()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Format, Renderer};
    use serde_json::json;

    fn render(template: &str, object: &serde_json::Value) -> Result<String, String> {
        Renderer::new(template).and_then(|renderer| renderer.render(object)).map_err(|error| error.to_string())
    }

    #[test]
    fn common_templates() {
        let object = json!({
            "Id": "abc",
            "State": {"Status": "running", "ExitCode": 0, "Health": null},
            "Mounts": [{"Source": "/a"}],
            "Config": {"Labels": {"x": "y"}, "Env": ["A=1", "B=2"], "Cmd": null},
            "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1"}}},
            "NetworkSettings": {
                "Networks": {"bridge": {"IPAddress": "10.0.2.100"}},
                "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
            },
        });
        let cases = [
            ("{{.State.Status}} {{.State.ExitCode}}", "running 0"),
            ("{{json .Mounts}}", r#"[{"Source":"/a"}]"#),
            ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "10.0.2.100"),
            ("{{range $net, $it := .NetworkSettings.Networks}}{{$net}}={{$it.IPAddress}}{{end}}", "bridge=10.0.2.100"),
            (r#"{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}"#, "8080"),
            (r#"{{index .Config.Labels "x"}}|{{index .Config.Labels "none"}}|{{.Config.Labels.x}}"#, "y||y"),
            (r#"{{join .Config.Env " "}} {{.Config.Env}} {{.Config.Cmd}}"#, "A=1 B=2 [A=1 B=2] []"),
            ("{{upper .State.Status}} {{title .State.Status}} {{len .Mounts}}", "RUNNING Running 1"),
            (r#"{{.ID}} {{.Id}} {{json .State}}"#, r#"abc abc {"ExitCode":0,"Health":null,"Status":"running"}"#),
            (r#"{{with .State}}{{if eq .Status "running"}}up{{else}}down{{end}}{{end}}"#, "up"),
            (r#"{{if and (gt (len .Mounts) 0) (ne .State.Status "exited")}}yes{{end}}"#, "yes"),
            (r#"{{printf "%-10s|" .State.Status}}{{println .Id}}"#, "running   |abc\n"),
            (
                r#"{{pad .Id 1 2}}|{{truncate .State.Status 3}}|{{range split "a,b" ","}}<{{.}}>{{end}}"#,
                " abc  |run|<a><b>",
            ),
            (r#"{{slice .Id 1}} {{index .HostConfig.LogConfig.Config "max-size"}}"#, "bc 1"),
            ("{{range $i, $e := .Config.Env}}{{if $i}}, {{end}}{{$e}}{{end}}", "A=1, B=2"),
            ("{{- .Id -}}  x", "abcx"),
        ];
        for (template, expected) in cases {
            assert_eq!(render(template, &object).as_deref(), Ok(expected), "{template}");
        }
        for (template, reason) in [
            ("{{.State", "invalid template"),
            ("{{.Nothing}}", "no field \"Nothing\""),
            ("{{.State.Nothing}}", "no field \"Nothing\""),
            ("{{nothing .Id}}", "nothing"),
        ] {
            assert!(render(template, &object).unwrap_err().contains(reason), "{template}");
        }
    }

    #[test]
    fn what_a_format_asks_for() {
        for (text, format) in [
            ("", Format::Default),
            ("table", Format::Default),
            ("json", Format::Json),
            ("{{ json . }}", Format::Json),
            ("table {{.ID}}\t{{.Names}}", Format::Table("{{.ID}}\t{{.Names}}".into())),
            ("{{.ID}}", Format::Lines("{{.ID}}".into())),
        ] {
            assert_eq!(text.parse::<Format>().unwrap(), format);
        }
        assert!("{{.ID".parse::<Format>().is_err());
    }
}
