//! In which order does a Java HashMap give its entries back?
//!
//! Flink holds the maps that it reads from JSON in HashMaps of its binary strings, and CAST to
//! STRING, MAP_KEYS and UNNEST show that order. It follows from the hash alone: Murmur3 of the
//! UTF-8 bytes with seed 42 (Flink's `MurmurHashUtils.hashBytes`, which mixes the bytes after the
//! last whole word one by one), its halves folded, modulo the size of the table.

/// Buckets of a new table; it doubles when three quarters of them would be exceeded.
const FIRST_SIZE: usize = 16;

/// Sorts entries with distinct keys, given in the order of insertion, as a HashMap iterates over
/// them.
pub fn sort<T>(entries: &mut [T], hash: impl Fn(&T) -> u32) {
    if entries.len() < 2 {
        return;
    }
    let mut size = FIRST_SIZE;
    while entries.len() > size / 4 * 3 {
        size *= 2;
    }
    // Stable: a bucket keeps its entries in the order of insertion, also where the table grows.
    entries.sort_by_cached_key(|entry| {
        let hash = hash(entry);
        (hash ^ hash >> 16) as usize & (size - 1)
    });
}

/// The hash of a text.
pub fn hash(bytes: &[u8]) -> u32 {
    let mix = |hash: u32, word: u32| {
        let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    };
    let mut hash = 42;
    let words = bytes.chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        hash = mix(hash, u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    }
    for &byte in rest {
        // Java's bytes have a sign.
        hash = mix(hash, i32::from(byte as i8) as u32);
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_flink() {
        // As CAST(map AS STRING) of `t_nested` and MAP_UNION of `f_map_row` in `tests/cases` show.
        for (given, expected) in [("yz", "zy"), ("bc", "cb"), ("az", "za")] {
            let mut keys: Vec<String> = given.chars().map(String::from).collect();
            sort(&mut keys, |k| hash(k.as_bytes()));
            assert_eq!(keys.concat(), expected);
        }
    }
}
