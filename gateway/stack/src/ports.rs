//! Loopback ports, remembered so that a second start finds the same ones.

use std::net::TcpListener;
use std::path::Path;

use rand::Rng;

use crate::{StackError, tools};

/// Below the range that systems take outgoing ports from, so that a stopped server finds its port free again.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
const DRAWS: usize = 1000;

/// The port in `file` where it is free, otherwise another free one, which is then remembered there.
pub(crate) fn remembered(file: &Path) -> Result<u16, StackError> {
    let last = tools::remembered(file).and_then(|text| text.parse::<u16>().ok());
    if let Some(port) = last.filter(|port| is_free(*port)) {
        return Ok(port);
    }
    let mut draws = (0..DRAWS).map(|_| rand::rng().random_range(RANGE));
    let none =
        || StackError::SetUp { what: "looking for a free port".to_owned(), detail: format!("none in {RANGE:?}") };
    let port = draws.find(|port| is_free(*port)).ok_or_else(none)?;
    std::fs::write(file, port.to_string()).map_err(|error| StackError::file(file, &error))?;
    Ok(port)
}

/// Whether a server could listen there now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
