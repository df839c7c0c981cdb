//! What is drawn, and what keys do, on a terminal that is a buffer.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::screen::{Pane, Screen};
use super::timeline::Timeline;

const RUN: &str = "run_01a21facab53744caa250ed7035b4646";
const CALL: &str = "call_01a21facabe5723c9fff0745968c652b";

/// A run whose only call is denied.
fn events() -> Vec<Value> {
    let input =
        json!({"digest": "0".repeat(64), "size": 25, "media_type": "application/json", "text": "{\"call\":\"x\"}"});
    let digest = "1".repeat(64);
    let facts = [
        json!({"RunStarted": {"run": RUN, "agent": "clerk", "principal": {"id": "ann", "tenant": "default", "scopes": [],
            "roles": []}, "planner": "client", "workspace": null}}),
        json!({"GoalSet": {"goal": "goal_01a21facab53744caa250ed8e69d5c04", "parent": null, "text": "pay\u{1b}[2J it"}}),
        json!({"ToolCallProposed": {"call": CALL, "goal": "goal_01a21facab53744caa250ed8e69d5c04", "label": "pay",
            "tool": {"name": "pay", "digest": digest, "risk": "high", "idempotent": false, "consequential": true,
                "reads_untrusted": false, "executor": "client"},
            "arguments": input, "arguments_digest": digest, "resources": {"paths": [], "urls": [], "code": []}}}),
        json!({"DecisionMade": {"decision": "dec_01a21facac4d7475a386039e2dc78689",
            "question": {"tool_call": {"call": CALL, "approval": null}},
            "context": {"now_us": 1_700_000_000_000_000_i64, "usage": {"commands_last_minute": 0,
                "tool_calls_last_minute": 0}},
            "input": input, "evaluation": {"entrypoint": "xagent/tools/decision", "bundle": digest,
                "engine": {"name": "regorus", "version": "1", "mode": "m"}, "limits": {"timeout_ms": 1},
                "outcome": {"document": "{\"allow\":false,\"deny\":[],\"obligations\":[]}"}, "duration_us": 1},
            "allow": false, "deny": [{"code": "missing_scope", "rule": "r", "message": "no `tool:pay`"}],
            "obligations": []}}),
        json!({"RunPaused": {"reason": "to look"}}),
    ];
    let version = |kind: &str| if kind == "DecisionMade" { "2" } else { "1" };
    let event = |(fact, sequence): (Value, u64)| {
        let kind = fact.as_object().unwrap().keys().next().unwrap().clone();
        json!({
            "position": 100 + sequence, "sequence": sequence, "event_version": version(&kind), "event_type": kind,
            "recorded_at_us": 1_700_000_000_000_000_i64, "leaf_hash": "2".repeat(64), "metadata": {"actor": "ann"},
            "payload": fact,
        })
    };
    facts.into_iter().zip(1..).map(event).collect()
}

fn screen(at: usize) -> Screen {
    Screen::new(Timeline::of(RUN, events()).unwrap(), at, false)
}

fn press(screen: &mut Screen, keys: &[KeyCode]) -> bool {
    keys.iter().all(|key| screen.pressed(KeyEvent::new(*key, KeyModifiers::NONE)))
}

/// The screen as text, 110 columns wide.
fn drawn(screen: &mut Screen) -> String {
    let mut terminal = Terminal::new(TestBackend::new(110, 14)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| (0..110).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
    (0..14).map(row).collect()
}

fn reviewed(name: &str, text: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/runs/step/screens").join(name);
    if std::env::var_os("XAGENT_REGENERATE").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == text, "{} is another screen:\n{text}", file.display());
}

#[test]
fn a_decision_is_shown_with_its_reasons_and_its_input() {
    reviewed("event.txt", &drawn(&mut screen(4)));
}

#[test]
fn what_an_event_changed_and_the_state_after_it_are_shown() {
    let mut screen = screen(5);
    assert!(press(&mut screen, &[KeyCode::Tab]));
    reviewed("changes.txt", &drawn(&mut screen));
    assert!(press(&mut screen, &[KeyCode::Char('3'), KeyCode::Char('k')]));
    reviewed("state.txt", &drawn(&mut screen));
}

#[test]
fn keys_go_to_events_and_never_past_the_ends() {
    let mut screen = screen(5);
    let cases: [(&[KeyCode], usize); 9] = [
        (&[KeyCode::Down], 5),
        (&[KeyCode::Up, KeyCode::Char('k')], 3),
        (&[KeyCode::Home, KeyCode::Up], 1),
        (&[KeyCode::Char('j')], 2),
        (&[KeyCode::End], 5),
        (&[KeyCode::Char('g'), KeyCode::Char('4'), KeyCode::Enter], 4),
        (&[KeyCode::Char('g'), KeyCode::Char('9'), KeyCode::Enter], 5),
        (&[KeyCode::Char('g'), KeyCode::Char('2'), KeyCode::Esc], 5),
        (
            &[
                KeyCode::Char('g'),
                KeyCode::Char('x'),
                KeyCode::Char('3'),
                KeyCode::Char('1'),
                KeyCode::Backspace,
                KeyCode::Enter,
            ],
            3,
        ),
    ];
    for (keys, at) in cases {
        assert!(press(&mut screen, keys), "{keys:?}");
        assert_eq!(screen.at, at, "{keys:?}");
    }
    assert_eq!(screen.pane, Pane::Event);
    assert!(!press(&mut screen, &[KeyCode::Char('q')]));
    assert!(!screen.pressed(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
}

#[test]
fn nothing_that_was_recorded_reaches_the_terminal_as_a_command_of_it() {
    let mut screen = screen(2);
    for pane in Pane::ALL {
        screen.turn(pane);
        assert!(!screen.lines.iter().any(|line| line.contains('\u{1b}')), "{:?}", screen.lines);
    }
}

#[test]
fn an_event_of_a_later_version_is_named() {
    let mut events = events();
    events[4]["event_version"] = json!("9");
    let error = Timeline::of(RUN, events).err().unwrap().to_string();
    assert!(error.contains("event 5 of run_") && error.contains("version 9 of RunPaused"), "{error}");
}
