//! What a key does.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::screen::{Pane, Screen};

/// Lines that a page of the right side is moved by.
const PAGE: u16 = 10;
/// Digits of a sequence that is typed.
const DIGITS: usize = 12;

impl Screen {
    /// Does what the key is for. False where it is for leaving.
    pub fn pressed(&mut self, key: KeyEvent) -> bool {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return false;
        }
        if self.typed.is_some() {
            self.typing(key.code);
            return true;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Up | KeyCode::Char('k') => self.to(self.at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.to(self.at + 1),
            KeyCode::Home => self.to(1),
            KeyCode::End => self.to(usize::MAX),
            KeyCode::Char('g') => self.typed = Some(String::new()),
            KeyCode::Tab => self.turn(self.pane.next()),
            KeyCode::Char('1') => self.turn(Pane::Event),
            KeyCode::Char('2') => self.turn(Pane::Changes),
            KeyCode::Char('3') => self.turn(Pane::State),
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_sub(PAGE),
            KeyCode::PageDown => self.scrolled = self.scrolled.saturating_add(PAGE),
            _ => {}
        }
        true
    }

    fn typing(&mut self, code: KeyCode) {
        let Some(typed) = &mut self.typed else { return };
        match code {
            KeyCode::Char(digit) if digit.is_ascii_digit() && typed.len() < DIGITS => typed.push(digit),
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Enter => {
                let sequence = typed.parse::<usize>().ok();
                self.typed = None;
                sequence.into_iter().for_each(|sequence| self.to(sequence));
            }
            KeyCode::Esc => self.typed = None,
            _ => {}
        }
    }
}
