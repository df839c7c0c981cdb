//! A table for people: columns as wide as what is in them.

use serde_json::Value;

use crate::cli::terminal::Paint;

/// Characters of a cell at most, but in the last column.
const WIDEST: usize = 40;

/// The rows as lines; a header first.
pub fn lines(columns: &[&str], rows: &[Value], paint: Paint) -> Vec<String> {
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|name| cell(&row[*name])).collect()).collect();
    let width = |index: usize, name: &str| {
        let widest = cells.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count()).max();
        widest.unwrap_or(0).max(name.len()).min(WIDEST)
    };
    let widths: Vec<_> = columns.iter().enumerate().map(|(index, name)| width(index, name)).collect();
    let header: Vec<_> = columns.iter().map(|name| (*name).to_owned()).collect();
    let mut lines = vec![paint.strong(&line(&header, &widths, Paint::plain()))];
    lines.extend(cells.iter().map(|row| line(row, &widths, paint)));
    lines
}

fn line(cells: &[String], widths: &[usize], paint: Paint) -> String {
    let last = cells.len().saturating_sub(1);
    let padded = cells.iter().zip(widths).enumerate().map(|(index, (cell, width))| {
        let shown: String = if index == last { cell.clone() } else { cell.chars().take(*width).collect() };
        let padding = if index == last { 0 } else { width.saturating_sub(shown.chars().count()) };
        painted(&shown, paint) + &" ".repeat(padding)
    });
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn painted(cell: &str, paint: Paint) -> String {
    match cell {
        "deny" | "denied" | "failed" | "refused" | "interrupted" => paint.bad(cell),
        "allow" | "succeeded" | "completed" | "achieved" => paint.good(cell),
        "approval" | "awaiting_approval" | "waiting" | "paused" => paint.notable(cell),
        _ => cell.to_owned(),
    }
}

/// A value on one line, without what would move the cursor.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => moment(text).unwrap_or_else(|| text.clone()),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A moment, to the second.
fn moment(text: &str) -> Option<String> {
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(at.to_utc().format("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_line_up_and_nothing_moves_the_cursor() {
        let rows = [
            json!({"at": "2026-11-28T09:30:00.5Z", "codes": ["a", "b"], "text": "one\n\u{1b}[31mtwo"}),
            json!({"at": null, "codes": [], "text": 7}),
        ];
        assert_eq!(
            lines(&["at", "codes", "text"], &rows, Paint::plain()),
            [
                "at                   codes  text",
                "2026-11-28 09:30:00  a, b   one  [31mtwo",
                "                            7",
            ]
        );
    }
}
