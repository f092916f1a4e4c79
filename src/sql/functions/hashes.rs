//! MD5 and the SHA family, of text or BYTES, as lower-case hexadecimal text.

use md5::Digest as _;
use sha2::Digest as _;

use super::rows::ParameterKind::{Bytes, Int};
use super::rows::{Body, Definition, function};

pub const ALL: [Definition; 7] = [
    function("md5", &[Bytes], Body::Text(|r| Ok(Some(hex(&md5::Md5::digest(r.bytes(0))))))),
    function("sha1", &[Bytes], Body::Text(|r| Ok(Some(sha1_smol::Sha1::from(r.bytes(0)).digest().to_string())))),
    function("sha224", &[Bytes], Body::Text(|r| Ok(sha2(r.bytes(0), 224)))),
    function("sha256", &[Bytes], Body::Text(|r| Ok(sha2(r.bytes(0), 256)))),
    function("sha384", &[Bytes], Body::Text(|r| Ok(sha2(r.bytes(0), 384)))),
    function("sha512", &[Bytes], Body::Text(|r| Ok(sha2(r.bytes(0), 512)))),
    function(
        "sha2",
        &[Bytes, Int],
        Body::Text(|r| match sha2(r.bytes(0), r.int(1)) {
            Some(hash) => Ok(Some(hash)),
            None => Err(format!("there is no SHA-2 of {} bits", r.int(1))),
        }),
    ),
];

fn sha2(bytes: &[u8], bits: i32) -> Option<String> {
    Some(match bits {
        224 => hex(&sha2::Sha224::digest(bytes)),
        256 => hex(&sha2::Sha256::digest(bytes)),
        384 => hex(&sha2::Sha384::digest(bytes)),
        512 => hex(&sha2::Sha512::digest(bytes)),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
