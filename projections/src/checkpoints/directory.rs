//! A folder outside. Readers see the old text or the new one, never half of one.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::io::AsyncReadExt;

use super::place::{LONGEST, PlaceError};

/// A folder, made where it is missing.
#[derive(Clone)]
pub struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    pub(super) async fn read(&self, name: &str) -> Result<Option<String>, PlaceError> {
        let path = self.0.join(name);
        let read = async {
            let file = match fs::File::open(&path).await {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                opened => opened?,
            };
            let mut bytes = Vec::new();
            file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).await?;
            Ok(Some(bytes))
        };
        let bytes = read.await.map_err(failed(&path))?;
        if bytes.as_ref().is_some_and(|bytes| bytes.len() > LONGEST) {
            return Err(PlaceError::TooLong(path.display().to_string()));
        }
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    pub(super) async fn write(&self, name: &str, text: &str) -> Result<(), PlaceError> {
        let (beside, path) = self.beside(name, text).await?;
        fs::rename(&beside, &path).await.map_err(failed(&path))
    }

    pub(super) async fn keep(&self, name: &str, text: &str) -> Result<(), PlaceError> {
        let (beside, path) = self.beside(name, text).await?;
        // A link is made only where nothing has the name.
        let linked = fs::hard_link(&beside, &path).await;
        fs::remove_file(&beside).await.map_err(failed(&beside))?;
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(failed(&path)),
        }
    }

    /// Writes the text beside its name, on the disk before anybody sees it.
    async fn beside(&self, name: &str, text: &str) -> Result<(PathBuf, PathBuf), PlaceError> {
        let (beside, path) = (self.0.join(format!("{name}.part")), self.0.join(name));
        let write = async {
            fs::create_dir_all(&self.0).await?;
            fs::write(&beside, text).await?;
            fs::File::open(&beside).await?.sync_all().await
        };
        write.await.map_err(failed(&beside))?;
        Ok((beside, path))
    }
}

fn failed(path: &Path) -> impl FnOnce(Error) -> PlaceError {
    move |error| PlaceError::File { path: path.to_owned(), error }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_never_written_over_and_what_is_written_is() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path().join("new"));
        assert_eq!(directory.read("a").await.unwrap(), None);
        for text in ["one", "two"] {
            directory.write("a", text).await.unwrap();
            directory.keep("b", text).await.unwrap();
        }
        assert_eq!(directory.read("a").await.unwrap().as_deref(), Some("two"));
        assert_eq!(directory.read("b").await.unwrap().as_deref(), Some("one"));
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 2, "nothing is left beside");
    }

    #[tokio::test]
    async fn what_cannot_be_read_or_written_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), vec![b'x'; LONGEST + 1]).unwrap();
        let directory = Directory::new(folder.path().to_owned());
        assert!(matches!(directory.read("file").await, Err(PlaceError::TooLong(path)) if path.ends_with("file")));
        let error = Directory::new(folder.path().join("file")).write("a", "text").await.unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
