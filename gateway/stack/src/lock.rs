//! One instance per folder.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::StackError;

/// Held for as long as an instance uses its folder; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct InstanceLock {
    file: File,
}

impl Drop for InstanceLock {
    /// Closing is not enough: a child that is just being started holds the file, and with it the lock, until it runs.
    fn drop(&mut self) {
        // Where it fails, the lock ends with the process.
        let _held = self.file.unlock();
    }
}

impl InstanceLock {
    /// Takes the folder, which exists.
    pub fn acquire(folder: &Path) -> Result<Self, StackError> {
        let path = folder.join("lock");
        let failed = |error: std::io::Error| StackError::file(&path, &error);
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(failed)?;
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let read = file.read_to_string(&mut pid);
                // Its holder may be about to write it.
                let pid = read.ok().and_then(|_| pid.trim().parse().ok());
                Err(StackError::Locked { folder: folder.to_owned(), pid })
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
