//! The settings file and profiles of the command line, completions and manual pages.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::world::World;

/// What a command says that knows nothing but a settings file.
async fn told(world: &World, file: &str, arguments: &[&str]) -> Output {
    let path = world.workspace.with_file_name("config.toml");
    std::fs::write(&path, file).unwrap();
    let config = path.display().to_string();
    world.xagent_offline(&[&["--config", &config, "--home", "none"], arguments].concat()).await
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A settings file with the world's server as profile `here` and another one that nobody listens on as default.
async fn profiles(world: &World) -> (String, PathBuf) {
    let token = world.xagent(&["token", "--subject", "carol", "--scope", "run:read"]).await.stdout;
    let file = world.workspace.with_file_name("token");
    std::fs::write(&file, token).unwrap();
    let entry =
        |name: &str, url: &str| format!("[profiles.{name}]\nurl = \"{url}\"\ntoken_file = \"{}\"\n", file.display());
    let text =
        format!("default_profile = \"away\"\n{}{}", entry("here", &world.url), entry("away", "http://127.0.0.1:1"));
    (text, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_says_which_server_and_who_one_is_there() {
    let world = World::new().await;
    let (file, token) = profiles(&world).await;
    let runs = json(&told(&world, &file, &["--json", "--profile", "here", "runs"]).await);
    assert!(runs["items"].is_array(), "{runs}");
    assert!(error(&told(&world, &file, &["runs"]).await).contains("http://127.0.0.1:1 gives no answer"));
    let unknown = error(&told(&world, &file, &["--profile", "there", "runs"]).await);
    assert!(unknown.contains("no profile `there`") && unknown.contains("away, here"), "{unknown}");
    // The token grants no more than it does.
    let denied = error(&told(&world, &file, &["--profile", "here", "ledger", "head"]).await);
    assert!(denied.contains("missing_scope") || denied.contains("Denied"), "{denied}");
    std::fs::write(token, "two words").unwrap();
    let bad = error(&told(&world, &file, &["--profile", "here", "runs"]).await);
    assert!(bad.contains("does not hold a token") && !bad.contains("two words"), "{bad}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_profile_goes_to_no_other_server() {
    let world = World::new().await;
    let (file, _) = profiles(&world).await;
    let alone = error(&told(&world, &file, &["runs", "--url", &world.url]).await);
    assert!(alone.contains("there is no token for"), "{alone}");
    let both = error(&told(&world, &file, &["--profile", "away", "runs", "--url", &world.url]).await);
    assert!(both.contains("drop one of --profile"), "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_would_run_with_is_shown_with_where_it_comes_from() {
    let world = World::new().await;
    let file = "[serve]\nlisten = \"127.0.0.1:7999\"\ndatabase-url = \"postgres://app:pw@db/x\"\nworkspace = [\"/a\", \"/b\"]\n";
    let shown = json(&told(&world, file, &["--json", "config"]).await);
    let setting = |name: &str| (shown["serve"][name]["value"].clone(), shown["serve"][name]["source"].clone());
    assert_eq!(setting("listen"), ("127.0.0.1:7999".into(), "file".into()));
    assert_eq!(setting("workspace"), ("/a, /b".into(), "file".into()));
    assert_eq!(setting("database-url"), ("postgres://app:hidden@db/x".into(), "file".into()));
    assert_eq!(setting("nats-url").1, "not set");
    let unknown = error(&told(&world, "[serve]\nlissten = 1", &["runs"]).await);
    assert!(unknown.contains("unknown key `lissten`") && unknown.contains("listen"), "{unknown}");
    let wrong = error(&told(&world, "[serve]\nlisten = \"nowhere\"", &["serve"]).await);
    assert!(wrong.contains("nowhere") && wrong.contains("--listen"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_are_told_what_completes_and_readers_get_a_page_for_every_command() {
    let world = World::new().await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.xagent_offline(&["completions", shell]).await;
        let text = String::from_utf8_lossy(&script.stdout).into_owned();
        assert!(script.status.success() && text.contains("evidence") && text.contains("profile"), "{shell}");
    }
    let pages = json(&world.xagent_offline(&["--json", "man", "pages"]).await);
    let tail = std::fs::read_to_string(world.workspace.join("pages/xagent-tail.1")).unwrap();
    assert!(tail.contains("xagent tail") && tail.contains("denied"), "{tail}");
    let names: Vec<_> = pages["pages"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(names.contains(&"pages/xagent.1") && names.contains(&"pages/xagent-policy-publish.1"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_gone_ends_a_command_without_a_word() {
    let world = World::new().await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = world.command(&["token", "--subject", "carol"]);
    let ended = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let output = ended.wait_with_output().await.unwrap();
    // 128 and the number of SIGPIPE.
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(141), &[] as &[u8]));
}
