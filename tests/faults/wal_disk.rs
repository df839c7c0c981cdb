//! A small disk for the write-ahead log of a Postgres, to be filled up: a tmpfs. Mounting it takes the right to.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use xagent_tests::folder;

/// Room for a few segments of 16 MiB each.
const SIZE: &str = "96m";

pub struct WalDisk {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl WalDisk {
    /// Takes over the log of the cluster, which is not running; says why where that cannot be tried on this machine.
    pub fn take_over(cluster: &Path) -> Result<Self, String> {
        let folder = folder("wal-");
        let (path, log) = (folder.path().join("disk"), cluster.join("pg_wal"));
        fs::create_dir(&path).unwrap();
        let owner = fs::metadata(&log).unwrap();
        let options = format!("size={SIZE},mode=700,uid={},gid={}", owner.uid(), owner.gid());
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "xagent-wal"]).arg(&path))?;
        let disk = Self { path, _folder: folder };
        run(Command::new("cp").arg("-a").arg(log.join(".")).arg(&disk.path)).unwrap();
        fs::remove_dir_all(&log).unwrap();
        symlink(&disk.path, &log).unwrap();
        Ok(disk)
    }

    /// Leaves no room on it.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        while ballast.write_all(&[0; 64 * 1024]).is_ok() {}
    }

    /// Makes room again.
    pub fn clear(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for WalDisk {
    fn drop(&mut self) {
        // Lazily: whoever still ends may have files open there.
        run(Command::new("umount").arg("--lazy").arg(&self.path)).unwrap();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| format!("{command:?}: {}", said.trim()))
}
