//! What may have become of bytes on their way? A few of them changed, left out, put in, or cut off,
//! by a seed.
//!
//! Called by tests of what decodes bytes: whatever these are, it answers, and no more than an error
//! comes of it.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Bytes that no text has, and those that lengths and markers are made of.
pub const ANY: &[u8] =
    b"\x00\x01\x02\x03\x07\x08\x0f\x10\x20\x40\x7f\x80\xf0\xf1\xf2\xf3\xf4\xfe\xff\xfc\xfd\xfb";

/// Damages bytes in one to three places. What is put in is of `alphabet`, or any byte.
pub fn damage(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, alphabet: &[u8]) {
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..=bytes.len());
        let put =
            if rng.random_bool(0.9) { *alphabet.choose(rng).unwrap_or(&0) } else { rng.random() };
        match rng.random_range(0..8) {
            0 => bytes.truncate(at),
            1..=2 if at < bytes.len() => {
                bytes.remove(at);
            }
            3..=5 if at < bytes.len() => bytes[at] = put,
            _ => bytes.insert(at, put),
        }
    }
}
