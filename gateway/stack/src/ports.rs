//! Loopback ports, remembered so that a second start finds the same ones.

use std::net::TcpListener;
use std::path::Path;

use crate::{StackError, tools};

/// The port in `file` where it is free, otherwise another free one, which is then remembered there.
pub(crate) fn remembered(file: &Path) -> Result<u16, StackError> {
    let last = tools::remembered(file).and_then(|text| text.parse::<u16>().ok());
    if let Some(port) = last.filter(|port| is_free(*port)) {
        return Ok(port);
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let port = listener.map_err(|error| StackError::file(file, &error))?.port();
    std::fs::write(file, port.to_string()).map_err(|error| StackError::file(file, &error))?;
    Ok(port)
}

/// Whether a server could listen there now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
