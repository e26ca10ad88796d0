//! `--format`: Go templates over JSON, with Docker's own functions.

use gtmpl_ng::{Context, FuncError, Template, Value};

#[derive(Debug, thiserror::Error)]
#[error("invalid template {template:?}: {reason}")]
pub(super) struct FormatError {
    template: String,
    reason: String,
}

impl crate::diag::Diagnose for FormatError {
    fn hint(&self) -> Option<String> {
        Some("for example: --format '{{.State.Status}}', --format '{{json .Mounts}}'".into())
    }
}

/// Renders one object by a template.
pub(super) fn render(template: &str, object: &serde_json::Value) -> Result<String, FormatError> {
    let wrong = |reason: String| FormatError { template: template.into(), reason };
    if template == "json" {
        return Ok(object.to_string());
    }
    let mut parsed = Template::default();
    parsed.add_funcs(&[
        ("json", json as gtmpl_ng::Func),
        ("join", join),
        ("lower", |values| text(values, str::to_lowercase)),
        ("upper", |values| text(values, str::to_uppercase)),
        ("title", |values| text(values, title)),
        ("split", split),
    ]);
    parsed.parse(template).map_err(|e| wrong(e.to_string()))?;
    let value: Value = serde_json::from_value(object.clone()).map_err(|e| wrong(e.to_string()))?;
    parsed.render(&Context::from(value)).map_err(|e| wrong(e.to_string()))
}

fn json(values: &[Value]) -> Result<Value, FuncError> {
    let [value] = values else { return Err(FuncError::ExactlyXArgs("json".into(), 1)) };
    // Through serde_json's own value, whose maps are sorted.
    let value = serde_json::to_value(value).map_err(|_| FuncError::UnableToConvertFromValue)?;
    Ok(value.to_string().into())
}

fn text(values: &[Value], change: impl Fn(&str) -> String) -> Result<Value, FuncError> {
    match values {
        [Value::String(text)] => Ok(change(text).into()),
        _ => Err(FuncError::UnableToConvertFromValue),
    }
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

#[cfg(test)]
mod tests {
    use super::render;
    use serde_json::json;

    #[test]
    fn common_templates() {
        let object = json!({
            "State": {"Status": "running", "ExitCode": 0},
            "Mounts": [{"Source": "/a"}],
            "Config": {"Labels": {"x": "y"}, "Env": ["A=1", "B=2"]},
            "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "10.0.2.100"}}},
        });
        let cases = [
            ("{{.State.Status}} {{.State.ExitCode}}", "running 0"),
            ("{{json .Mounts}}", r#"[{"Source":"/a"}]"#),
            ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "10.0.2.100"),
            (r#"{{index .Config.Labels "x"}}"#, "y"),
            (r#"{{join .Config.Env " "}}"#, "A=1 B=2"),
            ("{{upper .State.Status}} {{len .Mounts}}", "RUNNING 1"),
        ];
        for (template, expected) in cases {
            assert_eq!(render(template, &object).unwrap(), expected, "{template}");
        }
        assert!(render("{{.State", &object).is_err());
    }
}
