//! Inputs somebody would make to tell engines apart.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};
use serde_json::{Map, Value, json};
use xagent_domain::Entrypoint;

use crate::generated::{Generator, change};

/// Texts on which regular expressions, case mapping, address parsers and JSON writers are known to differ.
const TEXTS: [&str; 54] = [
    "",
    "\0",
    "a\0b",
    "\u{feff}",
    "éeval(x)",
    "eval\u{a0}(x)",
    "eval\u{2003}(x)",
    "ｅｖａｌ(x)",
    "еval(x)",
    "ſecrets",
    "SECRETS/İ",
    "ß",
    "ẞ",
    "ﬀ",
    "İ",
    "ı",
    "K",
    "Å",
    "e\u{301}",
    "\u{202e}gpj.exe",
    "\u{200b}.env",
    ".ＥＮＶ",
    ".env\u{0}",
    "a/../../etc/passwd",
    "..\\..\\x",
    "%2e%2e%2f",
    "٣",
    "१२",
    "²",
    "Ⅷ",
    "a\nb",
    "a\r\nb",
    "\u{85}",
    "\u{2028}",
    "\u{10ffff}",
    "\u{fffd}",
    "😀",
    "👨‍👩‍👧‍👦",
    "1e400",
    "-0",
    "0x7f",
    "9007199254740993",
    "1.0",
    "__class__",
    "__éclass__",
    "os\u{b7}system",
    "os.ſystem",
    "SYSTEM:x",
    "tool:*",
    "tool:\u{202a}*",
    "*\u{0}",
    "http://[::ffff:10.0.0.1]/",
    "(((((((((((",
    "a{1001}",
];

/// Addresses in forms that parsers read differently; none is the form that leaves our normaliser.
const ADDRESSES: [&str; 14] = [
    "0177.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "127.0.0.1.",
    "::127.0.0.1",
    "fe80::1%eth0",
    "[::1]",
    "1.2.3",
    "256.1.1.1",
    "::g",
    "",
    "１２７.0.0.1",
    "1.1.1.1/32",
];

/// An input of the right types, as every input is that this system builds: only its free parts take any form.
pub fn typed(generator: &mut Generator) -> (Entrypoint, Value) {
    let (entrypoint, mut input) = start(generator);
    let random = &mut generator.random;
    for _ in 0..random.random_range(1..6) {
        change(&mut input, random, |name, old, random| match old {
            Value::String(_) if name == "addresses" => Some(Value::from(address(random))),
            Value::String(_) => Some(Value::from(text(random))),
            Value::Number(_) => Some(number(random)),
            Value::Bool(_) => Some(Value::Bool(random.random())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        });
    }
    if let Some(arguments) = input.get_mut("arguments") {
        *arguments = json!({"any": any("", random), "deep": nested(random.random_range(1..100))});
    }
    (entrypoint, input)
}

/// An input of whatever types, as none is that this system builds.
pub fn untyped(generator: &mut Generator) -> (Entrypoint, Value) {
    let (entrypoint, mut input) = start(generator);
    for _ in 0..generator.random.random_range(1..6) {
        change(&mut input, &mut generator.random, |name, _, random| Some(any(name, random)));
    }
    (entrypoint, input)
}

fn start(generator: &mut Generator) -> (Entrypoint, Value) {
    if generator.random.random_bool(0.5) { generator.template() } else { generator.input() }
}

fn any(name: &str, random: &mut StdRng) -> Value {
    match random.random_range(0..16) {
        0 => Value::Null,
        1 => Value::Bool(random.random()),
        2 => number(random),
        3 => Value::Array((0..random.random_range(0..5)).map(|_| Value::from(text(random))).collect()),
        4 => Value::Object((0..3).map(|_| (text(random), Value::from(text(random)))).collect::<Map<_, _>>()),
        5 => nested(random.random_range(1..90)),
        6 | 7 if name == "addresses" => Value::from(*ADDRESSES.choose(random).unwrap()),
        _ => Value::from(text(random)),
    }
}

/// Texts as they are, two of them joined, or with letters that no list has.
fn text(random: &mut StdRng) -> String {
    let one = TEXTS.choose(random).copied().unwrap_or_default();
    match random.random_range(0..4) {
        0 => format!("{one}{}", TEXTS.choose(random).copied().unwrap_or_default()),
        1 if random.random_bool(0.2) => one.repeat(random.random_range(100..2000)),
        1 => (0..random.random_range(1..12)).filter_map(|_| char::from_u32(random.next_u32() % 0x11_0000)).collect(),
        _ => one.to_owned(),
    }
}

/// An address as the normaliser writes it, of any kind: mapped ones come out as what they are mapped from.
fn address(random: &mut StdRng) -> String {
    let raw: [u8; 16] = random.random();
    let mapped = [[0; 10].as_slice(), &[0xff; 2], &raw[..4]].concat();
    let six = match random.random_range(0..3) {
        0 => std::net::Ipv6Addr::from(raw),
        1 => std::net::Ipv6Addr::from(<[u8; 16]>::try_from(mapped).unwrap()),
        _ => std::net::Ipv6Addr::from(u128::from(random.next_u32())),
    };
    six.to_canonical().to_string()
}

fn number(random: &mut StdRng) -> Value {
    let edges = [0_i64, -1, 1, 9_007_199_254_740_991, -9_007_199_254_740_991, 4_294_967_296, 2_147_483_648, 1000, 6000];
    Value::from(*edges.choose(random).unwrap())
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::from("x"), |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({"a": inner}) })
}
