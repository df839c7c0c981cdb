//! Tiles (c2sp.org/tlog-tiles): the tree in pieces of up to 256 hashes, each under a path of its own. The doors serve them.

use std::fmt;
use std::str::FromStr;

/// Hashes in a full tile, and leaves under each hash of the level above.
const FULL: u16 = 256;
/// The highest level the specification knows.
const HIGHEST: u8 = 63;

/// Hashes `first` to `first` + `width` of every eighth level of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

/// The path is not that of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no tile has this path: LEVEL/INDEX or LEVEL/INDEX.p/WIDTH is expected, the index as in x001/x234/067")]
pub struct TileError;

impl Tile {
    /// The level of the tree its hashes are of: 0 for leaves, 8 for roots of 256 leaves, and so on. `None` where no tree
    /// is so high.
    pub fn height(self) -> Option<u8> {
        (self.level < 8).then(|| self.level * 8)
    }

    /// The index of its first hash on that level.
    pub fn first(self) -> Option<u64> {
        self.index.checked_mul(u64::from(FULL))
    }

    /// How many hashes it holds.
    pub fn width(self) -> u16 {
        self.width
    }

    /// The size of the smallest tree that has it.
    pub fn smallest_tree(self) -> Option<u64> {
        let past = self.first()?.checked_add(u64::from(self.width))?;
        past.checked_mul(1_u64.checked_shl(u32::from(self.height()?))?)
    }

    /// The tiles of a tree of `size` leaves, the leaves first; the last of a level may be partial.
    pub fn of_tree(size: u64) -> impl Iterator<Item = Self> {
        let level = move |level: u8| {
            let hashes = size >> (8 * u32::from(level));
            let tile = move |index: u64| {
                let width = (hashes - index * u64::from(FULL)).min(u64::from(FULL));
                Self { level, index, width: u16::try_from(width).unwrap_or(FULL) }
            };
            (0..hashes.div_ceil(u64::from(FULL))).map(tile)
        };
        (0..8).flat_map(level)
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.index.to_string();
        let digits = format!("{}{digits}", "0".repeat(digits.len().div_ceil(3) * 3 - digits.len()));
        let (groups, last) = digits.split_at(digits.len() - 3);
        write!(f, "{}/", self.level)?;
        for at in (0..groups.len()).step_by(3) {
            write!(f, "x{}/", &groups[at..at + 3])?;
        }
        write!(f, "{last}")?;
        if self.width < FULL { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let (level, rest) = path.split_once('/').ok_or(TileError)?;
        let level = number(level, 0, u64::from(HIGHEST))?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, number(width, 1, u64::from(FULL) - 1)?),
            None => (rest, u64::from(FULL)),
        };
        let (level, width) =
            (u8::try_from(level).map_err(|_| TileError)?, u16::try_from(width).map_err(|_| TileError)?);
        let tile = Self { level, index: read_index(index)?, width };
        // One tile, one path: no leading zeroes, no groups too many.
        if tile.to_string() == path { Ok(tile) } else { Err(TileError) }
    }
}

fn number(text: &str, least: u64, most: u64) -> Result<u64, TileError> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (least..=most).contains(number)).ok_or(TileError)
}

fn read_index(text: &str) -> Result<u64, TileError> {
    let digits: String = text.split('/').map(|group| group.strip_prefix('x').unwrap_or(group)).collect();
    number(&digits, 0, u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(level: u8, index: u64, width: u16) -> Tile {
        Tile { level, index, width }
    }

    #[test]
    fn a_tile_has_one_path_and_the_path_one_tile() {
        let cases = [
            (tile(0, 0, 256), "0/000"),
            (tile(0, 999, 256), "0/999"),
            (tile(1, 1000, 256), "1/x001/000"),
            (tile(0, 1_234_067, 256), "0/x001/x234/067"),
            (tile(0, 1_234_067, 8), "0/x001/x234/067.p/8"),
            (tile(63, u64::MAX, 1), "63/x018/x446/x744/x073/x709/x551/615.p/1"),
        ];
        for (tile, path) in cases {
            assert_eq!((tile.to_string().as_str(), path.parse()), (path, Ok(tile)));
        }
    }

    #[test]
    fn another_path_is_no_tile_s() {
        let wrong = [
            "",
            "0",
            "0/",
            "/000",
            "0/0",
            "0/00",
            "0/0000",
            "00/000",
            "64/000",
            "-1/000",
            "a/000",
            "0/x000/001",
            "0/001/234",
            "0/x001",
            "0/x001/x234",
            "0/xx01/234",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p/",
            "0/000.p/+1",
            "0/000.p/1/",
            "0/000/",
            "0/+01",
            "0/x018/x446/x744/x073/x709/x551/616",
            "entries/000",
            "0/../000",
        ];
        for path in wrong {
            assert_eq!(path.parse::<Tile>(), Err(TileError), "{path}");
        }
    }

    #[test]
    fn a_tree_has_the_tiles_that_the_specification_s_example_names() {
        let tiles: Vec<_> = Tile::of_tree(70_000).collect();
        let of_level = |level| tiles.iter().filter(move |tile| tile.level == level);
        assert_eq!(of_level(0).filter(|tile| tile.width == 256).count(), 273);
        assert_eq!(of_level(0).next_back(), Some(&tile(0, 273, 112)));
        assert_eq!(of_level(1).collect::<Vec<_>>(), [&tile(1, 0, 256), &tile(1, 1, 17)]);
        assert_eq!(of_level(2).collect::<Vec<_>>(), [&tile(2, 0, 1)]);
        assert_eq!(of_level(3).count(), 0);
        assert_eq!(Tile::of_tree(256).collect::<Vec<_>>(), [tile(0, 0, 256), tile(1, 0, 1)]);
        assert_eq!(Tile::of_tree(0).count(), 0);
    }

    #[test]
    fn a_tree_has_the_tiles_whose_smallest_tree_is_no_larger() {
        for size in [1, 255, 256, 257, 511, 65_536, 70_000] {
            assert!(Tile::of_tree(size).all(|tile| tile.smallest_tree().unwrap() <= size));
        }
        assert_eq!((tile(0, 1, 3).smallest_tree(), tile(1, 1, 17).smallest_tree()), (Some(259), Some(273 * 256)));
        assert_eq!((tile(8, 0, 1).smallest_tree(), tile(0, u64::MAX, 1).smallest_tree()), (None, None));
        assert_eq!(tile(7, 0, 256).smallest_tree(), None, "no tree has 2^64 leaves");
    }
}
