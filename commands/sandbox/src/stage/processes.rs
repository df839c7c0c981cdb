//! What all processes of the sandbox use together, read from its own `/proc`.

use std::collections::HashMap;

use nix::sys::statvfs::statvfs;
use nix::unistd::{SysconfVar, sysconf};

use super::FOLDER;

/// Clock ticks of `/proc/PID/stat` are hundredths of a second on every Linux (USER_HZ).
const TICK_MS: u64 = 10;

/// The use of memory and processor time by everything but the first process.
#[derive(Default)]
pub struct Processes {
    memory: u64,
    /// Processor time by process and its start, the last that was seen of it.
    ticks: HashMap<(u32, u64), u64>,
    /// What children of the first process used that have ended, and their waited-for children.
    reaped: u64,
}

impl Processes {
    /// Looks again.
    pub fn look(&mut self) {
        let Ok(entries) = std::fs::read_dir("/proc") else { return };
        let page =
            sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok()).unwrap_or(4096);
        self.memory = 0;
        let mut alive = HashMap::new();
        for pid in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let Some(stat) = Stat::parse(&stat) else { continue };
            if pid == 1 {
                self.reaped = stat.children;
            } else {
                self.memory = self.memory.saturating_add(stat.pages.saturating_mul(page));
                // With what its own ended children used, which the first process has not waited for.
                alive.insert((pid, stat.start), stat.own + stat.children);
            }
        }
        self.ticks = alive;
    }

    /// Whether they hold more than `most` bytes. Pages that several hold are counted once, where that makes a difference.
    pub fn hold_more_than(&self, most: u64) -> bool {
        self.memory > most
            && self.ticks.keys().map(|(pid, _)| proportional(*pid)).sum::<Option<u64>>().is_none_or(|sum| sum > most)
    }

    /// Processor time of all that live and have ended, in milliseconds.
    pub fn cpu_ms(&self) -> u64 {
        self.ticks.values().sum::<u64>().saturating_add(self.reaped).saturating_mul(TICK_MS)
    }
}

/// The share of a process in memory (proc(5), `Pss` of `smaps_rollup`); none where it hides it, nothing where it has ended.
fn proportional(pid: u32) -> Option<u64> {
    let text = match std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        Ok(text) => text,
        Err(error) => return (error.kind() != std::io::ErrorKind::PermissionDenied).then_some(0),
    };
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    Some(kib.unwrap_or(0).saturating_mul(1024))
}

/// The most files there are in one of the places that can be written. Each costs the system memory that no other limit counts.
pub fn files() -> u64 {
    let used =
        [FOLDER, "/tmp", "/dev/shm"].map(|place| statvfs(place).map_or(0, |found| found.files() - found.files_free()));
    used.into_iter().max().unwrap_or(0)
}

/// Fields of proc(5) `/proc/PID/stat`.
struct Stat {
    own: u64,
    children: u64,
    start: u64,
    pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name of the program is in brackets and may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            own: field(14)? + field(15)?,
            children: field(16)? + field(17)?,
            start: field(22)?,
            pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_kind_moves_no_field() {
        let text =
            "7 (a) b) 1 (c) R 1 7 7 0 -1 4194304 100 0 0 0 11 22 33 44 20 0 1 0 555 4096 777 18446744073709551615";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.own, stat.children, stat.start, stat.pages), (33, 77, 555, 777));
        assert!(Stat::parse("7 (a) R 1").is_none());
    }
}
