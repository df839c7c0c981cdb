//! CSV as RFC 4180 has it, with a header. What a spreadsheet would take for a formula is made a text (OWASP, CSV injection).

use csv::{Terminator, WriterBuilder};
use serde_json::Value;
use xagent_projections::Listed;

use super::channel::ChannelWriter;
use super::{ExportError, Incoming, fields};

/// What begins a formula in one spreadsheet or another.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

pub fn write<R: Listed>(writer: &mut ChannelWriter, mut rows: Incoming<R>) -> Result<(), ExportError> {
    let mut csv = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(writer);
    csv.write_record(R::COLUMNS.iter().map(|column| column.name))?;
    while let Some(row) = rows.blocking_recv() {
        let fields = fields(&row?)?;
        csv.write_record(R::COLUMNS.iter().map(|column| cell(fields.get(column.name))))?;
    }
    Ok(csv.flush()?)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => harmless(text.clone()),
        Some(Value::Array(items)) => {
            harmless(items.iter().map(|item| item.as_str().unwrap_or_default()).collect::<Vec<_>>().join("; "))
        }
        Some(other) => other.to_string(),
    }
}

fn harmless(text: String) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_is_never_a_formula_and_a_number_remains_one() {
        for begin in FORMULA {
            assert_eq!(cell(Some(&json!(format!("{begin}cmd|' /C calc'!A0")))), format!("'{begin}cmd|' /C calc'!A0"));
            assert_eq!(cell(Some(&json!([format!("{begin}1"), "b"]))), format!("'{begin}1; b"));
        }
        assert_eq!(cell(Some(&json!(-3))), "-3");
        assert_eq!(cell(Some(&json!("a-b"))), "a-b");
        assert_eq!((cell(None), cell(Some(&json!([])))), (String::new(), String::new()));
    }
}
