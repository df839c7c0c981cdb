//! What is printed: colours, only on a terminal that wants them, and no word to a reader that has gone.

use std::fmt::Arguments;
use std::io::{ErrorKind, IsTerminal, Write};

/// The exit code of a program whose reader went away: 128 and the number of SIGPIPE, as shells say it.
const READER_GONE: i32 = 141;
/// `EX_IOERR` of sysexits.h.
const CANNOT_WRITE: i32 = 74;

/// Prints a line to standard output, as `println!` does, but ends the program where the reader has gone (`| head`) or
/// the line cannot be written.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::terminal::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// What `say!` does, to the byte.
pub fn write(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(READER_GONE);
    }
    eprintln!("cannot write to standard output: {error}");
    std::process::exit(CANNOT_WRITE)
}

/// How standard output may be painted.
#[derive(Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// Colours unless the output is no terminal or `NO_COLOR` is set (no-color.org).
    pub fn stdout() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    /// The same for standard error.
    pub fn stderr() -> Self {
        Self(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    /// No colours.
    pub fn plain() -> Self {
        Self(false)
    }

    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub fn notable(self, text: &str) -> String {
        self.with("33", text)
    }

    pub fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
