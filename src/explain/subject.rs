//! What a command is asked about: a container, else an image; and the layers that it is made of.

use super::anatomy::Instruction;
use crate::container::stored::record::{Container, RecordError};
use crate::diag::{Diagnose, Failure};
use crate::image;
use crate::image::name::digest::Digest;
use crate::image::stored::layer;
use crate::image::{Image, ImageError, history};
use crate::store::Store;
use std::path::{Path, PathBuf};

pub(crate) enum Subject {
    Container(Box<Container>),
    Image(Box<Image>),
}

impl Subject {
    /// The image itself, or that of the container.
    pub(crate) fn image(&self, store: &Store) -> Result<Image, ImageError> {
        match self {
            Self::Container(container) => image::find(store, &container.record.image_id.to_string()),
            Self::Image(image) => Ok(image.as_ref().clone()),
        }
    }

    pub(crate) fn container(&self) -> Option<&Container> {
        match self {
            Self::Container(container) => Some(container),
            Self::Image(_) => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no such container or image: {name}")]
struct NotFound {
    name: String,
    meant: Option<String>,
}

impl Diagnose for NotFound {
    fn hint(&self) -> Option<String> {
        let meant = self.meant.as_ref().map(|meant| format!("{meant}; ")).unwrap_or_default();
        Some(format!("{meant}see which there are: minirun ps -a, minirun images"))
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// A container first, then an image, as Docker looks.
///
/// # Errors
/// When there is neither, when the beginning of an id is that of several, or when its records are damaged.
pub(crate) fn find(store: &Store, name: &str) -> Result<Subject, Failure> {
    let meant = match Container::find(store, name) {
        Ok(container) => return Ok(Subject::Container(Box::new(container))),
        Err(RecordError::NotFound { meant, .. }) => meant,
        Err(error) => return Err(error.into()),
    };
    match image::find(store, name) {
        // An empty name is none, whatever it would have named.
        Err(_) if name.is_empty() => Err(NotFound { name: "\"\"".into(), meant }.into()),
        Ok(image) => Ok(Subject::Image(Box::new(image))),
        Err(ImageError::NotFound { .. }) => {
            Err(NotFound { name: name.to_owned(), meant: meant.or_else(|| image::meant(store, name)) }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// A path of the container, as it lies in a directory that holds its files.
pub(crate) fn beneath(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path.strip_prefix("/").unwrap_or(path))
}

/// One read-only layer of an image.
pub(crate) struct Layer {
    /// 1 is the lowest.
    pub number: usize,
    pub diff_id: Digest,
    /// A lower directory of the overlay.
    pub directory: PathBuf,
    /// The bytes of its files' contents.
    pub size: u64,
    pub entries: u64,
    /// The instruction that made it, as far as the image says.
    pub instruction: Option<String>,
}

/// What made an image, the first first.
pub(crate) fn instructions(store: &Store, image: &Image) -> Result<Vec<Instruction>, ImageError> {
    let mut steps = history::history(store, image)?;
    steps.reverse();
    let mut number = 0;
    let told = |step: history::Step| {
        number += usize::from(step.layer.is_some());
        let said = if step.created_by.is_empty() { step.comment } else { step.created_by };
        Instruction {
            text: Some(instruction(&said)).filter(|text| !text.is_empty()),
            layer: step.layer.map(|_| number),
        }
    };
    Ok(steps.into_iter().map(told).collect())
}

/// The layers of an image, the lowest first.
pub(crate) fn layers(store: &Store, image: &Image) -> Result<Vec<Layer>, ImageError> {
    let made = instructions(store, image)?.into_iter().filter_map(|made| made.layer.map(|_| made.text));
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
    image.layers.iter().copied().zip(made).enumerate().map(layer).collect()
}

/// A row of the history as it stood in the Dockerfile: without the shell that builders put before it.
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
