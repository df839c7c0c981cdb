//! What the worker and the keeper say to each other: a length, a JSON document, and a tar archive of plain files.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::File;

/// Longer documents are not read.
const LONGEST: u32 = 16 << 20;

pub fn send(mut to: impl Write, document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(document)?;
    let length = u32::try_from(text.len()).map_err(|_| Error::from(ErrorKind::FileTooLarge))?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&text)
}

pub fn receive<T: DeserializeOwned>(mut from: impl Read) -> Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(Error::from(ErrorKind::FileTooLarge));
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

pub fn send_files<'a>(to: impl Write, files: impl IntoIterator<Item = &'a File>) -> Result<()> {
    let mut archive = tar::Builder::new(to);
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, &file.path, file.bytes.as_slice())?;
    }
    archive.finish()
}

/// Plain files with sound relative paths, up to `most` of them and `bytes` in all; anything else is an error.
pub fn receive_files(from: impl Read, most: u64, bytes: u64) -> Result<Vec<File>> {
    let mut archive = tar::Archive::new(from);
    let (mut files, mut left) = (Vec::new(), bytes);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_str().map(str::to_owned);
        let path = path.filter(|path| is_inside(path)).ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        let size = entry.size();
        if !entry.header().entry_type().is_file() || size > left || files.len() as u64 >= most {
            return Err(Error::from(ErrorKind::FileTooLarge));
        }
        left -= size;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.push(File { path, bytes });
    }
    Ok(files)
}

/// Whether a path is relative and stays inside.
pub fn is_inside(path: &str) -> bool {
    use std::path::Component;
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> File {
        File { path: path.to_owned(), bytes: path.as_bytes().to_vec() }
    }

    #[test]
    fn files_arrive_as_they_were_sent() {
        let files = [file("a"), file(&format!("{}/b", "long".repeat(50)))];
        let mut wire = Vec::new();
        send(&mut wire, &"first").unwrap();
        send_files(&mut wire, &files).unwrap();
        let mut wire = wire.as_slice();
        assert_eq!(receive::<String>(&mut wire).unwrap(), "first");
        assert_eq!(receive_files(wire, 2, 1000).unwrap(), files);
    }

    #[test]
    fn what_is_no_plain_file_inside_or_is_too_much_is_refused() {
        let packed = |files: &[File]| {
            let mut wire = Vec::new();
            send_files(&mut wire, files).map(|()| wire)
        };
        assert!(packed(&[file("../a")]).is_err() && packed(&[file("a/../../b")]).is_err());
        let two = packed(&[file("a"), file("b")]).unwrap();
        assert!(receive_files(two.as_slice(), 1, 100).is_err());
        assert!(receive_files(two.as_slice(), 2, 1).is_err());
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_link(&mut link, "a", "/etc/passwd").unwrap();
        assert!(receive_files(archive.into_inner().unwrap().as_slice(), 5, 100).is_err());
        for outside in ["", "/a", "../a", "a/..", "."] {
            assert!(!is_inside(outside), "{outside}");
        }
        assert!(receive::<String>([0xff, 0xff, 0xff, 0xff].as_slice()).is_err());
    }
}
