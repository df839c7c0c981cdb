//! The private servers as their users meet them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use xagent_stack::{InstanceLock, Need, Server, Stack, StackError, StackOptions};

fn folder() -> tempfile::TempDir {
    let root = std::env::var_os("XAGENT_TEST_ROOT").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::Builder::new().prefix("stack-").tempdir_in(root).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

fn options(folder: &tempfile::TempDir) -> StackOptions {
    let (postgres, nats, redis) = (Need::Private, Need::Private, Need::Private);
    StackOptions { folder: folder.path().to_owned(), postgres, nats, redis }
}

fn open(url: &str) -> bool {
    let (_, address) = url.rsplit_once('@').unwrap();
    TcpStream::connect(address.split('/').next().unwrap()).is_ok()
}

#[test]
fn servers_are_started_killed_started_again_and_leave_nothing_behind() {
    let folder = folder();
    let stack = Stack::start(options(&folder)).unwrap();
    let urls = [stack.postgres_url(), stack.nats_url(), stack.redis_url()].map(str::to_owned);
    assert!(urls.iter().all(|url| open(url)));
    for server in [Server::Postgres, Server::Nats, Server::Redis] {
        stack.kill(server).unwrap();
        stack.start_again(server).unwrap();
        stack.stop(server).unwrap();
        stack.start_again(server).unwrap();
    }
    assert!(urls.iter().all(|url| open(url)));
    stack.shutdown().unwrap();
    assert!(!urls.iter().any(|url| open(url)));
    let again = Stack::start(options(&folder)).unwrap();
    assert_eq!([again.postgres_url(), again.nats_url(), again.redis_url()].map(str::to_owned), urls);
}

#[test]
fn a_server_of_somebody_else_is_not_ours_to_stop() {
    let folder = folder();
    let existing = || Need::Existing("nats://127.0.0.1:1".to_owned());
    let options = StackOptions { postgres: existing(), nats: existing(), redis: existing(), ..options(&folder) };
    let stack = Stack::start(options).unwrap();
    assert_eq!(stack.nats_url(), "nats://127.0.0.1:1");
    assert!(matches!(stack.kill(Server::Nats), Err(StackError::NotPrivate("NATS"))));
}

#[test]
fn a_folder_has_one_instance() {
    let folder = folder();
    let lock = InstanceLock::acquire(folder.path()).unwrap();
    assert!(matches!(InstanceLock::acquire(folder.path()), Err(StackError::Locked(_))));
    drop(lock);
    InstanceLock::acquire(folder.path()).unwrap();
}
