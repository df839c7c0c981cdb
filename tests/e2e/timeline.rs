//! A run through time: its state as of any event, what changed between two, and the view of it on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::world::{Api, World, until};

/// A run that was paused and resumed, and a call of it that was denied.
async fn recorded(api: &Api) -> (String, u64) {
    let tool =
        json!({"name": "note", "schema": {"type": "object"}, "executor": "client", "risk": "low", "paths": ["path"]});
    api.post("/v1/tools", &tool).await.expect(201);
    let run = api.start_client_run().await;
    let call = json!({"tool": "note", "arguments": {"path": "../secret.md"}});
    assert_eq!(api.post(&format!("/v1/runs/{run}/tool-calls"), &call).await.expect(201)["status"], "denied");
    api.post(&format!("/v1/runs/{run}/pause"), &json!({"reason": "lunch"})).await.expect(200);
    let last = api.events(&run).await.len() as u64;
    (run, last)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_between_any_two_events_leads_from_one_state_to_the_other() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let (run, last) = recorded(&alice).await;
    let mut states = vec![Value::Null];
    for at in 1..=last {
        let shown = alice.get(&format!("/v1/runs/{run}?at={at}")).await.expect(200);
        assert_eq!(shown["sequence"], at);
        states.push(shown["state"].clone());
    }
    for (from, to) in (1..=last).flat_map(|from| (1..=last).map(move |to| (from, to))) {
        let diff = alice.get(&format!("/v1/runs/{run}/diff?from={from}&to={to}")).await.expect(200);
        let patch: json_patch::Patch = serde_json::from_value(diff["changes"].clone()).unwrap();
        let mut state = states[usize::try_from(from).unwrap()].clone();
        json_patch::patch(&mut state, &patch).unwrap();
        assert_eq!(state, states[usize::try_from(to).unwrap()], "{from} to {to}");
        assert_eq!(patch.0.is_empty(), from == to || state == states[usize::try_from(from).unwrap()]);
    }
    let paused = alice.get(&format!("/v1/runs/{run}/diff?from={}&to={last}", last - 1)).await.expect(200);
    let change = json!({"op": "replace", "path": "/status", "was": "running", "value": "paused"});
    assert_eq!(paused["changes"], json!([change]));
    let begun = alice.get(&format!("/v1/runs/{run}/diff?from=0&to=3")).await.expect(200);
    assert!(begun["changes"].as_array().unwrap().contains(&json!(
        {"op": "replace", "path": "/status", "was": "not_started", "value": "running"}
    )));

    let problem = alice.get(&format!("/v1/runs/{run}/diff?from=1&to={}", last + 1)).await.problem(400, "invalid-input");
    assert_eq!(problem["field"], "to");
    assert!(problem["detail"].as_str().unwrap().contains(&format!("last event is {last}")), "{problem:#}");
    alice.get(&format!("/v1/runs/{run}/diff?from=1")).await.problem(400, "invalid-input");
    let unknown = format!("run_{}", "0".repeat(32));
    alice.get(&format!("/v1/runs/{unknown}/diff?from=1&to=2")).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_a_run_as_of_an_event_and_what_changed() {
    let world = World::new().await;
    let (run, last) = recorded(&world.everything("alice")).await;
    let text = async |arguments: &[&str]| {
        let output = world.xagent(arguments).await;
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said, _) = text(&["runs", "show", &run, "--at", "3"]).await;
    assert_eq!(code, Some(0));
    assert!(said.starts_with(&format!("{run} after event 3\nstatus    running\n")), "{said}");
    let (_, said, _) = text(&["runs", "show", &run]).await;
    assert!(said.contains("status    paused\n") && said.contains("calls     1 decided, 1 denied\n"), "{said}");
    let (code, _, error) = text(&["runs", "show", &run, "--at", "99"]).await;
    assert_eq!(code, Some(2));
    assert!(error.contains("has no event 99") && error.contains(&format!("from 1 to {last}")), "{error}");
    let (from, to) = ((last - 1).to_string(), last.to_string());
    let (_, said, _) = text(&["runs", "diff", &run, &from, &to]).await;
    assert_eq!(said, "~ /status  \"running\" -> \"paused\"\n");
    let (_, said, _) = text(&["--json", "runs", "diff", &run, &to, &from]).await;
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["changes"][0]["value"], "running");
    let (code, _, error) = text(&["runs", "step", &run]).await;
    assert_eq!(code, Some(2));
    assert!(error.contains("on a terminal") && error.contains("xagent runs show RUN --at N"), "{error}");
}

