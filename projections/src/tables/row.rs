//! What a row of a query table is: its columns, their kinds, and what is asked of it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A moment, to the microsecond.
    Time,
    /// Yes or no.
    Flag,
    /// Texts.
    Texts,
    /// JSON, as it was recorded.
    Json,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name, in the database and everywhere else.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether a row may have nothing there.
    pub optional: bool,
    /// What it means.
    pub about: &'static str,
}

/// How a value of a parameter is held against the rows.
#[derive(Clone, Copy, Debug)]
pub enum Test {
    /// The column is the value.
    Is(&'static str),
    /// The column of texts holds the value.
    Holds(&'static str),
    /// The column is at the value, a moment, or later.
    Since(&'static str),
    /// The column is before the value, a moment.
    Until(&'static str),
    /// One of the columns contains the value, whatever its case.
    Mentions(&'static [&'static str]),
}

/// A parameter by which rows are filtered.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub test: Test,
    /// The values it may have; none where any may be given.
    pub values: &'static [&'static str],
    /// What it is for.
    pub about: &'static str,
}

/// What lists hold: one kind of thing, column by column.
pub trait Listed: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// What the list is called.
    const NAME: &'static str;
    /// What it holds.
    const ABOUT: &'static str;
    /// The columns, in order.
    const COLUMNS: &'static [Column];
    /// What may be asked of it.
    const FILTERS: &'static [Filter];
}

/// A row of the query table of its name.
pub trait Row: Listed + Clone {
    /// The columns of its primary key.
    const KEY: &'static [&'static str];
}

/// What a Rust type is as a column.
pub(super) trait Celled {
    const KIND: Kind;
    const OPTIONAL: bool;
}

macro_rules! celled {
    ($($type:ty = $kind:ident),*) => {$(
        impl Celled for $type { const KIND: Kind = Kind::$kind; const OPTIONAL: bool = false; }
        impl Celled for Option<$type> { const KIND: Kind = Kind::$kind; const OPTIONAL: bool = true; }
    )*};
}
celled!(String = Text, i64 = Integer, DateTime<Utc> = Time, bool = Flag, Vec<String> = Texts);

/// Declares a row: a struct, its table, and what may be asked of it.
macro_rules! row {
    (
        #[doc = $about:literal]
        $name:ident in $table:literal by $key:expr, filtered by $filters:expr;
        $(#[doc = $doc:literal] $column:ident: $type:ty,)*
    ) => {
        #[doc = $about]
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $name { $(#[doc = $doc] pub $column: $type,)* }

        impl Row for $name {
            const KEY: &'static [&'static str] = &$key;
        }

        impl Listed for $name {
            const NAME: &'static str = $table;
            const ABOUT: &'static str = $about.trim_ascii();
            const COLUMNS: &'static [Column] = &[$(Column {
                name: stringify!($column),
                kind: <$type as Celled>::KIND,
                optional: <$type as Celled>::OPTIONAL,
                about: $doc.trim_ascii(),
            },)*];
            const FILTERS: &'static [Filter] = &$filters;
        }
    };
}
pub(super) use row;

/// A filter by what a column is.
pub(super) const fn is(name: &'static str, about: &'static str) -> Filter {
    Filter { name, test: Test::Is(name), values: &[], about }
}

/// A filter by the id of a row.
pub(super) const fn id(column: &'static str, about: &'static str) -> Filter {
    Filter { name: "id", test: Test::Is(column), values: &[], about }
}

/// A filter by what a column is, which is one of these.
pub(super) const fn one_of(name: &'static str, values: &'static [&'static str], about: &'static str) -> Filter {
    Filter { name, test: Test::Is(name), values, about }
}

/// A filter by one of the texts of a column.
pub(super) const fn holds(name: &'static str, column: &'static str, about: &'static str) -> Filter {
    Filter { name, test: Test::Holds(column), values: &[], about }
}

/// A filter from a moment on.
pub(super) const fn since(column: &'static str) -> Filter {
    Filter { name: "since", test: Test::Since(column), values: &[], about: "from this moment on (RFC 3339)" }
}

/// A filter up to a moment.
pub(super) const fn until(column: &'static str) -> Filter {
    Filter { name: "until", test: Test::Until(column), values: &[], about: "before this moment (RFC 3339)" }
}

/// A filter by words.
pub(super) const fn mentions(columns: &'static [&'static str], about: &'static str) -> Filter {
    Filter { name: "text", test: Test::Mentions(columns), values: &[], about }
}
