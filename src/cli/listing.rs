//! Lists as Docker prints them: as a table, through a template, or one JSON object a line.

use super::format::{Format, FormatError, LABELS, Renderer};
use super::human;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The fields of a list: each one's name in templates and JSON, and its heading in tables.
pub(super) type Fields = &'static [(&'static str, &'static str)];

/// A row of a list.
#[derive(Default)]
pub(super) struct Row {
    fields: Map<String, Value>,
}

impl Row {
    pub(super) fn set(&mut self, field: &str, value: impl Into<String>) {
        self.fields.insert(field.to_owned(), Value::String(value.into()));
    }

    /// Sets `Labels`, and what `.Label "NAME"` looks up.
    pub(super) fn set_labels(&mut self, labels: &BTreeMap<String, String>) {
        let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.set("Labels", pairs.join(","));
        self.fields.insert(LABELS.to_owned(), serde_json::json!(labels));
    }

    fn cell(&self, field: &str) -> String {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// A list that is to be printed.
pub(super) struct Listing<'a> {
    fields: Fields,
    /// The columns of its default table.
    columns: Vec<&'static str>,
    format: &'a Format,
}

impl<'a> Listing<'a> {
    /// # Errors
    /// When the template names a field that the list does not have, also where the list is empty.
    pub(super) fn new(fields: Fields, columns: Vec<&'static str>, format: &'a Format) -> Result<Self, FormatError> {
        let listing = Self { fields, columns, format };
        if let Format::Table(template) | Format::Lines(template) = format
            && let Err(error @ FormatError::NoField { .. }) = listing.headings(&Renderer::new(&unescaped(template))?)
        {
            return Err(error);
        }
        Ok(listing)
    }

    /// Whether a field is printed.
    pub(super) fn wants(&self, field: &str) -> bool {
        match self.format {
            Format::Default => self.columns.contains(&field),
            Format::Json => true,
            Format::Table(text) | Format::Lines(text) => text.contains(field) || text.contains("json ."),
        }
    }

    /// Whether a template names a field.
    pub(super) fn names(&self, field: &str) -> bool {
        match self.format {
            Format::Default | Format::Json => false,
            Format::Table(text) | Format::Lines(text) => text.contains(&format!(".{field}")),
        }
    }

    pub(super) fn print(&self, rows: &[Row]) -> Result<(), FormatError> {
        print!("{}", self.text(rows)?);
        Ok(())
    }

    pub(super) fn text(&self, rows: &[Row]) -> Result<String, FormatError> {
        Ok(match self.format {
            Format::Default => {
                let heading = |field: &&str| {
                    let found = self.fields.iter().find(|(name, _)| name == field);
                    found.map_or(String::new(), |(_, heading)| (*heading).to_owned())
                };
                let header = self.columns.iter().map(heading).collect();
                let cells = rows.iter().map(|row| self.columns.iter().map(|field| row.cell(field)).collect());
                human::list(header, cells.collect())
            }
            Format::Json => {
                let line = |row: &Row| {
                    let shown = row.fields.iter().filter(|(field, _)| *field != LABELS);
                    let shown = shown.map(|(field, value)| (field.clone(), value.clone()));
                    format!("{}\n", Value::Object(shown.collect()))
                };
                rows.iter().map(line).collect()
            }
            Format::Table(template) => {
                let cells = |text: String| text.split('\t').map(str::to_owned).collect::<Vec<_>>();
                let header = cells(self.headings(&Renderer::of_headings(&unescaped(template))?)?);
                let lines = self.lines(template, rows)?;
                human::list(header, lines.into_iter().map(cells).collect())
            }
            Format::Lines(template) => self.lines(template, rows)?.into_iter().map(|line| line + "\n").collect(),
        })
    }

    fn lines(&self, template: &str, rows: &[Row]) -> Result<Vec<String>, FormatError> {
        let renderer = Renderer::new(&unescaped(template))?;
        rows.iter().map(|row| renderer.render(&Value::Object(row.fields.clone()))).collect()
    }

    /// Renders the headings in the place of values.
    fn headings(&self, renderer: &Renderer) -> Result<String, FormatError> {
        let mut row = Row::default();
        for (field, heading) in self.fields {
            row.set(field, *heading);
        }
        let labels = [(String::new(), String::new())];
        row.fields.insert(LABELS.to_owned(), serde_json::json!(BTreeMap::from(labels)));
        renderer.render(&Value::Object(row.fields)).map_err(|error| match error {
            FormatError::NoField { template, field, .. } => {
                let fields = self.fields.iter().map(|(name, _)| (*name).to_owned()).collect();
                FormatError::NoField { template, field, fields }
            }
            other => other,
        })
    }
}

/// Replaces `\t` and `\n`, which a shell passes on as two characters.
fn unescaped(template: &str) -> String {
    template.replace("\\t", "\t").replace("\\n", "\n")
}
