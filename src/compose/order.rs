//! The order of services: each after those that it depends on.

use super::fault::ComposeError;
use super::service::Service;
use indexmap::IndexMap;
use std::collections::HashMap;

/// Returns the names of the enabled services in the order of a start.
pub(crate) fn of(services: &IndexMap<String, Service>) -> Result<Vec<String>, ComposeError> {
    let mut walk = Walk { services, state: HashMap::new(), order: Vec::new(), path: Vec::new() };
    let mut names: Vec<&str> = services.keys().map(String::as_str).collect();
    names.sort_unstable();
    for name in names {
        walk.visit(name)?;
    }
    Ok(walk.order)
}

struct Walk<'a> {
    services: &'a IndexMap<String, Service>,
    /// Whether a service that was seen is done.
    state: HashMap<&'a str, bool>,
    order: Vec<String>,
    path: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, name: &'a str) -> Result<(), ComposeError> {
        let Some((name, service)) = self.services.get_key_value(name) else { return Ok(()) };
        match self.state.get(name.as_str()) {
            Some(true) => return Ok(()),
            Some(false) => {
                let from = self.path.iter().position(|one| one == name).unwrap_or_default();
                let circle: Vec<&str> = self.path.iter().skip(from).copied().chain([name.as_str()]).collect();
                return Err(ComposeError::Circle(circle.join(" → ")));
            }
            None => {}
        }
        self.state.insert(name, false);
        self.path.push(name);
        for (other, _) in service.node.entries("depends_on") {
            self.visit(other)?;
        }
        self.path.pop();
        self.state.insert(name, true);
        self.order.push(name.clone());
        Ok(())
    }
}
