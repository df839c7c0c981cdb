//! Addresses, hosts, URLs and paths in one form before the law sees them. Pure; what cannot be brought into that form
//! names its problem, and the law denies it.

mod address;
mod host;
mod path;
mod url;

pub use address::Address;
pub use host::Host;
pub use path::{WorkspacePath, path_use};
pub use url::{WebUrl, url_use};

/// Why a text has no normal form, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(&'static str);

/// Characters that are not seen, or change how others are seen: two texts that look alike would differ.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}
