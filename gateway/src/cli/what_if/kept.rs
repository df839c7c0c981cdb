//! How far a report is, in a file: written aside, then put in its place, so that it is whole whenever the process ends.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xagent_replay::whatif::Tally;

use super::scope::Range;
use crate::cli::CliError;

/// The form of the file.
const FORM: u32 = 2;
/// How often at most it is written.
const OFTEN: Duration = Duration::from_millis(500);
/// How many times as long as writing takes is spent on deciding in between.
const SPARING: u32 = 20;

#[derive(Serialize, Deserialize)]
struct Contents<T> {
    form: u32,
    /// What it is a report of.
    subject: Value,
    range: Range,
    tally: T,
}

/// Where it is kept, if it is.
pub struct Kept {
    file: Option<PathBuf>,
    subject: Value,
    range: Range,
    next: Instant,
}

impl Kept {
    /// What is kept in `file`, if there is anything. What is not of the very same subject is refused.
    pub fn open(file: Option<PathBuf>, subject: Value, range: Range) -> Result<(Self, Tally), CliError> {
        let next = Instant::now() + OFTEN;
        let fresh = |file| Self { file, subject: subject.clone(), range: range.clone(), next };
        let Some(path) = file.clone().filter(|path| path.exists()) else { return Ok((fresh(file), Tally::default())) };
        let unfit = |why: String| {
            let remedy = "give the same bundle and flags as the first time, or another file to --resume";
            CliError::new(format!("{}: {why}", path.display()), remedy)
        };
        let text = std::fs::read_to_string(&path).map_err(|error| unfit(error.to_string()))?;
        let contents: Contents<Tally> = serde_json::from_str(&text).map_err(|error| unfit(error.to_string()))?;
        if contents.form != FORM {
            return Err(unfit(format!("it is of the form {}, not {FORM}", contents.form)));
        }
        if let Some(difference) = difference(&contents.subject, &subject, "") {
            return Err(unfit(format!("it is of another report: {difference}")));
        }
        Ok((Self { range: contents.range, ..fresh(file) }, contents.tally))
    }

    /// What is looked at.
    pub fn range(&self) -> &Range {
        &self.range
    }

    /// Keeps the report as it is, now and then.
    pub fn keep(&mut self, tally: &Tally) -> Result<(), CliError> {
        let Some(file) = &self.file else { return Ok(()) };
        let begin = Instant::now();
        if begin < self.next {
            return Ok(());
        }
        let contents = Contents { form: FORM, subject: self.subject.clone(), range: self.range.clone(), tally };
        let written = serde_json::to_vec(&contents).map_err(std::io::Error::other).and_then(|text| put(file, &text));
        written.map_err(|error| super::unwritable(file, &error))?;
        self.next = Instant::now() + (begin.elapsed() * SPARING).max(OFTEN);
        Ok(())
    }

    /// The report is out: nothing is left to go on with.
    pub fn done(self) {
        if let Some(file) = self.file {
            // Where it cannot be removed, the next report of the same subject ends at once, and is the same.
            let _removed = std::fs::remove_file(file);
        }
    }
}

fn put(file: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut aside = file.as_os_str().to_owned();
    aside.push(".new");
    let mut new = File::create(&aside)?;
    new.write_all(text)?;
    new.sync_all()?;
    std::fs::rename(&aside, file)
}

/// The first member that differs, in words.
fn difference(was: &Value, is: &Value, name: &str) -> Option<String> {
    if was == is {
        return None;
    }
    if let (Value::Object(was), Value::Object(is)) = (was, is)
        && was.keys().eq(is.keys())
    {
        let members = was.iter().zip(is.values());
        return members.map(|((name, was), is)| difference(was, is, name)).find_map(|found| found);
    }
    Some(format!("{name} is {is} here, and {was} there"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn range() -> Range {
        serde_json::from_value(json!({"after": 0, "to": 9, "since_us": null, "until_us": null})).unwrap()
    }

    #[test]
    fn a_report_is_gone_on_with_only_where_it_is_of_the_same() {
        let folder = std::env::temp_dir().join(format!("xagent-kept-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("progress");
        let subject = json!({"bundle": "a", "history": {"tool": null}});
        let (mut kept, tally) = Kept::open(Some(file.clone()), subject.clone(), range()).unwrap();
        assert_eq!(tally, Tally::default());
        kept.next = Instant::now();
        let mut begun = json!(Tally::default());
        begun["position"] = json!(7);
        kept.keep(&serde_json::from_value(begun).unwrap()).unwrap();
        let mut later = range();
        later.to = 12;
        let (again, tally) = Kept::open(Some(file.clone()), subject, later).unwrap();
        assert_eq!((tally.position, again.range()), (7, &range()));
        let other = json!({"bundle": "a", "history": {"tool": "fetch"}});
        let refused = Kept::open(Some(file.clone()), other, range()).err().unwrap().to_string();
        assert!(refused.ends_with("it is of another report: tool is \"fetch\" here, and null there"), "{refused}");
        again.done();
        assert!(!file.exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
