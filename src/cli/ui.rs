//! Tables, times and sizes as Docker prints them.

use crate::network::ports::PortSpec;

/// Columns as wide as their widest cell, three spaces apart.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.iter().map(ToString::to_string).collect()] }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    pub fn print(&self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line += &format!("{cell:<width$}   ");
            }
            text += line.trim_end();
            text.push('\n');
        }
        print!("{text}");
    }
}

/// `3 minutes ago`, from a time in RFC 3339.
pub fn ago(time: &str) -> String {
    let span = since(time);
    if span.is_empty() { span } else { format!("{span} ago") }
}

/// `3 minutes`, in Docker's rounding.
pub fn since(time: &str) -> String {
    let Ok(time) = time.parse::<jiff::Timestamp>() else { return String::new() };
    let seconds = jiff::Timestamp::now().as_second() - time.as_second();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".into(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 14 => format!("{} days", hours / 24),
        _ if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// `0.0.0.0:8080`.
pub fn host_side(port: &PortSpec) -> String {
    let host = port.host_ip.map_or("0.0.0.0".into(), |ip| ip.to_string());
    if host.contains(':') { format!("[{host}]:{}", port.host_port) } else { format!("{host}:{}", port.host_port) }
}

/// `0.0.0.0:8080->80/tcp, …`.
pub fn ports(ports: &[PortSpec]) -> String {
    let each = ports.iter().map(|p| format!("{}->{}/{}", host_side(p), p.container_port, p.protocol));
    each.collect::<Vec<_>>().join(", ")
}
