//! `build --attest`, `--provenance`, `--sbom`: the attestations of an image.

use crate::builder::Attestations;
use crate::builder::options::{Provenance, ProvenanceMode, SlsaVersion};
use crate::diag::Diagnose;
use clap::Args;

#[derive(Args)]
pub(super) struct AttestArgs {
    /// Attach provenance, or a bill of materials
    #[arg(long, value_name = "type=provenance[,mode=min|max]|type=sbom")]
    attest: Vec<String>,
    /// Attach provenance: how the image was built
    #[arg(long, value_name = "BOOL|mode=min|max", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    provenance: Option<String>,
    /// Attach a bill of materials: the image's packages
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sbom: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("invalid --{flag} {text:?}: {why}")]
pub(super) struct InvalidAttestation {
    flag: &'static str,
    text: String,
    why: String,
}

impl Diagnose for InvalidAttestation {
    fn hint(&self) -> Option<String> {
        Some(match self.flag {
            "provenance" => "forms: --provenance=true, --provenance=false, --provenance=mode=max,version=v1".into(),
            "sbom" => "forms: --sbom=true, --sbom=false".into(),
            _ => "forms: --attest type=provenance,mode=min|max[,version=v0.2|v1], --attest type=sbom".into(),
        })
    }
}

/// Parses a boolean as Go does.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

impl AttestArgs {
    pub(super) fn wanted(&self) -> Result<Attestations, InvalidAttestation> {
        let mut requested = RequestedAttestations::default();
        for text in &self.attest {
            requested.read("attest", text, super::output::csv(text))?;
        }
        for (flag, value) in [("provenance", &self.provenance), ("sbom", &self.sbom)] {
            let Some(text) = value else { continue };
            let mut fields = vec![("type".to_owned(), flag.to_owned())];
            match boolean(text) {
                Some(is_on) => fields.push(("disabled".into(), (!is_on).to_string())),
                None => fields.extend(super::output::csv(text)),
            }
            requested.read(flag, text, fields)?;
        }
        let provenance = requested.provenance.flatten();
        Ok(Attestations { provenance, sbom: requested.sbom == Some(true) })
    }
}

/// What the flags say about each attestation; `Some(None)` and `Some(false)` switch it off.
#[derive(Default)]
struct RequestedAttestations {
    provenance: Option<Option<Provenance>>,
    sbom: Option<bool>,
}

impl RequestedAttestations {
    fn read(
        &mut self,
        flag: &'static str,
        text: &str,
        fields: Vec<(String, String)>,
    ) -> Result<(), InvalidAttestation> {
        let wrong = |why: String| InvalidAttestation { flag, text: text.to_owned(), why };
        let kind = fields.iter().find(|(key, _)| key == "type").map(|(_, kind)| kind.as_str());
        let is_provenance = match kind {
            Some("provenance") => true,
            Some("sbom") => false,
            Some(other) => {
                return Err(wrong(format!("no such attestation {other:?}; there are provenance and sbom")));
            }
            None => return Err(wrong("no type=… is given".into())),
        };
        let (mut wanted, mut is_off) = (Provenance::default(), false);
        for (key, value) in &fields {
            let unknown = || wrong(format!("{key:?} cannot be {value:?}"));
            let is_on = || boolean(value).ok_or_else(unknown);
            match (key.as_str(), is_provenance) {
                ("type", _) => {}
                ("disabled", _) => is_off = is_on()?,
                ("mode", true) => {
                    wanted.mode = match value.as_str() {
                        "min" => ProvenanceMode::Min,
                        "max" => ProvenanceMode::Max,
                        _ => return Err(unknown()),
                    }
                }
                ("version", true) => {
                    wanted.version = match value.as_str() {
                        "v0.2" => SlsaVersion::V02,
                        "v1" => SlsaVersion::V1,
                        _ => return Err(unknown()),
                    }
                }
                ("builder-id", true) => wanted.builder_id.clone_from(value),
                ("reproducible", true) => wanted.reproducible = is_on()?,
                ("generator", false) => {
                    return Err(wrong("no scanner's image is run: the engine reads the packages itself".into()));
                }
                _ => return Err(wrong(format!("no setting {key:?}"))),
            }
        }
        let is_again = if is_provenance {
            self.provenance.replace((!is_off).then_some(wanted)).is_some()
        } else {
            self.sbom.replace(!is_off).is_some()
        };
        if is_again { Err(wrong("this attestation is asked for twice".into())) } else { Ok(()) }
    }
}
