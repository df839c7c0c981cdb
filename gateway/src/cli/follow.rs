//! Following a run as it goes: a line for each turn of its model, each call that is over or waits, each sub-goal.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::CliError;
use super::client::Client;
use super::run::{ended, waits};
use super::story::{Step, steps, tell};
use super::terminal::Paint;

/// How long there is between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Events read at once.
const PAGE: usize = 1000;

/// A run that is followed.
pub struct Follow<'a> {
    client: &'a Client,
    run: &'a str,
    paint: Paint,
    /// Whether anything is printed.
    aloud: bool,
    events: Vec<Value>,
}

impl<'a> Follow<'a> {
    pub fn new(client: &'a Client, run: &'a str, paint: Paint, aloud: bool) -> Self {
        Self { client, run, paint, aloud, events: Vec::new() }
    }

    /// Tells what happens until the run has ended or waits for somebody, and gives its state then.
    pub async fn until_it_rests(&mut self, patience: Duration) -> Result<Value, CliError> {
        let deadline = Instant::now() + patience;
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            match self.look().await {
                Ok(Some(state)) => return Ok(state),
                Err(error) if !error.may_pass() => return Err(error),
                Ok(None) | Err(_) if Instant::now() < deadline => {}
                Err(error) => return Err(error),
                Ok(None) => {
                    let message = format!("{} goes on after {} s", self.run, patience.as_secs());
                    return Err(CliError::new(message, "wait for longer with --patience, or see `xagent runs`"));
                }
            }
        }
    }

    /// Tells what is new. Gives the state where the run rests.
    async fn look(&mut self) -> Result<Option<Value>, CliError> {
        let state = self.client.get(&format!("/v1/runs/{}?at_least=1", self.run)).await?;
        let known = state["sequence"].as_u64().unwrap_or_default();
        let told = self.events.len();
        while (self.events.len() as u64) < known {
            let path = format!("/v1/runs/{}/events?limit={PAGE}&cursor={}", self.run, self.events.len());
            let page = self.client.get(&path).await?;
            let Some(items) = page["items"].as_array().filter(|items| !items.is_empty()) else { break };
            self.events.extend(items.iter().cloned());
        }
        if self.aloud {
            for end in told + 1..=self.events.len() {
                if let Some(line) = line(&self.events[..end], self.paint) {
                    say!("{line}");
                }
            }
        }
        Ok((ended(&state) || waits(&state)).then_some(state))
    }
}

/// What the last of these events is worth telling.
fn line(events: &[Value], paint: Paint) -> Option<String> {
    let (kind, fact) = events.last()?["payload"].as_object().and_then(|payload| payload.iter().next())?;
    let text = |name: &str| plain(fact[name].as_str().unwrap_or_default());
    let goal = |word: &str, said: &str| Some(format!("  {}  {said}", paint.strong(word)));
    match kind.as_str() {
        "PlannerConsulted" => turn(fact, paint),
        "GoalSet" if !fact["parent"].is_null() => goal("sub-goal", &text("text")),
        "GoalAchieved" => goal("achieved", &text("summary")),
        "GoalFailed" => goal("given up", &text("reason")),
        "RunPaused" => goal("paused  ", &text("reason")),
        "RunResumed" => goal("resumed ", ""),
        "ToolCallRejected" => {
            let step = Step { label: text("label"), tool: text("tool"), ..Step::default() };
            Some(call(&Step { verdict: "unfit".to_owned(), outcome: text("reason"), ..step }, paint))
        }
        "ToolCallCompleted" | "ToolCallInterrupted" | "ApprovalRefused" => about(events, fact, paint),
        "ApprovalRequested" => about(events, fact, paint),
        "DecisionMade" if fact["allow"] == false && fact["obligations"].as_array().is_none_or(Vec::is_empty) => {
            about(events, &fact["question"]["tool_call"], paint)
        }
        _ => None,
    }
}

/// A consultation of a model; a plan's steps are told by their calls.
fn turn(fact: &Value, paint: Paint) -> Option<String> {
    let exchange = fact["exchange"].as_object()?;
    let number = |name: &str| exchange[name].as_u64().unwrap_or_default();
    let proposal = &fact["proposal"];
    let calls = proposal["call_tools"]["calls"].as_array().into_iter().flatten();
    let calls: Vec<String> = calls.map(|call| plain(call["tool"].as_str().unwrap_or_default())).collect();
    let said = match proposal["unusable"]["reason"].as_str() {
        Some(reason) => paint.bad(&format!("unusable: {}", plain(reason))),
        None if calls.is_empty() && proposal["call_tools"].is_object() => "its goals".to_owned(),
        None if calls.is_empty() => "the end".to_owned(),
        None => calls.join(", "),
    };
    let again = match number("attempts") {
        0 => ", from the record".to_owned(),
        1 => String::new(),
        attempts => format!(", {attempts} requests"),
    };
    let head = format!("step {}", fact["step"]);
    Some(format!(
        "{}  {} tokens in, {} out, {} ms{again}: {said}",
        paint.strong(&head),
        number("input_tokens"),
        number("output_tokens"),
        number("latency_us") / 1000,
    ))
}

/// The call that an event is about, as it stands now.
fn about(events: &[Value], fact: &Value, paint: Paint) -> Option<String> {
    let proposed = |event: &Value| event["payload"]["ToolCallProposed"]["call"].as_str().map(str::to_owned);
    let requested = |event: &Value| {
        let asked = &event["payload"]["ApprovalRequested"];
        (asked["approval"] == fact["approval"]).then(|| asked["call"].as_str().map(str::to_owned)).flatten()
    };
    let id = fact["call"].as_str().map(str::to_owned).or_else(|| events.iter().find_map(requested))?;
    let place = events.iter().filter_map(proposed).position(|call| call == id)?;
    steps(events).get(place).map(|step| call(step, paint))
}

fn call(step: &Step, paint: Paint) -> String {
    let padded = Step {
        label: format!("{:<8}", step.label),
        tool: format!("{:<12}", step.tool),
        target: format!("{:<40}", step.target),
        ..step.clone()
    };
    tell(&[padded], paint)
}

/// What others wrote must not move the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect()
}
