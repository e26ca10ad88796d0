//! What this host gives and lacks: doctor.

use super::{Context, json};
use crate::diag::Failure;
use crate::explain::host::{self, Finding, Verdict};
use clap::Args;
use serde::Serialize;

#[derive(Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Found {
    can_run: bool,
    findings: Vec<Finding>,
}

impl Doctor {
    pub fn run(self, context: &Context) -> Result<u8, Failure> {
        let findings = host::look(&context.store);
        let able = host::can_run(&findings);
        if self.json {
            json::print(&Found { can_run: able, findings })?;
        } else {
            print(&findings);
            println!("\n{}", if able { "Containers can run here." } else { "Containers cannot run here yet." });
        }
        Ok(u8::from(!able))
    }
}

fn print(findings: &[Finding]) {
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    for finding in findings {
        let verdict = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Lacks => "lacks",
        };
        println!("{verdict:5}  {:width$}  {}", finding.subject, finding.found);
        for line in finding.mend.iter().flat_map(|mend| mend.lines()) {
            println!("{:5}  {:width$}    {line}", "", "");
        }
    }
}
