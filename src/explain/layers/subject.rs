//! The container or image that a command is given by name.

use crate::container::stored::record::{Container, RecordError};
use crate::diag::{Diagnose, ErrorCode, Failure};
use crate::image;
use crate::image::{Image, ImageError};
use crate::store::Store;

pub(crate) enum Subject {
    Container(Box<Container>),
    Image(Box<Image>),
}

impl Subject {
    /// Returns the image itself, or that of the container.
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
    fn code(&self) -> Option<ErrorCode> {
        Some(ErrorCode::NoContainer)
    }

    fn hint(&self) -> Option<String> {
        let meant = self.meant.as_ref().map(|meant| format!("{meant}; ")).unwrap_or_default();
        Some(format!("{meant}list them: minirun ps -a, minirun images"))
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// Finds a container or, if there is none, an image, as Docker does.
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
        // An empty name is a prefix of every ID.
        Err(_) if name.is_empty() => Err(NotFound { name: "\"\"".into(), meant }.into()),
        Ok(image) => Ok(Subject::Image(Box::new(image))),
        Err(ImageError::NotFound { .. }) => {
            Err(NotFound { name: name.to_owned(), meant: meant.or_else(|| image::meant(store, name)) }.into())
        }
        Err(error) => Err(error.into()),
    }
}
