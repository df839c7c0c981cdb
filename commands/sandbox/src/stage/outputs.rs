//! What goes into the sandbox as files, and what comes out of it.

use std::fs::FileType;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::FOLDER;
use crate::wire::is_inside;
use crate::{File, Limits, Output, Unkept};

/// Puts the copies where the code finds them.
pub fn place(files: &[File]) -> std::io::Result<()> {
    for file in files {
        let path = Path::new(FOLDER).join(&file.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, &file.bytes)?;
    }
    Ok(())
}

/// The beginning of an output; the rest is read and let go, so that a flood ends by the time it takes.
pub fn capture(from: Option<impl Read>, most: u64) -> Output {
    let Some(mut from) = from else { return Output::default() };
    let (mut kept, mut bytes, mut buffer) = (Vec::new(), 0_u64, vec![0; 64 << 10]);
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        bytes += length as u64;
        let room = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..length.min(room)]);
    }
    Output { text: String::from_utf8_lossy(&kept).into_owned(), bytes, truncated: bytes > kept.len() as u64 }
}

/// Plain files at and under the paths to be kept, once everything has ended. Links lead nowhere.
pub fn gather(keep: &[String], limits: &Limits) -> (Vec<File>, Vec<Unkept>) {
    let mut gathered = Gathered { files: Vec::new(), unkept: Vec::new(), bytes: limits.disk, count: limits.files };
    for path in keep.iter().filter(|path| *path == "." || is_inside(path)) {
        let real = Path::new(FOLDER).join(path);
        if through_a_link(path) {
            gathered.leave(path.clone(), "it is reached through a symbolic link");
        } else if let Ok(found) = std::fs::symlink_metadata(&real) {
            gathered.take(path.clone(), real, found.file_type());
        }
    }
    (gathered.files, gathered.unkept)
}

fn through_a_link(path: &str) -> bool {
    let folders = Path::new(path).ancestors().filter(|folder| !folder.as_os_str().is_empty());
    let real = |folder: &Path| std::fs::symlink_metadata(Path::new(FOLDER).join(folder));
    folders.into_iter().any(|folder| real(folder).is_ok_and(|found| found.file_type().is_symlink()))
}

struct Gathered {
    files: Vec<File>,
    unkept: Vec<Unkept>,
    bytes: u64,
    count: u64,
}

impl Gathered {
    fn take(&mut self, path: String, real: PathBuf, kind: FileType) {
        let mut open = vec![(path, real, kind)];
        while let Some((path, real, kind)) = open.pop() {
            if kind.is_dir() {
                let entries = std::fs::read_dir(&real).into_iter().flatten().flatten();
                for entry in entries {
                    let (name, kind) = (entry.file_name(), entry.file_type());
                    match (name.to_str(), kind) {
                        (Some(name), Ok(kind)) if path == "." => open.push((name.to_owned(), entry.path(), kind)),
                        (Some(name), Ok(kind)) => open.push((format!("{path}/{name}"), entry.path(), kind)),
                        _ => self.leave(format!("{path}/{}", name.to_string_lossy()), "its name is no UTF-8"),
                    }
                }
            } else if kind.is_file() {
                self.take_file(path, &real);
            } else {
                self.leave(path, "it is no plain file");
            }
        }
    }

    fn take_file(&mut self, path: String, real: &Path) {
        let fits = std::fs::metadata(real).is_ok_and(|found| found.len() <= self.bytes) && self.count > 0;
        if !fits {
            return self.leave(path, "there is more than may be kept");
        }
        let Ok(bytes) = std::fs::read(real) else { return self.leave(path, "it cannot be read") };
        (self.count, self.bytes) = (self.count - 1, self.bytes - bytes.len() as u64);
        self.files.push(File { path, bytes });
    }

    fn leave(&mut self, path: String, reason: &str) {
        // As many are named as a person reads.
        if self.unkept.len() < 100 {
            self.unkept.push(Unkept { path: path.chars().take(500).collect(), reason: reason.to_owned() });
        }
    }
}
