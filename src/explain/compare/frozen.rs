//! What an image fixes for everybody who has it.

use super::fact::{Fact, Facts, collect};
use crate::explain::layers::anatomy::Anatomy;
use crate::image::Image;
use serde_json::json;

/// Returns what an image fixes.
pub(super) fn facts(image: &Image, anatomy: &Anatomy) -> Facts {
    let config = image.config().config().clone().unwrap_or_default();
    collect([
        (Fact::ImageId, json!(image.id)),
        (Fact::ImageNames, json!(anatomy.names)),
        (Fact::ImageCreated, json!(image.config().created())),
        (Fact::Platform, json!(format!("{}/{}", image.config().os(), image.config().architecture()))),
        (Fact::Layers, json!(anatomy.layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>())),
        (Fact::LayersOnDisk, json!(anatomy.layers.iter().map(|layer| layer.on_disk).sum::<u64>())),
        (Fact::Entrypoint, json!(config.entrypoint())),
        (Fact::Cmd, json!(config.cmd())),
        (Fact::DefaultEnv, json!(config.env())),
        (Fact::DefaultUser, json!(config.user())),
        (Fact::DefaultWorkdir, json!(config.working_dir())),
        (Fact::ExposedPorts, json!(config.exposed_ports())),
        (Fact::DeclaredVolumes, json!(config.volumes())),
        (Fact::Labels, json!(config.labels())),
    ])
}
