//! OPA's bundle format: a gzipped tar file. What is read is bounded and goes nowhere but into memory.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, EntryType, Header};

use super::BundleError;
use super::files::LARGEST_TOTAL;

/// Bytes of an archive.
const LARGEST_ARCHIVE: usize = 8 * 1024 * 1024;
/// Bytes unpacked: the files, and at most as much again for the headers and padding of small ones.
const LARGEST_UNPACKED: u64 = 2 * LARGEST_TOTAL as u64;

fn wrong(detail: impl ToString) -> BundleError {
    BundleError::Archive(detail.to_string())
}

/// Hands over each file with its path. Folders are passed by; anything else that is no plain file is refused.
pub(super) fn read(
    bytes: &[u8],
    mut file: impl FnMut(String, Vec<u8>) -> Result<(), BundleError>,
) -> Result<(), BundleError> {
    if bytes.len() > LARGEST_ARCHIVE {
        return Err(BundleError::TooLarge(format!("the archive has {} bytes, at most {LARGEST_ARCHIVE}", bytes.len())));
    }
    let mut bounded = Bounded { inner: MultiGzDecoder::new(bytes), left: LARGEST_UNPACKED };
    let mut archive = Archive::new(&mut bounded);
    for entry in archive.entries().map_err(unread)? {
        let mut entry = entry.map_err(unread)?;
        let path = path(&entry.path_bytes())?;
        match entry.header().entry_type() {
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Regular | EntryType::Continuous => {}
            other => return Err(wrong(format!("`{path}` is a {other:?}, not a plain file"))),
        }
        if path.is_empty() {
            return Err(wrong("a file has no name"));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(unread)?;
        file(path, content)?;
    }
    Ok(())
}

fn unread(error: std::io::Error) -> BundleError {
    match error.get_ref().is_some_and(|inner| inner.is::<TooLarge>()) {
        true => BundleError::TooLarge(format!("the archive unpacks to more than {LARGEST_UNPACKED} bytes")),
        false => wrong(format!("{error}: expected is a .tar.gz as `opa build` writes it")),
    }
}

/// A path as it is in a bundle: relative, and without steps out of it.
fn path(bytes: &[u8]) -> Result<String, BundleError> {
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("a file's name is not UTF-8"))?;
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(wrong(format!("`{text}` leads out of the bundle"))),
            part if part.contains(['\\', '\0']) || part.chars().any(char::is_control) => {
                return Err(wrong(format!("`{}` is no name for a file of a bundle", text.escape_debug())));
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Ends with an error where a reader would stop short, so that nothing is cut off unseen.
struct Bounded<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("it is too large")]
struct TooLarge;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| std::io::Error::other(TooLarge))?;
        Ok(read)
    }
}

/// Writes files as an archive, without anything that differs from machine to machine.
pub(super) fn write(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, BundleError> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (path, content) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        builder.append_data(&mut header, path, content.as_slice()).map_err(wrong)?;
    }
    let mut gzip = builder.into_inner().map_err(wrong)?;
    gzip.flush().map_err(wrong)?;
    gzip.finish().map_err(wrong)
}
