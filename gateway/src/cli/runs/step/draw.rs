//! Drawing: events left, what is said of the one chosen right, keys at the foot.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, List, ListItem, ListState, Paragraph};

use super::screen::{Pane, Screen};

const KEYS: &str = "j/k move  Home/End  g N go to  Tab 1 2 3 turn  PgUp/PgDn scroll  q leave";

impl Screen {
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let [head, body, foot] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
        let [left, right] = Layout::horizontal([Constraint::Percentage(45), Constraint::Min(1)]).areas(body);
        let title = format!("{}  event {} of {}", self.timeline.run, self.at, self.timeline.moments().len());
        frame.render_widget(Line::styled(title, Modifier::BOLD), head);
        self.events(frame, left);
        self.chosen(frame, right);
        let said = self.typed.as_ref().map_or_else(|| KEYS.to_owned(), |typed| format!("go to event {typed}_"));
        frame.render_widget(Line::styled(said, Modifier::DIM), foot);
    }

    fn events(&self, frame: &mut Frame<'_>, area: Rect) {
        let (plain, denied) = (Style::default(), self.painted(Color::Red));
        let items = self
            .timeline
            .moments()
            .iter()
            .map(|moment| ListItem::new(moment.line.as_str()).style(if moment.denies() { denied } else { plain }));
        let list = List::new(items)
            .block(Block::bordered().title("events"))
            .highlight_style(Modifier::REVERSED)
            .highlight_symbol(">");
        let mut chosen = ListState::default().with_selected(Some(self.at - 1));
        frame.render_stateful_widget(list, area, &mut chosen);
    }

    fn chosen(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let tabs = Pane::ALL.iter().flat_map(|pane| {
            let style = if *pane == self.pane { Modifier::REVERSED } else { Modifier::empty() };
            [Span::styled(pane.title(), style), Span::raw(" ")]
        });
        let block = Block::bordered().title(Line::from_iter(tabs));
        let lines: Vec<_> = self.lines.iter().map(|line| Line::styled(line.clone(), self.of_change(line))).collect();
        let longest = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        self.scrolled = self.scrolled.min(longest.saturating_sub(area.height.saturating_sub(2)));
        frame.render_widget(Paragraph::new(lines).block(block).scroll((self.scrolled, 0)), area);
    }

    fn of_change(&self, line: &str) -> Style {
        match (self.pane, line.as_bytes().first()) {
            (Pane::Changes, Some(b'+')) => self.painted(Color::Green),
            (Pane::Changes, Some(b'-')) => self.painted(Color::Red),
            (Pane::Changes, Some(b'~')) => self.painted(Color::Yellow),
            _ => Style::default(),
        }
    }

    fn painted(&self, colour: Color) -> Style {
        if self.colours { Style::default().fg(colour) } else { Style::default() }
    }
}
