//! The view's state, and the loop that draws it and waits for keys. The terminal is as it was when it ends, however it ends.

use std::io;
use std::time::Duration;

use crossterm::event::{self, Event, KeyEventKind};
use ratatui::DefaultTerminal;
use tokio_util::sync::CancellationToken;

use super::CliError;
use super::timeline::Timeline;
use crate::cli::serve::asked_to_stop;

/// How long there is between two looks at whether the process is asked to stop.
const LOOK: Duration = Duration::from_millis(100);

/// What the right side shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    Event,
    Changes,
    State,
}

impl Pane {
    pub const ALL: [Self; 3] = [Self::Event, Self::Changes, Self::State];

    pub fn next(self) -> Self {
        match self {
            Self::Event => Self::Changes,
            Self::Changes => Self::State,
            Self::State => Self::Event,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Event => "1 event",
            Self::Changes => "2 changes",
            Self::State => "3 state",
        }
    }
}

/// What is seen: an event from 1, a pane, how far it is scrolled, and what is being typed.
pub struct Screen {
    pub timeline: Timeline,
    pub at: usize,
    pub pane: Pane,
    pub scrolled: u16,
    pub typed: Option<String>,
    pub colours: bool,
    /// The lines of the pane.
    pub lines: Vec<String>,
}

impl Screen {
    pub fn new(timeline: Timeline, at: usize, colours: bool) -> Self {
        let (pane, lines) = (Pane::Event, Vec::new());
        let mut screen = Self { timeline, at, pane, scrolled: 0, typed: None, colours, lines };
        screen.to(at);
        screen
    }

    /// Goes to an event, or to the one nearest to it.
    pub fn to(&mut self, sequence: usize) {
        self.at = sequence.clamp(1, self.timeline.moments().len().max(1));
        self.turn(self.pane);
    }

    pub fn turn(&mut self, pane: Pane) {
        let index = self.at - 1;
        (self.pane, self.scrolled) = (pane, 0);
        self.lines = match pane {
            Pane::Event => self.timeline.moments().get(index).map(|moment| moment.told()).unwrap_or_default(),
            Pane::Changes => self.timeline.changes(index),
            Pane::State => self.timeline.state(index),
        };
    }
}

/// Shows it until the user leaves or the process is asked to stop.
pub async fn show(screen: Screen) -> Result<(), CliError> {
    let stop = CancellationToken::new();
    let signals = tokio::spawn({
        let stop = stop.clone();
        async move {
            if asked_to_stop().await.is_ok() {
                stop.cancel();
            }
        }
    });
    let shown = tokio::task::spawn_blocking(move || on_terminal(screen, &stop)).await;
    signals.abort();
    let failed = |error: String| CliError::new(format!("the terminal cannot be used: {error}"), "try another terminal");
    shown.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

/// A panic restores the terminal too: `ratatui` sees to it before the message is printed.
fn on_terminal(screen: Screen, stop: &CancellationToken) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let left = watch(&mut terminal, screen, stop);
    ratatui::try_restore()?;
    left
}

fn watch(terminal: &mut DefaultTerminal, mut screen: Screen, stop: &CancellationToken) -> io::Result<()> {
    while !stop.is_cancelled() {
        terminal.draw(|frame| screen.draw(frame))?;
        while !stop.is_cancelled() && !event::poll(LOOK)? {}
        if stop.is_cancelled() {
            break;
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release && !screen.pressed(key) => break,
            _ => {}
        }
    }
    Ok(())
}
