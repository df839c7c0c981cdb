//! The process table: who is whose child, and which servers name a folder.
//!
//! Read from proc(5) on Linux and from ps(1) elsewhere.

use std::path::Path;
use std::process::Command;

use nix::unistd::Pid;

const SERVERS: [&str; 3] = ["postgres", "nats-server", "redis-server"];

/// A process, as the table shows it now.
struct Entry {
    pid: Pid,
    parent: Pid,
    /// `T` is stopped, `Z` has ended and waits for its parent.
    state: char,
    /// The program and its arguments, apart by spaces.
    line: String,
}

/// A process and its children.
pub(crate) fn family(pid: Pid) -> Vec<Pid> {
    let children = entries().into_iter().filter(|entry| entry.parent == pid).map(|entry| entry.pid);
    std::iter::once(pid).chain(children).collect()
}

/// Which of these have not ended.
pub(crate) fn alive(pids: &[Pid]) -> Vec<Pid> {
    states(pids).into_iter().filter(|(_, state)| *state != 'Z').map(|(pid, _)| pid).collect()
}

/// Whether each of these is stopped or has ended.
pub(crate) fn still(pids: &[Pid]) -> bool {
    states(pids).into_iter().all(|(_, state)| matches!(state, 'T' | 'Z'))
}

/// The servers whose command line names exactly this path.
pub(crate) fn servers_of(path: &Path) -> Vec<Pid> {
    let path = path.display().to_string();
    entries().into_iter().filter(|entry| is_server(&entry.line, &path)).map(|entry| entry.pid).collect()
}

fn is_server(line: &str, path: &str) -> bool {
    let program = line.split(' ').next().unwrap_or_default();
    let named = line
        .match_indices(path)
        .any(|(at, _)| line[..at].ends_with(' ') && matches!(line[at + path.len()..].chars().next(), None | Some(' ')));
    named && SERVERS.iter().any(|server| program.rsplit('/').next() == Some(server))
}

fn states(pids: &[Pid]) -> Vec<(Pid, char)> {
    if on_proc() {
        return pids.iter().filter_map(|pid| Some((*pid, stat(*pid)?.0))).collect();
    }
    listed().into_iter().filter(|entry| pids.contains(&entry.pid)).map(|entry| (entry.pid, entry.state)).collect()
}

fn entries() -> Vec<Entry> {
    if !on_proc() {
        return listed();
    }
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
    let entry = |pid: Pid| {
        let (state, parent) = stat(pid)?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
        Some(Entry { pid, parent, state, line })
    };
    folders.filter_map(number).map(Pid::from_raw).filter_map(entry).collect()
}

fn on_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

/// The state and the parent, which `/proc/PID/stat` holds after the name.
fn stat(pid: Pid) -> Option<(char, Pid)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, Pid::from_raw(fields.next()?.parse().ok()?)))
}

fn listed() -> Vec<Entry> {
    let output = Command::new("ps").args(["-axww", "-o", "pid=,ppid=,stat=,command="]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

fn parse(row: &str) -> Option<Entry> {
    let (pid, rest) = row.trim_start().split_once(' ')?;
    let (parent, rest) = rest.trim_start().split_once(' ')?;
    let (state, line) = rest.trim_start().split_once(' ')?;
    let number = |text: &str| text.parse().ok().map(Pid::from_raw);
    let line = line.trim().to_owned();
    Some(Entry { pid: number(pid)?, parent: number(parent)?, state: state.chars().next()?, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_program_and_its_whole_path() {
        assert!(is_server(
            "/usr/lib/postgresql/15/bin/postgres -D /x/postgres/cluster -c port=1",
            "/x/postgres/cluster"
        ));
        assert!(is_server("nats-server -c /x y/nats.conf", "/x y/nats.conf"));
        assert!(!is_server("nats-server -c /x/nats.conf2", "/x/nats.conf"));
        assert!(!is_server("nats-server -c /y/x/nats.conf", "/x/nats.conf"));
        assert!(!is_server("vi /x/nats.conf", "/x/nats.conf"));
    }

    #[test]
    fn a_row_of_ps_is_read() {
        let entry = parse("  12     1 Ss   redis-server /x y/redis.conf").unwrap();
        assert_eq!((entry.pid.as_raw(), entry.parent.as_raw(), entry.state), (12, 1, 'S'));
        assert_eq!(entry.line, "redis-server /x y/redis.conf");
    }

    #[test]
    fn both_tables_agree_on_this_process() {
        let own = Pid::this();
        let parent = Pid::parent();
        for table in [entries(), listed()] {
            assert!(table.iter().any(|entry| entry.pid == own && entry.parent == parent) || table.is_empty());
        }
        assert_eq!(alive(&[own]), [own]);
        assert!(!still(&[own]));
    }
}
