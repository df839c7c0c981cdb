//! Apache Parquet: groups of rows, column by column, compressed with zstd. One group is in memory at a time.

use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use chrono::DateTime;
use serde_json::{Map, Value};
use xagent_projections::{Column, Kind, Listed};

use super::channel::ChannelWriter;
use super::{ExportError, Incoming, fields};

/// Rows in a group.
const GROUP: usize = 4096;

pub fn write<R: Listed>(writer: &mut ChannelWriter, mut rows: Incoming<R>) -> Result<(), ExportError> {
    let schema = Arc::new(parse_message_type(&schema::<R>())?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    let mut file = SerializedFileWriter::new(writer, schema, Arc::new(properties))?;
    let mut group = Vec::with_capacity(GROUP);
    while let Some(row) = rows.blocking_recv() {
        group.push(fields(&row?)?);
        if group.len() == GROUP {
            put::<R>(file.next_row_group()?, &group)?;
            group.clear();
        }
    }
    if !group.is_empty() {
        put::<R>(file.next_row_group()?, &group)?;
    }
    file.finish()?;
    Ok(std::io::Write::flush(file.inner_mut())?)
}

fn schema<R: Listed>() -> String {
    let field = |Column { name, kind, .. }: &Column| match kind {
        Kind::Text => format!("optional binary {name} (STRING);"),
        Kind::Json => format!("optional binary {name} (JSON);"),
        Kind::Integer => format!("optional int64 {name};"),
        Kind::Time => format!("optional int64 {name} (TIMESTAMP(MICROS,true));"),
        Kind::Flag => format!("optional boolean {name};"),
        Kind::Texts => {
            format!("required group {name} (LIST) {{ repeated group list {{ required binary element (STRING); }} }}")
        }
    };
    format!("message {} {{ {} }}", R::NAME, R::COLUMNS.iter().map(field).collect::<Vec<_>>().join(" "))
}

fn put<R: Listed>(
    mut group: SerializedRowGroupWriter<'_, &mut ChannelWriter>,
    rows: &[Map<String, Value>],
) -> Result<(), ExportError> {
    for Column { name, kind, .. } in R::COLUMNS {
        let values = rows.iter().map(|row| row.get(*name).unwrap_or(&Value::Null));
        match kind {
            Kind::Text => optional::<ByteArrayType>(&mut group, values.map(|v| v.as_str().map(ByteArray::from)))?,
            Kind::Json => {
                let text = |value: &Value| (!value.is_null()).then(|| ByteArray::from(value.to_string().as_str()));
                optional::<ByteArrayType>(&mut group, values.map(text))?;
            }
            Kind::Integer => optional::<Int64Type>(&mut group, values.map(Value::as_i64))?,
            Kind::Time => optional::<Int64Type>(&mut group, values.map(micros))?,
            Kind::Flag => optional::<BoolType>(&mut group, values.map(Value::as_bool))?,
            Kind::Texts => lists(&mut group, values)?,
        }
    }
    group.close()?;
    Ok(())
}

fn micros(value: &Value) -> Option<i64> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|at| at.timestamp_micros())
}

/// A column whose values may be missing: definition level 1 where there is one.
fn optional<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut ChannelWriter>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ExportError> {
    let (mut there, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        there.extend(value);
    }
    let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("a column is missing".to_owned()))?;
    column.typed::<T>().write_batch(&there, Some(&levels), None)?;
    column.close()?;
    Ok(())
}

/// A column of lists: definition level 0 for an empty one, repetition level 1 for all items but the first.
fn lists<'a>(
    group: &mut SerializedRowGroupWriter<'_, &mut ChannelWriter>,
    values: impl Iterator<Item = &'a Value>,
) -> Result<(), ExportError> {
    let (mut there, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            definitions.push(0);
            repetitions.push(0);
        }
        for (index, item) in items.iter().enumerate() {
            there.push(ByteArray::from(item.as_str().unwrap_or_default()));
            definitions.push(1);
            repetitions.push(i16::from(index > 0));
        }
    }
    let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("a column is missing".to_owned()))?;
    column.typed::<ByteArrayType>().write_batch(&there, Some(&definitions), Some(&repetitions))?;
    column.close()?;
    Ok(())
}
