//! W3C Trace Context: a request's trace is taken over, or one is begun.

use rand::RngCore;

/// The trace a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The `traceparent` of this request (W3C Trace Context section 3.2).
    pub traceparent: String,
}

impl Trace {
    /// From a `traceparent` header; anything malformed begins a new trace, as the recommendation asks.
    pub fn of(header: Option<&str>) -> Self {
        let given = header.filter(|text| is_traceparent(text));
        Self { traceparent: given.map_or_else(begun, str::to_owned) }
    }

    /// The trace id, 32 hex digits.
    pub fn id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }
}

fn is_traceparent(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let [version, trace, parent, flags] = parts.as_slice() else { return false };
    *version == "00"
        && hex(trace, 32)
        && hex(parent, 16)
        && hex(flags, 2)
        && trace.bytes().any(|b| b != b'0')
        && parent.bytes().any(|b| b != b'0')
}

fn begun() -> String {
    let mut bytes = [0; 24];
    rand::rng().fill_bytes(&mut bytes);
    format!("00-{}-{}-01", hex::encode(&bytes[..16]), hex::encode(&bytes[16..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_traceparent_is_kept_and_a_bad_one_replaced() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(Trace::of(Some(good)).id(), "0af7651916cd43dd8448eb211c80319c");
        let bad = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        assert_ne!(Trace::of(Some(bad)).traceparent, bad);
        assert_eq!(Trace::of(None).id().len(), 32);
    }
}
