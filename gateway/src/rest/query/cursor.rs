//! Where a page ended: opaque to clients, and good for the query it belongs to only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::super::extract::invalid;
use crate::problem::Problem;

/// A longer one was not made here.
const LONGEST: usize = 512;

/// A place in an answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The list.
    pub list: String,
    /// Digest of the filters and the order.
    pub filter: String,
    /// The position behind which to go on.
    pub after: u64,
}

impl Cursor {
    /// As it is handed out.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// The place that a text stands for, if it belongs to this query.
    pub fn read(text: &str, list: &str, filter: &str) -> Result<u64, Problem> {
        let bytes = Some(text).filter(|text| text.len() <= LONGEST).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let cursor: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let Some(cursor) = cursor else {
            return Err(invalid("cursor", "it is no cursor: take the `next` of an answer, unchanged"));
        };
        if cursor.list != list {
            let detail = format!("the cursor belongs to a list of {}, and this is a list of {list}", cursor.list);
            return Err(invalid("cursor", &detail));
        }
        if cursor.filter != filter {
            let detail = "the cursor belongs to a query with other filters or another order: repeat those, or begin \
                          without a cursor";
            return Err(invalid("cursor", detail));
        }
        Ok(cursor.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_query_only() {
        let text = Cursor { list: "runs".to_owned(), filter: "ab".to_owned(), after: 7 }.text();
        assert_eq!(Cursor::read(&text, "runs", "ab").unwrap(), 7);
        for (text, list, filter, said) in [
            (text.as_str(), "decisions", "ab", "belongs to a list of runs"),
            (text.as_str(), "runs", "cd", "other filters"),
            ("7", "runs", "ab", "no cursor"),
            ("e30", "runs", "ab", "no cursor"),
            (&"A".repeat(2000), "runs", "ab", "no cursor"),
        ] {
            let problem = Cursor::read(text, list, filter).unwrap_err();
            assert!(problem.detail.contains(said), "{}", problem.detail);
            assert_eq!(problem.field.as_deref(), Some("cursor"));
        }
    }
}
