//! The scripted chat server, for a person: `cargo run -p xagent-tests --bin chat-server -- SCRIPT [ADDRESS]`.

use std::process::ExitCode;

use xagent_tests::{ChatServer, Script};

const USAGE: &str = "usage: chat-server SCRIPT [ADDRESS]

Speaks the chat completions protocol and answers by SCRIPT, a JSON file; ADDRESS is 127.0.0.1:8089 unless given.
See docs/planners.md and tests/data/chat/repo_review.json.";

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (path, address) = (arguments.next(), arguments.next().unwrap_or_else(|| "127.0.0.1:8089".to_owned()));
    let (Some(path), Ok(address)) = (path, address.parse()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let script =
        std::fs::read_to_string(&path).map_err(|error| error.to_string()).and_then(|text| Script::parse(&text));
    let script = match script {
        Ok(script) => script,
        Err(error) => {
            eprintln!("error: {path}: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let server = ChatServer::on(address, script).await;
    println!("Answering at {}; Ctrl-C stops.", server.url());
    let mut told = 0;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = look.tick() => {}
        }
        for request in server.requests().iter().skip(told) {
            let messages = request.body["messages"].as_array().map_or(0, Vec::len);
            println!("{messages:>4} messages to {}", request.body["model"]);
            told += 1;
        }
    }
    server.stop().await;
    ExitCode::SUCCESS
}