/// A program on a terminal of its own.
struct Terminal {
    child: Child,
    keyboard: File,
    /// Keeps the terminal open, and knows its settings.
    line: OwnedFd,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    fn step(world: &World, arguments: &[&str], colours: bool) -> Self {
        let (rows, columns) = (NonZeroU16::new(24).unwrap(), NonZeroU16::new(120).unwrap());
        let size = Winsize { ws_row: 24, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let mut command = world.command(&[&["runs", "step"], arguments].concat());
        command.env("TERM", "xterm-256color");
        if !colours {
            command.env("NO_COLOR", "1");
        }
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).kill_on_drop(true).spawn().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let mut output = File::from(pty.master.try_clone().unwrap());
        let seen = screen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read) = output.read(&mut bytes) {
                if read == 0 {
                    break;
                }
                seen.lock().unwrap().process(&bytes[..read]);
            }
        });
        Self { child, keyboard: File::from(pty.master), line: pty.slave, screen }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    async fn shows(&self, text: &str) {
        let found = until(text, async || {
            let contents = self.screen.lock().unwrap().screen().contents();
            contents.contains(text).then_some(())
        });
        if tokio::time::timeout(Duration::from_secs(20), found).await.is_err() {
            panic!("`{text}` is not on the screen:\n{}", self.screen.lock().unwrap().screen().contents());
        }
    }

    /// Whether keys are echoed and lines are gathered, as in a shell.
    fn is_usual(&self) -> bool {
        let flags = tcgetattr(&self.line).unwrap().local_flags;
        flags.contains(LocalFlags::ECHO | LocalFlags::ICANON)
    }

    /// Waits for the end, after which the terminal is as it was.
    async fn left(mut self, code: i32) {
        let ended = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await.unwrap().unwrap();
        assert_eq!(ended.code(), Some(code));
        assert!(self.is_usual());
        until("the screen of before is back", async || {
            let screen = self.screen.lock().unwrap();
            (!screen.screen().alternate_screen() && !screen.screen().hide_cursor()).then_some(())
        })
        .await;
    }

    fn is_coloured(&self) -> bool {
        let screen = self.screen.lock().unwrap();
        let cells = (0..24).flat_map(|row| (0..120).map(move |column| (row, column)));
        let mut cells = cells.filter_map(|(row, column)| screen.screen().cell(row, column));
        cells.any(|cell| cell.fgcolor() != vt100::Color::Default)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_steps_through_a_run_on_a_terminal_and_gets_it_back_as_it_was() {
    let world = World::new().await;
    let (run, last) = recorded(&world.everything("alice")).await;
    let mut terminal = Terminal::step(&world, &[&run], true);
    terminal.shows(&format!("{run}  event {last} of {last}")).await;
    terminal.shows("q leave").await;
    assert!(!terminal.is_usual() && terminal.screen.lock().unwrap().screen().alternate_screen());
    terminal.press("2");
    terminal.shows("~ /status  \"running\" -> \"paused\"").await;
    // Up to the decision that denies, by an arrow and by a letter: its reasons and its input are there.
    terminal.press("1\u{1b}[Ak");
    terminal.shows(&format!("event {} of {last}", last - 2)).await;
    terminal.shows("decision  deny, by xagent/tools/decision").await;
    terminal.shows("reason    path_outside_workspace").await;
    terminal.shows("\"../secret.md\"").await;
    assert!(terminal.is_coloured());
    terminal.press("g3\r3");
    terminal.shows(&format!("event 3 of {last}")).await;
    terminal.shows("status    running").await;
    terminal.press("\u{1b}[H");
    terminal.shows(&format!("event 1 of {last}")).await;
    terminal.press("\u{1b}[F");
    terminal.shows(&format!("event {last} of {last}")).await;
    terminal.shows("status    paused").await;
    terminal.press("q");
    terminal.left(0).await;

    // Without colours; left by Ctrl-C, and by a signal from elsewhere.
    let mut terminal = Terminal::step(&world, &[&run, "--at", "2"], false);
    terminal.shows(&format!("event 2 of {last}")).await;
    assert!(!terminal.is_coloured());
    terminal.press("\u{3}");
    terminal.left(0).await;
    let terminal = Terminal::step(&world, &[&run], true);
    terminal.shows("q leave").await;
    let pid = i32::try_from(terminal.child.id().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    terminal.left(0).await;
}
