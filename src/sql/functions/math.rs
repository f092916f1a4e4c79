//! Functions of doubles, and BIN.

use std::f64::consts;

use super::rows::ParameterKind::{Double, Long};
use super::rows::{Body, Definition, function};

pub const ALL: [Definition; 23] = [
    // Flink plans SQRT as POWER(x, 0.5), which has no negative zero.
    function("sqrt", &[Double], Body::Map(|x| x.powf(0.5))),
    function("exp", &[Double], Body::Map(f64::exp)),
    function("ln", &[Double], Body::Map(f64::ln)),
    function("log10", &[Double], Body::Map(f64::log10)),
    function("log2", &[Double], Body::Map(|x| x.ln() / 2f64.ln())),
    function(
        "log",
        &[Double, Double],
        Body::Double(|r| Ok(Some(if r.count() == 1 { r.double(0).ln() } else { r.double(1).ln() / r.double(0).ln() }))),
    )
    .requires(1),
    function("power", &[Double, Double], Body::Double(|r| Ok(Some(power(r.double(0), r.double(1)))))),
    function("sin", &[Double], Body::Map(f64::sin)),
    function("cos", &[Double], Body::Map(f64::cos)),
    function("tan", &[Double], Body::Map(f64::tan)),
    function("cot", &[Double], Body::Map(|x| 1.0 / x.tan())),
    function("asin", &[Double], Body::Map(f64::asin)),
    function("acos", &[Double], Body::Map(f64::acos)),
    function("atan", &[Double], Body::Map(f64::atan)),
    function("atan2", &[Double, Double], Body::Double(|r| Ok(Some(r.double(0).atan2(r.double(1)))))),
    function("sinh", &[Double], Body::Map(f64::sinh)),
    function("cosh", &[Double], Body::Map(f64::cosh)),
    function("tanh", &[Double], Body::Map(f64::tanh)),
    function("degrees", &[Double], Body::Map(f64::to_degrees)),
    function("radians", &[Double], Body::Map(f64::to_radians)),
    function("pi", &[], Body::Double(|_| Ok(Some(consts::PI)))),
    function("e", &[], Body::Double(|_| Ok(Some(consts::E)))),
    function("bin", &[Long], Body::Text(|r| Ok(Some(format!("{:b}", r.long(0)))))),
];

/// Java's Math.pow: 1 to the power of NaN is NaN there.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent.is_nan() || base.abs() == 1.0 && exponent.is_infinite() { f64::NAN } else { base.powf(exponent) }
}
