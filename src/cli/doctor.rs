//! `doctor`: what this host offers and lacks.

use super::flags::ReportFlags;
use super::{Context, human, json};
use crate::diag::Failure;
use crate::explain::host::{self, Finding, Verdict};
use crate::explain::words::{Language, Words};
use clap::Args;
use serde::Serialize;

#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    report: ReportFlags,
}

#[derive(Serialize)]
struct Report {
    can_run: bool,
    findings: Vec<Finding>,
}

impl Doctor {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        // JSON is always in English.
        let words = if self.report.json { Language::English.words() } else { Language::current().words() };
        let findings = host::examine(&context.store, words);
        let able = host::can_run(&findings);
        if self.report.json {
            json::print(&Report { can_run: able, findings })?;
        } else {
            print(&findings, words);
            println!("\n{}", if able { words.host_can_run } else { words.host_cannot_run });
        }
        Ok(u8::from(!able))
    }
}

fn print(findings: &[Finding], words: &Words) {
    let subjects: Vec<&str> = findings.iter().map(|finding| finding.subject.text(words)).collect();
    let width = subjects.iter().map(|subject| subject.chars().count()).max().unwrap_or(0);
    let verdicts = [words.host_verdict_ok, words.host_verdict_note, words.host_verdict_lacks];
    let first = verdicts.map(|verdict| verdict.chars().count()).into_iter().max().unwrap_or(0);
    for (finding, subject) in findings.iter().zip(subjects) {
        let verdict = match finding.verdict {
            Verdict::Ok => verdicts[0],
            Verdict::Note => verdicts[1],
            Verdict::Lacks => verdicts[2],
        };
        println!("{verdict:first$}  {subject:width$}  {}", human::sentence(&finding.found, first + width + 4));
        for line in finding.mend.iter().flat_map(|mend| mend.lines()) {
            println!("{:first$}  {:width$}    {line}", "", "");
        }
    }
}
