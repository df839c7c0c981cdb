//! The private servers as their users meet them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xagent_stack::{InstanceLock, Need, Server, Stack, StackError, StackOptions};

const SERVERS: [Server; 3] = [Server::Postgres, Server::Nats, Server::Redis];
/// Names the folder in which `holds_a_stack_when_asked_to` starts one.
const HOLD: &str = "XAGENT_STACK_HOLD";

fn folder() -> tempfile::TempDir {
    let root = std::env::var_os("XAGENT_TEST_ROOT").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::Builder::new().prefix("stack-").tempdir_in(root).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

fn options(folder: &Path) -> StackOptions {
    let (postgres, nats, redis) = (Need::Private, Need::Private, Need::Private);
    StackOptions { folder: folder.to_owned(), postgres, nats, redis }
}

fn urls(stack: &Stack) -> [String; 3] {
    [stack.postgres_url(), stack.nats_url(), stack.redis_url()].map(str::to_owned)
}

fn connect(url: &str) -> std::io::Result<TcpStream> {
    let (_, address) = url.rsplit_once('@').unwrap();
    TcpStream::connect(address.split('/').next().unwrap())
}

fn open(url: &str) -> bool {
    connect(url).is_ok()
}

/// Whether the server behind a URL says anything within a second.
fn speaks(url: &str) -> bool {
    let greeting: &[u8] = match url.split(':').next().unwrap() {
        "postgres" => &[0, 0, 0, 8, 4, 210, 22, 47],
        "redis" => b"PING\r\n",
        _ => b"",
    };
    let mut stream = connect(url).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    stream.write_all(greeting).unwrap();
    stream.read(&mut [0; 1]).is_ok_and(|length| length == 1)
}

fn sql(url: &str, statement: &str) -> String {
    // Homebrew keeps versioned packages off the PATH.
    let path = std::env::var("PATH").unwrap();
    let path = format!("{path}:/opt/homebrew/opt/postgresql@15/bin:/usr/local/opt/postgresql@15/bin");
    let mut psql = Command::new("psql");
    let psql = psql.env("PATH", path).args(["-X", "-q", "-t", "-A", "-c", statement, url]).output().unwrap();
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
    String::from_utf8(psql.stdout).unwrap().trim().to_owned()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes whose command line names the folder.
fn processes_of(folder: &Path) -> String {
    let table = Command::new("ps").args(["-axww", "-o", "pid=,stat=,command="]).output().unwrap();
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    let name = folder.display().to_string();
    table.lines().filter(|line| line.contains(&name)).collect::<Vec<_>>().join("\n")
}

#[test]
fn servers_are_stopped_killed_and_started_again_with_their_ports_and_data() {
    let folder = folder();
    let stack = Stack::start(options(folder.path())).unwrap();
    let urls = urls(&stack);
    assert!(urls.iter().all(|url| open(url)));
    sql(&urls[0], "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)");
    for server in SERVERS {
        stack.kill(server).unwrap();
        stack.start_again(server).unwrap();
        stack.stop(server).unwrap();
        stack.start_again(server).unwrap();
        stack.start_again(server).unwrap();
    }
    assert!(urls.iter().all(|url| speaks(url)));
    assert_eq!(sql(&urls[0], "SELECT n FROM kept"), "7");
    stack.shutdown().unwrap();
    assert!(!urls.iter().any(|url| open(url)));
    assert_eq!(processes_of(folder.path()), "");

    let again = Stack::start(options(folder.path())).unwrap();
    assert_eq!(self::urls(&again), urls);
    assert_eq!(sql(&urls[0], "SELECT n FROM kept"), "7");
    drop(again);
    assert_eq!(processes_of(folder.path()), "");
}

#[test]
fn a_paused_server_says_nothing_and_ends_all_the_same() {
    let folder = folder();
    let stack = Stack::start(options(folder.path())).unwrap();
    for (server, url) in SERVERS.into_iter().zip(urls(&stack)) {
        assert!(speaks(&url));
        stack.pause(server).unwrap();
        assert!(!speaks(&url), "{server:?}");
        stack.resume(server).unwrap();
        until("it speaks again", || speaks(&url));
        stack.pause(server).unwrap();
    }
    let began = Instant::now();
    stack.shutdown().unwrap();
    assert!(began.elapsed() < Duration::from_secs(8));
    assert_eq!(processes_of(folder.path()), "");
}

/// Not a test by itself: the process that `a_killed_holder_leaves_no_server` kills.
#[test]
fn holds_a_stack_when_asked_to() {
    let Some(folder) = std::env::var_os(HOLD) else { return };
    let stack = Stack::start(options(Path::new(&folder))).unwrap();
    // Not with println!, which the test harness takes for itself.
    writeln!(std::io::stderr(), "{HOLD} {}", urls(&stack).join(" ")).unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_killed_holder_leaves_no_server() {
    let folder = folder();
    let mut holder = Command::new(std::env::current_exe().unwrap());
    holder.args(["--exact", "holds_a_stack_when_asked_to", "--nocapture"]).env(HOLD, folder.path());
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(holder.stderr.take().unwrap()).lines().map_while(Result::ok);
    let urls = said.filter_map(|line| line.strip_prefix(HOLD).map(str::to_owned)).next().unwrap();
    let urls: Vec<_> = urls.split_whitespace().collect();
    assert!(urls.iter().all(|url| open(url)));
    holder.kill().unwrap();
    holder.wait().unwrap();
    if cfg!(target_os = "linux") {
        until("its servers have ended", || !urls.iter().any(|url| open(url)) && processes_of(folder.path()).is_empty());
    }
    let again = Stack::start(options(folder.path())).unwrap();
    assert_eq!(self::urls(&again).to_vec(), urls);
}

#[test]
fn what_a_crash_left_running_is_ended_first() {
    let folder = folder();
    let only_redis = || StackOptions { postgres: Need::None, nats: Need::None, ..options(folder.path()) };
    drop(Stack::start(only_redis()).unwrap());
    let configuration = folder.path().canonicalize().unwrap().join("redis.conf");
    let mut leftover = Command::new("redis-server").arg(configuration).stdout(Stdio::null()).spawn().unwrap();
    let reaper = std::thread::spawn(move || leftover.wait().unwrap());
    until("it runs", || !processes_of(folder.path()).is_empty());
    let stack = Stack::start(only_redis()).unwrap();
    reaper.join().unwrap();
    assert!(speaks(stack.redis_url()));
    assert_eq!((stack.postgres_url(), stack.nats_url()), ("", ""));
}

#[test]
fn another_port_is_found_where_the_last_one_is_taken_and_a_reused_pid_is_no_obstacle() {
    let folder = folder();
    let only_postgres = || StackOptions { nats: Need::None, redis: Need::None, ..options(folder.path()) };
    let first = Stack::start(only_postgres()).unwrap();
    let url = first.postgres_url().to_owned();
    drop(first);
    let port = url.rsplit_once(':').unwrap().1.strip_suffix("/xagent").unwrap().parse::<u16>().unwrap();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    // This process is not a Postgres.
    let pid_file = folder.path().join("postgres/cluster/postmaster.pid");
    std::fs::write(pid_file, format!("{}\n/nowhere\n0\n{port}\n\n\n\n", std::process::id())).unwrap();
    let second = Stack::start(only_postgres()).unwrap();
    assert_ne!(second.postgres_url(), url);
    assert_eq!(sql(second.postgres_url(), "SHOW fsync"), "on");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let folder = folder();
    let only_nats = StackOptions { postgres: Need::None, redis: Need::None, ..options(folder.path()) };
    std::fs::write(folder.path().join("nats"), "in the way").unwrap();
    let error = Stack::start(only_nats).err().unwrap();
    assert!(matches!(error, StackError::NotReady { server: "NATS", .. }));
    let text = error.to_string();
    assert!(text.contains("nats.log") && text.contains("not a directory"), "{text}");
}

#[test]
fn a_cluster_without_its_password_is_refused() {
    let folder = folder();
    let only_postgres = || StackOptions { nats: Need::None, redis: Need::None, ..options(folder.path()) };
    drop(Stack::start(only_postgres()).unwrap());
    let version = folder.path().join("postgres/cluster/PG_VERSION");
    let made_with = std::fs::read_to_string(&version).unwrap();
    assert!(made_with.trim().parse::<u32>().unwrap() >= 14);
    std::fs::remove_file(folder.path().join("postgres-password")).unwrap();
    let error = Stack::start(only_postgres()).err().unwrap().to_string();
    assert!(error.contains("postgres-password"), "{error}");
}

#[test]
fn a_server_of_somebody_else_is_not_ours_to_stop() {
    let folder = folder();
    let existing = || Need::Existing("nats://127.0.0.1:1".to_owned());
    let options = StackOptions { postgres: existing(), nats: existing(), redis: existing(), ..options(folder.path()) };
    let stack = Stack::start(options).unwrap();
    assert_eq!(stack.nats_url(), "nats://127.0.0.1:1");
    assert!(matches!(stack.kill(Server::Nats), Err(StackError::NotPrivate("NATS"))));
}

#[test]
fn a_folder_has_one_instance() {
    let folder = folder();
    let lock = InstanceLock::acquire(folder.path()).unwrap();
    let refused = InstanceLock::acquire(folder.path()).unwrap_err().to_string();
    assert!(refused.contains(&format!("(pid {})", std::process::id())), "{refused}");
    drop(lock);
    InstanceLock::acquire(folder.path()).unwrap();
}
