//! What may happen to a random run, and what does.

use rand::Rng;
use serde_json::{Value, json};
use xagent_domain::run::{
    Act, ApprovalState, Budget, CallStatus, ChatSpec, Consultation, Exchange, Fork, FunctionCall, Functions,
    GoalChange, GoalWish, Next, Plan, PlannerSpec, Priority, Proposal, Propose, REQUEST_FORM, Recording, Reply,
    Resources, RunStatus, Start, ToolOutcome, chat_request,
};
use xagent_domain::{CallId, CanonicalJson, Digest};
use xagent_policies::normalise::path_use;

use crate::story::{Story, principal};

impl Story<'_> {
    /// Begins and goes on by chance; a run that continues `origin` where there is one.
    pub fn unfold(&mut self, origin: Option<&Story<'_>>) {
        let begun = match origin {
            Some(origin) => self.fork(origin),
            None => self.begin(),
        };
        assert!(begun, "a run begins");
        for _ in 0..self.rng.random_range(2..24) {
            if self.run.status().has_ended() {
                break;
            }
            if self.chance(10) {
                self.switch();
            }
            self.step(origin);
        }
    }

    fn begin(&mut self) -> bool {
        let planner = match self.rng.random_range(0..3) {
            0 => PlannerSpec::Client,
            1 => {
                let plan = CanonicalJson::of(&Plan { steps: Vec::new() }).unwrap();
                PlannerSpec::Scripted(self.keep(plan))
            }
            _ => PlannerSpec::Chat(chat()),
        };
        let start = self.start(planner);
        let intent = self.intent("run.start", &self.owner.clone(), &[]);
        self.act(Act::Start(start), Some(intent))
    }

    fn start(&mut self, planner: PlannerSpec) -> Start {
        Start {
            run: self.id.parse().unwrap(),
            agent: "agent".to_owned(),
            goal: self.draw("goal").parse().unwrap(),
            goal_text: "pay 12 to acme".to_owned(),
            planner,
            workspace: Some("/srv".to_owned()),
            priority: [Priority::High, Priority::Normal, Priority::Low][self.rng.random_range(0..3)],
        }
    }

    fn fork(&mut self, origin: &Story<'_>) -> bool {
        let begun =
            origin.facts.iter().position(|past| matches!(past.event, xagent_domain::run::RunEvent::GoalSet { .. }));
        let left = self.rng.random_range(begun.unwrap() + 1..=origin.facts.len());
        let planner = origin.run.planner().cloned().unwrap();
        let start = self.start(planner);
        let live = self.chance(20);
        let law = (!live && self.chance(50)).then(|| self.law.bundles[1]);
        let goals = (0..origin.facts.len()).map(|_| self.draw("goal").parse().unwrap()).collect();
        let history = origin.facts[..left].to_vec();
        self.recordings.origin = Some(origin.recordings.events.clone());
        self.recordings.blobs.extend(origin.recordings.blobs.clone());
        let from = origin.id.parse().unwrap();
        let intent = self.intent("run.fork", &self.owner.clone(), &[]);
        self.act(Act::Fork(Box::new(Fork { start, from, history, goals, law, live })), Some(intent))
    }

    fn step(&mut self, origin: Option<&Story<'_>>) {
        let started = self.calls(|call| call.status == CallStatus::Started);
        let ready = self.calls(|call| matches!(call.status, CallStatus::Allowed | CallStatus::Approved));
        match self.rng.random_range(0..100) {
            0..=44 => match (started.first(), ready.first()) {
                (Some(call), _) => self.end_call(*call, origin),
                (None, Some(call)) => self.start_call(*call, origin),
                (None, None) => self.plan(),
            },
            45..=64 => self.plan(),
            65..=79 => self.answer(),
            80..=84 => self.command("run.pause", Act::Pause { reason: "a while".to_owned() }),
            85..=90 => self.command("run.resume", Act::Resume),
            91..=92 => self.command("run.cancel", Act::Cancel { reason: "enough".to_owned() }),
            93..=95 => {
                let achieved = self.chance(50);
                self.command("run.complete", Act::Finish { achieved, summary: "as far as it went".to_owned() });
            }
            // What is refused: a call nobody knows, and somebody whom the law does not let.
            96..=97 => {
                let call = self.draw("call").parse().unwrap();
                self.act(Act::StartCall { call, arguments: CanonicalJson::parse("{}").unwrap() }, None);
            }
            _ => {
                let intent = self.intent("run.pause", &principal("eve", &[]), &[]);
                self.act(Act::Pause { reason: "mine".to_owned() }, Some(intent));
            }
        }
    }

    fn calls(&self, fits: impl Fn(&xagent_domain::run::Call) -> bool) -> Vec<CallId> {
        self.run.open_calls().filter(|call| fits(call)).map(|call| call.id).collect()
    }

    fn command(&mut self, name: &str, act: Act) {
        let intent = self.intent(name, &self.owner.clone(), &[]);
        self.act(act, Some(intent));
    }

    /// Somebody, often somebody who may, answers an approval.
    fn answer(&mut self) {
        let waiting: Vec<_> = self
            .run
            .approvals()
            .filter(|(_, asked)| asked.state == ApprovalState::Waiting)
            .map(|(id, _)| *id)
            .collect();
        let Some(approval) = self.one_of(&waiting) else { return };
        let who = if self.chance(80) { principal("bob", &["approval:decide"]) } else { self.owner.clone() };
        let attributes = [("approval", approval.to_string())];
        let (name, act) = match self.chance(70) {
            true => ("approval.grant", Act::Grant { approval }),
            false => ("approval.refuse", Act::Refuse { approval, reason: "no".to_owned() }),
        };
        let intent = self.intent(name, &who, &attributes);
        self.act(act, Some(intent));
    }

    fn start_call(&mut self, call: CallId, origin: Option<&Story<'_>>) {
        let Some(open) = self.run.call(&call).cloned() else { return };
        let recorded = origin.and_then(|origin| origin.ends().get(&open.arguments_digest).cloned());
        if self.run.only_recordings_answer() && recorded.is_none() {
            self.act(Act::MissRecording { call }, None);
            return;
        }
        let arguments = CanonicalJson::recorded(self.text(&open.arguments).unwrap());
        self.act(Act::StartCall { call, arguments }, None);
    }

    fn end_call(&mut self, call: CallId, origin: Option<&Story<'_>>) {
        let digest = self.run.call(&call).map(|open| open.arguments_digest);
        let recorded = origin.zip(digest).and_then(|(origin, digest)| {
            let (sequence, position, outcome) = origin.ends().get(&digest).cloned()?;
            let recording = Some(Recording { run: origin.id.parse().unwrap(), sequence, position });
            Some(ToolOutcome { recording, ..outcome })
        });
        if self.chance(15) {
            self.act(Act::InterruptCall { call, reason: "its worker is gone".to_owned() }, None);
            return;
        }
        let outcome = match recorded.filter(|_| self.run.fork().is_some()) {
            Some(outcome) => outcome,
            None => {
                let length = if self.chance(10) { 17_000 } else { self.rng.random_range(0..40) };
                let output = self.keep(CanonicalJson::of(&json!({"text": "x".repeat(length)})).unwrap());
                ToolOutcome { succeeded: self.chance(80), output, recording: None }
            }
        };
        self.act(Act::CompleteCall { call, outcome, duration_us: 7 }, None);
    }

    /// The planner, or the client, goes on.
    fn plan(&mut self) {
        if let Some(planned) = self.run.planned().cloned() {
            let arguments = self.arguments();
            match self.proposal(&planned.tool, planned.label.clone(), &arguments) {
                Some(propose) if self.chance(85) => drop(self.act(Act::ProposePlanned(Box::new(propose)), None)),
                _ => drop(self.act(Act::RejectPlanned { label: planned.label, reason: "unfit".to_owned() }, None)),
            }
            return;
        }
        match self.run.planner().cloned() {
            Some(PlannerSpec::Scripted(_)) => self.follow(),
            Some(PlannerSpec::Chat(chat)) if self.run.next() == Next::Consult => self.ask(&chat),
            _ => self.propose(),
        }
    }

    fn propose(&mut self) {
        let (tool, arguments) = (self.tool(), self.arguments());
        let (label, running) = (self.draw("step"), self.run.status() == RunStatus::Running);
        let Some(propose) = self.proposal(&tool, label, &arguments).filter(|_| running) else { return };
        let intent = self.intent("run.propose", &self.owner.clone(), &[("tool", tool)]);
        self.act(Act::Propose(Box::new(propose)), Some(intent));
    }

    fn follow(&mut self) {
        let step = self.run.steps() + 1;
        let (tool, arguments, label) = (self.tool(), self.arguments(), format!("step{step}"));
        let last = self.chance(5);
        let (proposal, propose) = match self.proposal(&tool, label.clone(), &arguments).filter(|_| !last) {
            Some(propose) => (Proposal::CallTool { label, tool }, Some(Box::new(propose))),
            None => (Proposal::Achieved { summary: "done".to_owned() }, None),
        };
        let (planner, perceived) = ("scripted".to_owned(), Digest::of(b"results"));
        let consultation = Consultation { step, planner, perceived, proposal, tokens: 0, exchange: None };
        self.act(Act::Consult(consultation, propose), None);
    }

    fn ask(&mut self, chat: &ChatSpec) {
        let functions = Functions::of(&self.law.tools).unwrap();
        let texts = |content: &xagent_domain::Content| self.text(content);
        let body = chat_request(&self.run, chat, &functions, &texts).unwrap();
        let (step, reply) = (self.run.steps() + 1, self.reply());
        let reading = reply.reading(step, &self.run, &functions);
        let exchange = Exchange {
            form: REQUEST_FORM,
            request_bytes: body.as_str().len() as u64,
            tools: self.keep_apart(functions.canonical().unwrap()),
            model: "m".to_owned(),
            reply: Some(self.keep(reply.canonical().unwrap())),
            input_tokens: 9,
            output_tokens: 3,
            estimated: false,
            attempts: 1,
            failures: Vec::new(),
            latency_us: 5,
        };
        let (planner, proposal, perceived) = ("chat".to_owned(), reading.proposal, body.digest());
        let exchange = Some(Box::new(exchange));
        let consultation = Consultation { step, planner, perceived, proposal, tokens: 12, exchange };
        let goals = reading.goals.into_iter().map(|wish| match wish {
            GoalWish::Set(text) => GoalChange::Set { goal: self.draw("goal").parse().unwrap(), text },
            GoalWish::Achieved(number, summary) => GoalChange::Achieved { number, summary },
            GoalWish::Failed(number, reason) => GoalChange::Failed { number, reason },
        });
        let goals = goals.collect();
        self.act(Act::Plan(consultation, goals), None);
    }

    /// What a model might say: calls, known or not, changes of goals, the end, or nothing of use.
    fn reply(&mut self) -> Reply {
        let called = |(number, (name, arguments)): (usize, (String, Value))| FunctionCall {
            id: format!("c{number}"),
            name,
            arguments: arguments.to_string(),
        };
        let mut calls = Vec::new();
        for _ in 0..self.rng.random_range(0..4) {
            let call = match self.rng.random_range(0..10) {
                0 => ("goal_set".to_owned(), json!({"text": "a part of it"})),
                1 => ("goal_achieved".to_owned(), json!({"number": 2, "summary": "it is"})),
                2 => ("goal_failed".to_owned(), json!({"number": 3, "reason": "it is not"})),
                3 => ("no_such".to_owned(), json!({})),
                _ => (self.tool(), self.arguments()),
            };
            calls.push(call);
        }
        let content = if self.chance(70) { "so be it".to_owned() } else { String::new() };
        let tool_calls = calls.into_iter().enumerate().map(called).collect();
        Reply { content, finish_reason: "stop".to_owned(), tool_calls }
    }

    fn tool(&mut self) -> String {
        let names: Vec<_> = self.law.tools.iter().map(|tool| tool.name.clone()).collect();
        self.one_of(&names).unwrap()
    }

    fn arguments(&mut self) -> Value {
        let path = self.one_of(&["a.md", "b.md", "../c.md", ".env", "scratch/d.md"]).unwrap();
        let mut arguments = json!({"path": path});
        if self.chance(30) {
            arguments = json!({"amount": "12", "to": "acme"});
        }
        if self.chance(8) {
            arguments["text"] = json!("y".repeat(17_000));
        }
        arguments
    }

    fn proposal(&mut self, tool: &str, label: String, arguments: &Value) -> Option<Propose> {
        let tool = self.law.tools.iter().find(|known| known.name == tool)?;
        let paths = tool.paths.iter().filter_map(|name| Some(path_use(name, arguments[name].as_str()?))).collect();
        let canonical = CanonicalJson::of_value(arguments).unwrap();
        self.keep(canonical.clone());
        Some(Propose {
            call: self.draw("call").parse().unwrap(),
            approval: self.draw("appr").parse().unwrap(),
            approval_ttl_us: self.rng.random_range(1..60_000_000),
            label,
            tool: tool.facts().unwrap(),
            arguments: canonical,
            resources: Resources { paths, ..Resources::default() },
            values: tool.values(arguments),
        })
    }
}

fn chat() -> ChatSpec {
    ChatSpec {
        url: "http://model.example/v1".to_owned(),
        model: "m".to_owned(),
        temperature_milli: None,
        max_tokens: 100,
        stream: false,
        context_bytes: 64 * 1024,
        tools: Vec::new(),
        budget: Budget { steps: 100, calls: 100, tokens: 100_000, wall_ms: 3_600_000 },
    }
}
