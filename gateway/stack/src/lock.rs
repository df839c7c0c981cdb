//! One instance per folder.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::StackError;

/// Held for as long as an instance uses its folder; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes the folder, which exists.
    pub fn acquire(folder: &Path) -> Result<Self, StackError> {
        let path = folder.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| StackError::file(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StackError::Locked(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(StackError::file(&path, &error)),
        }
    }
}
