//! The house rules, as tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                open.push(path);
            } else if name.ends_with(".rs") || name.ends_with(".sql") || name.ends_with(".rego") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().display().to_string(), text));
            }
        }
    }
    assert!(found.len() > 50);
    found
}

#[test]
fn files_are_small_and_begin_with_what_they_are() {
    for (path, text) in sources() {
        assert!(text.lines().count() <= 400, "{path} has {} lines", text.lines().count());
        let first = text.lines().next().unwrap_or_default();
        let says = first.starts_with("//!")
            || first.starts_with("--")
            || first.starts_with('#')
            || first.starts_with("SELECT");
        assert!(says || path.ends_with("_test.rego"), "{path} begins with `{first}`");
    }
}

#[test]
fn nothing_is_left_undone_or_skipped() {
    // Written apart, so that this file does not find itself.
    let unwanted = ["todo", "unimplemented"].map(|name| format!("{name}!("));
    let more = [["#[ig", "nore"].concat(), ["FIX", "ME"].concat(), ["#[all", "ow("].concat()];
    for (path, text) in sources() {
        for word in unwanted.iter().chain(&more) {
            assert!(!text.contains(word.as_str()), "{path} holds `{word}`");
        }
    }
}

/// What a room is built from on this machine: itself, and its dependencies down to `depth`.
fn dependencies(room: &str, depth: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let output = cargo.args(["--package", room, "--depth", depth]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let found: BTreeSet<String> = text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(found.contains(room), "{found:?}");
    found
}

#[test]
fn the_rooms_depend_on_each_other_only_as_the_map_says() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("xagent-domain", &[][..]),
        ("xagent-trace", &[]),
        ("xagent-tree", &["xagent-domain"]),
        ("xagent-policies", &["xagent-domain"]),
        ("xagent-opa", &["xagent-domain", "xagent-policies"]),
        ("xagent-ledger", &["xagent-domain", "xagent-tree"]),
        ("xagent-commands", &["xagent-domain", "xagent-ledger", "xagent-policies", "xagent-sandbox", "xagent-trace"]),
        ("xagent-sandbox", &[]),
        ("xagent-projections", &["xagent-domain", "xagent-ledger", "xagent-trace"]),
        ("xagent-replay", &["xagent-domain", "xagent-policies", "xagent-tree"]),
        ("xagent-stack", &[]),
    ]);
    for (room, allowed) in allowed {
        let ours = dependencies(room, "1").into_iter().filter(|name| name.starts_with("xagent-") && name != room);
        let beyond: Vec<_> = ours.filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(beyond.is_empty(), "{room} depends on {beyond:?}");
    }
}

#[test]
fn replay_the_law_and_the_domain_cannot_reach_a_network() {
    let networked = ["tokio", "mio", "socket2", "hyper", "reqwest", "sqlx", "async-nats", "redis", "ureq", "curl"];
    for room in ["xagent-replay", "xagent-domain", "xagent-policies"] {
        let closure = dependencies(room, "100");
        assert!(closure.len() > 5);
        for name in networked {
            assert!(!closure.contains(name), "{room} reaches {name}");
        }
    }
    assert!(dependencies("xagent-ledger", "100").contains("tokio"));
}
