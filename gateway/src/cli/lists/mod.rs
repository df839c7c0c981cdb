//! Lists of what happened: as tables on a terminal, as JSON, or as files.

mod moment;
mod show;
mod table;
mod what;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::remote::Remote;

pub use moment::Moment;
pub use what::{Approvals, DecisionList, Events, Goals, Runs, ToolCalls, Usage};

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// A table for people
    Table,
    /// A page as JSON, with the cursor of the next one
    Json,
    /// RFC 4180, with a header
    Csv,
    /// One JSON object a line
    Ndjson,
    /// Apache Parquet
    Parquet,
}

impl Shape {
    /// The format of the API, where it is a file.
    const fn file(self) -> Option<&'static str> {
        match self {
            Self::Table | Self::Json => None,
            Self::Csv => Some("csv"),
            Self::Ndjson => Some("ndjson"),
            Self::Parquet => Some("parquet"),
        }
    }
}

/// What all lists can do.
#[derive(Args)]
pub struct Common {
    /// From this moment on: so long ago, as `90s`, `15m`, `1h`, `7d`; a day, as 2026-11-28; or RFC 3339
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse)]
    since: Option<String>,
    /// Before this moment
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse)]
    until: Option<String>,
    /// How many at most; otherwise 50, and all of them in a file
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// How to print it; `--json` is the same as `--format json`
    #[arg(long, value_enum, default_value_t = Shape::Table, value_name = "FORMAT")]
    format: Shape,
    /// Write a file instead; its name may say the format: .csv, .ndjson, .parquet
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// The order of a list.
#[derive(Args)]
pub struct Ordered {
    /// The oldest first
    #[arg(long)]
    oldest: bool,
    /// Every event up to this position has to be in it: take one of a receipt
    #[arg(long, value_name = "POSITION")]
    min_position: Option<u64>,
}

/// The parameters of a query, in order.
#[derive(Default)]
struct Query(Vec<(&'static str, String)>);

impl Query {
    fn with(mut self, name: &'static str, values: impl IntoIterator<Item = impl ToString>) -> Self {
        self.0.extend(values.into_iter().map(|value| (name, value.to_string())));
        self
    }

    fn ordered(self, ordered: &Ordered) -> Self {
        let order = ordered.oldest.then_some("oldest");
        self.with("order", order).with("min_position", ordered.min_position)
    }
}
