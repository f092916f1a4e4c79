//! May a run go on with these bounds? `--from` and `--to` belong to the run: they are kept with its
//! checkpoints.
//!
//! Called by `source` at each start. What always holds: a bound is never ignored: a later end is
//! taken, and said; any other difference is an error that says how to go on.

use super::Bounds;

/// How a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoesOn {
    AsBefore,
    /// It had an end, and has a later one now; ms since the epoch.
    Further {
        was_ms: i64,
        to_ms: i64,
    },
}

/// Compares the bounds of a start with those of its run. Errors: why they do not fit, and what to
/// do.
pub(crate) fn go_on(known: Bounds, now: Bounds) -> Result<GoesOn, String> {
    let flag = |name: &str, ms: Option<i64>| match ms {
        Some(ms) => format!("{name} {}", rfc3339(ms)),
        None => format!("without {name}"),
    };
    let other = |name: &str, known_ms: Option<i64>, now_ms: Option<i64>| {
        Err(format!(
            "the run began {}, and this start is {}: start it {} again, or over with --fresh",
            flag(name, known_ms),
            flag(name, now_ms),
            flag(name, known_ms),
        ))
    };
    if known.from_ms != now.from_ms {
        return other("--from", known.from_ms, now.from_ms);
    }
    match (known.to_ms, now.to_ms) {
        (known, now) if known == now => Ok(GoesOn::AsBefore),
        (Some(was_ms), Some(to_ms)) if to_ms > was_ms => Ok(GoesOn::Further { was_ms, to_ms }),
        (known_ms, now_ms) => other("--to", known_ms, now_ms),
    }
}

fn rfc3339(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).map_or_else(
        || format!("{ms} ms"),
        |at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
    )
}

/// A time for people.
pub(crate) fn time(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| format!("{ms} ms"), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_end_is_taken_and_nothing_else() {
        let bounds = |from_ms, to_ms| Bounds { from_ms, to_ms };
        let known = bounds(Some(1000), Some(9000));
        assert_eq!(go_on(known, known), Ok(GoesOn::AsBefore));
        assert_eq!(
            go_on(known, bounds(Some(1000), Some(9500))),
            Ok(GoesOn::Further { was_ms: 9000, to_ms: 9500 })
        );
        for (now, says) in [
            (bounds(None, Some(9000)), "start it --from 1970-01-01T00:00:01Z again"),
            (bounds(Some(2000), Some(9000)), "is --from 1970-01-01T00:00:02Z"),
            (bounds(Some(1000), None), "this start is without --to"),
            (bounds(Some(1000), Some(8000)), "is --to 1970-01-01T00:00:08Z"),
        ] {
            let refused = go_on(known, now).expect_err("it does not fit");
            assert!(refused.contains(says) && refused.contains("--fresh"), "{refused}");
        }
        let unbounded = go_on(bounds(None, None), bounds(None, Some(5))).expect_err("it does not");
        assert!(unbounded.contains("start it without --to again"), "{unbounded}");
    }
}
