//! The read-only layers of an image, and the instructions that made them.

use crate::image::name::digest::Digest;
use crate::image::stored::layer;
use crate::image::{Image, ImageError, history};
use crate::store::Store;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize)]
pub(crate) struct Instruction {
    /// `None`: the image does not record it.
    pub text: Option<String>,
    /// The number of the layer that it made, if any.
    pub layer: Option<usize>,
}

/// Returns where a path of the container lies, given the directory that holds the container's files.
pub(crate) fn beneath(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path.strip_prefix("/").unwrap_or(path))
}

/// A read-only layer of an image.
pub(crate) struct Layer {
    /// 1 is the lowest.
    pub number: usize,
    pub diff_id: Digest,
    /// A lower directory of the overlay.
    pub directory: PathBuf,
    /// The bytes of its files' contents.
    pub size: u64,
    pub entries: u64,
    /// The instruction that made it, if the image records it.
    pub instruction: Option<String>,
}

/// Returns the instructions that made an image, in order.
pub(crate) fn instructions(store: &Store, image: &Image) -> Result<Vec<Instruction>, ImageError> {
    let mut steps = history::history(store, image)?;
    steps.reverse();
    let mut number = 0;
    let instruction_of = |step: history::Step| {
        number += usize::from(step.layer.is_some());
        let text = if step.created_by.is_empty() { step.comment } else { step.created_by };
        Instruction {
            text: Some(instruction(&text)).filter(|text| !text.is_empty()),
            layer: step.layer.map(|_| number),
        }
    };
    Ok(steps.into_iter().map(instruction_of).collect())
}

/// Returns the layers of an image, the lowest first.
pub(crate) fn layers(store: &Store, image: &Image) -> Result<Vec<Layer>, ImageError> {
    let texts = instructions(store, image)?.into_iter();
    let texts = texts.filter_map(|instruction| instruction.layer.map(|_| instruction.text));
    let layer = |(index, (diff_id, instruction)): (usize, (Digest, Option<String>))| {
        let info = layer::known(store, &diff_id)?;
        Ok(Layer {
            number: index + 1,
            directory: layer::directory(store, &diff_id).join("fs"),
            diff_id,
            size: info.size,
            entries: info.entries,
            instruction,
        })
    };
    image.layers.iter().copied().zip(texts).enumerate().map(layer).collect()
}

/// Returns a row of the history as it was written in the Dockerfile: without the shell that builders put before it.
fn instruction(created_by: &str) -> String {
    let text = created_by.trim();
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim_end();
    if let Some(metadata) = text.strip_prefix("/bin/sh -c #(nop)") {
        return metadata.trim_start().to_owned();
    }
    match text.strip_prefix("/bin/sh -c ").or_else(|| text.strip_prefix("RUN /bin/sh -c ")) {
        Some(command) => format!("RUN {command}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::instruction;

    #[test]
    fn instructions_as_they_were_written() {
        for (created_by, written) in [
            (
                "/bin/sh -c #(nop) ADD file:37a76ec18f9887751cd8473744917d08b7431fc4085097bb6a09d81b41775473 in / ",
                "ADD file:37a76ec18f9887751cd8473744917d08b7431fc4085097bb6a09d81b41775473 in /",
            ),
            ("/bin/sh -c apk add nginx", "RUN apk add nginx"),
            ("RUN /bin/sh -c apk add nginx # buildkit", "RUN apk add nginx"),
            ("COPY index.html /www/ # buildkit", "COPY index.html /www/"),
            ("", ""),
        ] {
            assert_eq!(instruction(created_by), written);
        }
    }
}
