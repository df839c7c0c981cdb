//! Writing RFC 8785 (JCS) in one pass over one buffer: an object's members are written as they come and put in order
//! where it ends. Only `canonical` calls it.

use std::cmp::Ordering;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// Below this magnitude every integer is a double of its own, and is written alike: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The canonical bytes of `value`. A float that is no number becomes `null`, as in serde_json.
pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut text = Text { bytes: Vec::with_capacity(1024), ..Text::default() };
    value.serialize(&mut Serializer::with_formatter(io::sink(), &mut text))?;
    Ok(text.bytes)
}

/// What has been written, and the members of objects that have not ended.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    /// Per open object, how many members there were before it.
    objects: Vec<usize>,
    members: Vec<Member>,
    sorted: Vec<u8>,
}

/// Offsets of a member: its key, quotes included, is `start..key`, all of it `start..end`.
#[derive(Clone, Copy, Default)]
struct Member {
    start: usize,
    key: usize,
    end: usize,
    /// Whether the key is ASCII without escapes.
    plain: bool,
}

impl Text {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn number(&mut self, value: f64) -> io::Result<()> {
        self.put(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }

    fn slice(&self, start: usize, end: usize) -> &[u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// RFC 8785 section 3.2.3: by the UTF-16 code units of the keys. For plain ones that is the order of the bytes.
    fn order(&self, one: &Member, other: &Member) -> Ordering {
        let (one_key, other_key) = (self.slice(one.start, one.key), self.slice(other.start, other.key));
        match one.plain && other.plain {
            true => unquoted(one_key).cmp(unquoted(other_key)),
            false => units(one_key).cmp(&units(other_key)),
        }
    }

    /// Puts the members from `first` on, the last ones in the buffer, in order.
    fn sort(&mut self, first: usize) {
        let mut members = self.members.split_off(first);
        if members.is_sorted_by(|one, other| self.order(one, other) != Ordering::Greater) {
            return;
        }
        let from = members.first().map_or(0, |member| member.start);
        members.sort_by(|one, other| self.order(one, other));
        self.sorted.clear();
        for (place, member) in members.iter().enumerate() {
            if place > 0 {
                self.sorted.push(b',');
            }
            self.sorted.extend_from_slice(self.bytes.get(member.start..member.end).unwrap_or_default());
        }
        self.bytes.truncate(from);
        self.bytes.extend_from_slice(&self.sorted);
    }
}

fn is_plain(key: &[u8]) -> bool {
    key.iter().all(|byte| byte.is_ascii() && *byte != b'\\')
}

fn units(key: &[u8]) -> Vec<u16> {
    serde_json::from_slice::<String>(key).unwrap_or_default().encode_utf16().collect()
}

fn unquoted(key: &[u8]) -> &[u8] {
    key.get(1..key.len().saturating_sub(1)).unwrap_or_default()
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<W: ?Sized + Write>(&mut self, _: &mut W, value: $type) -> io::Result<()> {
            let double = value as f64;
            if double.abs() < EXACT { write!(self.bytes, "{value}") } else { self.number(double) }
        })*
    };
}

impl Formatter for &mut Text {
    integers!(write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128);
    integers!(write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128);

    fn write_null<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b"null")
    }

    fn write_bool<W: ?Sized + Write>(&mut self, _: &mut W, value: bool) -> io::Result<()> {
        self.put(if value { b"true" } else { b"false" })
    }

    fn write_f32<W: ?Sized + Write>(&mut self, _: &mut W, value: f32) -> io::Result<()> {
        self.number(f64::from(value))
    }

    fn write_f64<W: ?Sized + Write>(&mut self, _: &mut W, value: f64) -> io::Result<()> {
        self.number(value)
    }

    fn write_number_str<W: ?Sized + Write>(&mut self, _: &mut W, value: &str) -> io::Result<()> {
        self.number(value.parse().map_err(io::Error::other)?)
    }

    fn begin_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b"\"")
    }

    fn end_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b"\"")
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, _: &mut W, fragment: &str) -> io::Result<()> {
        self.put(fragment.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::Solidus => self.put(b"/"),
            other => CompactFormatter.write_char_escape(&mut self.bytes, other),
        }
    }

    fn begin_array<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        self.put(if first { b"" } else { b"," })
    }

    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.objects.push(self.members.len());
        self.put(b"{")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        self.put(if first { b"" } else { b"," })?;
        self.members.push(Member { start: self.bytes.len(), ..Member::default() });
        Ok(())
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        let key = self.bytes.len();
        if let Some(Member { start, .. }) = self.members.pop() {
            let plain = is_plain(self.slice(start, key));
            self.members.push(Member { start, key, end: key, plain });
        }
        Ok(())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b":")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        let end = self.bytes.len();
        self.members.iter_mut().next_back().into_iter().for_each(|member| member.end = end);
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        if let Some(first) = self.objects.pop() {
            self.sort(first);
        }
        self.put(b"}")
    }

    fn write_raw_fragment<W: ?Sized + Write>(&mut self, _: &mut W, fragment: &str) -> io::Result<()> {
        let value: serde_json::Value = serde_json::from_str(fragment)?;
        let bytes = to_vec(&value)?;
        self.put(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn text(value: &impl Serialize) -> String {
        String::from_utf8(to_vec(value).unwrap()).unwrap()
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let key = || prop_oneof!["[a-c]{0,2}", "[\\PC\u{0}-\u{1f}\u{e000}\u{1f600}\"\\\\]{0,3}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1000_i64..1000).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            key().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((key(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_written_as_an_independent_implementation_writes_it(value in any_value()) {
            prop_assert_eq!(text(&value), serde_json_canonicalizer::to_string(&value).unwrap());
        }
    }

    #[test]
    fn members_of_structs_are_sorted_at_every_depth() {
        #[derive(Serialize)]
        struct Outer {
            b: Vec<Inner>,
            a: Option<Inner>,
        }
        #[derive(Serialize)]
        struct Inner {
            z: u8,
            y: &'static str,
        }
        let inner = || Inner { z: 1, y: "é" };
        let outer = Outer { b: vec![inner(), inner()], a: Some(inner()) };
        assert_eq!(text(&outer), "{\"a\":{\"y\":\"é\",\"z\":1},\"b\":[{\"y\":\"é\",\"z\":1},{\"y\":\"é\",\"z\":1}]}");
    }

    /// RFC 8785 section 3.2.3.
    #[test]
    fn keys_are_sorted_by_utf_16_code_units() {
        let value = json!({"\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis"});
        let order = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
        let text = text(&value);
        let places: Vec<_> = order.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
    }
}
