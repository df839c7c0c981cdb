//! Server-sent events, parsed (HTML Living Standard, section 9.2.6), as far as the server of this version writes them.

/// What stands between two empty lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub event: Option<String>,
    pub data: String,
    pub id: Option<String>,
}

/// Puts blocks together from what comes in.
#[derive(Default)]
pub struct Parser {
    rest: Vec<u8>,
    block: Block,
}

impl Parser {
    /// The blocks that are complete with these bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Block> {
        self.rest.extend_from_slice(bytes);
        let (mut blocks, mut begin) = (Vec::new(), 0);
        while let Some(length) = self.rest[begin..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.rest[begin..begin + length]).into_owned();
            begin += length + 1;
            if line.is_empty() {
                blocks.push(std::mem::take(&mut self.block));
            } else {
                self.line(&line);
            }
        }
        self.rest.drain(..begin);
        blocks
    }

    fn line(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "event" => self.block.event = Some(value),
            "id" => self.block.id = Some(value),
            "data" if self.block.data.is_empty() => self.block.data = value,
            "data" => self.block.data = [&self.block.data, value.as_str()].join("\n"),
            // `retry` is for browsers; a comment has no name.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_the_same_however_the_bytes_come() {
        let text = "retry: 7\nid: 4\n\n: heartbeat\n\nid: 5\ndata: {\"a\":\"é: b\"}\n\nevent: end\ndata: x\ndata: y\n\nid: 6\n";
        let block = |event: Option<&str>, data: &str, id: Option<&str>| Block {
            event: event.map(str::to_owned),
            data: data.to_owned(),
            id: id.map(str::to_owned),
        };
        let expected = [
            block(None, "", Some("4")),
            block(None, "", None),
            block(None, "{\"a\":\"é: b\"}", Some("5")),
            block(Some("end"), "x\ny", None),
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let blocks: Vec<_> = text.as_bytes().chunks(size).flat_map(|bytes| parser.push(bytes)).collect();
            assert_eq!(blocks, expected, "{size} bytes at a time");
        }
    }
}
