//! Server-sent events (WHATWG HTML, section 9.2.6), as far as chat servers use them: the data of each event. Bounded.

/// Bytes of one event at most.
const LONGEST: usize = 1024 * 1024;

/// Takes a stream apart.
#[derive(Default)]
pub(super) struct Events {
    /// What came after the last whole line.
    rest: Vec<u8>,
    data: String,
    has_data: bool,
}

impl Events {
    /// Takes bytes in, and gives out the data of every event they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut done = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.rest.push(*byte);
                if self.rest.len() + self.data.len() > LONGEST {
                    return Err(format!("an event of the stream is longer than {LONGEST} bytes"));
                }
                continue;
            }
            let line = std::mem::take(&mut self.rest);
            self.line(line.strip_suffix(b"\r").unwrap_or(&line), &mut done);
        }
        Ok(done)
    }

    fn line(&mut self, line: &[u8], done: &mut Vec<String>) {
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                done.push(std::mem::take(&mut self.data));
            }
            return;
        }
        let Some(data) = line.strip_prefix(b"data:") else { return };
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push('\n');
        }
        self.data.push_str(&String::from_utf8_lossy(data.strip_prefix(b" ").unwrap_or(data)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_the_stream_is_cut() {
        let stream = b": hello\r\ndata: {\"a\":1}\r\n\r\nevent: x\ndata:b\ndata: c\n\n\ndata: [DONE]\n\ndata: lost";
        for size in 1..stream.len() {
            let mut events = Events::default();
            let found: Vec<String> = stream.chunks(size).flat_map(|chunk| events.push(chunk).unwrap()).collect();
            assert_eq!(found, ["{\"a\":1}", "b\nc", "[DONE]"]);
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut events = Events::default();
        assert!(events.push(&vec![b'x'; LONGEST + 1]).is_err());
    }
}
