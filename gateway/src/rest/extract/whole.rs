//! Whole numbers of a body as JSON Schema has them: `1.0` is an integer (draft 2020-12, validation, section 6.1.1).

use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// The largest whole number up to which a double holds all of them.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// For `#[serde(deserialize_with)]` of an unsigned field.
pub fn whole<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    deserializer.deserialize_u64(Whole(PhantomData))
}

struct Whole<T>(PhantomData<T>);

impl<T: TryFrom<u64>> Visitor<'_> for Whole<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a whole number of {} bits", 8 * size_of::<T>())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        if number.fract() == 0.0 && (0.0..=EXACT).contains(&number) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just looked at")]
            return self.visit_u64(number as u64);
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u32> {
        whole(&mut serde_json::Deserializer::from_str(text)).ok()
    }

    #[test]
    fn a_number_without_a_fraction_is_whole_however_it_is_written() {
        assert_eq!(["881", "881.0", "8.81e2", "-0.0"].map(read), [Some(881), Some(881), Some(881), Some(0)]);
        assert_eq!(["1.5", "-1", "-1.0", "4294967296", "1e300", "\"1\"", "null"].map(read), [None; 7]);
    }
}
