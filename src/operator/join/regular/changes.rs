//! What does a row of one input change, beside the rows of the other that it is joined with?
//!
//! The algorithms of Flink's StreamingJoinOperator and StreamingSemiAntiJoinOperator (2.3), change
//! for change. The row that came is *own*, those that the other input has kept are *other*. Called
//! by the operator for each pair whose condition holds, then once for the row itself.

use crate::operator::Op;
use crate::operator::join::JoinKind;

/// Which rows a change has. NULLs stand in the place of the one that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Both,
    Own,
    Other,
}

/// True if the number of rows that a row of this input is joined with decides what comes out.
pub(crate) fn counts_matches(kind: JoinKind, input: usize) -> bool {
    keeps(kind, input) || input == 0 && kind == JoinKind::Semi
}

/// True if rows of this input come out without a match too.
fn keeps(kind: JoinKind, input: usize) -> bool {
    if input == 0 { kind.keeps_left() } else { kind.keeps_right() }
}

/// A row of `input` that does `op` meets another one, which has so many matches. Returns how many
/// the other one has then.
pub(crate) fn pair(
    kind: JoinKind,
    input: usize,
    op: Op,
    matches: u32,
    mut out: impl FnMut(Op, Shown),
) -> u32 {
    let after = if op.adds() { matches.saturating_add(1) } else { matches.saturating_sub(1) };
    // The other one finds its first match, or loses its last.
    let turns = if op.adds() { matches == 0 } else { matches == 1 };
    if kind.only_left() {
        if input == 1 && turns {
            let op = match (kind, op.adds()) {
                (JoinKind::Semi, _) => op,
                (_, true) => Op::Delete,
                (_, false) => Op::Insert,
            };
            out(op, Shown::Other);
        }
        return after;
    }
    let (own, other) = (keeps(kind, input), keeps(kind, 1 - input));
    if op.adds() {
        if other && turns {
            out(Op::Delete, Shown::Other);
        }
        out(if own || other { Op::Insert } else { op }, Shown::Both);
    } else {
        out(if own { Op::Delete } else { op }, Shown::Both);
        if other && turns {
            out(Op::Insert, Shown::Other);
        }
    }
    after
}

/// What the row itself does once all its pairs are known, of which there are `matches`.
pub(crate) fn alone(
    kind: JoinKind,
    input: usize,
    op: Op,
    matches: u32,
    mut out: impl FnMut(Op, Shown),
) {
    if kind.only_left() {
        if input == 0 && (kind == JoinKind::Semi) == (matches > 0) {
            out(op, Shown::Own);
        }
    } else if keeps(kind, input) && matches == 0 {
        out(if op.adds() { Op::Insert } else { Op::Delete }, Shown::Own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a row does that meets others with these matches.
    fn of(kind: JoinKind, input: usize, op: Op, others: &[u32]) -> String {
        let mut text = Vec::new();
        let mut out = |op: Op, shown| {
            let shown = match shown {
                Shown::Both => "both",
                Shown::Own => "own",
                Shown::Other => "other",
            };
            text.push(format!("{} {shown}", op.name()));
        };
        for &matches in others {
            pair(kind, input, op, matches, &mut out);
        }
        alone(kind, input, op, others.len() as u32, &mut out);
        text.join(", ")
    }

    #[test]
    fn changes_are_those_of_flink() {
        use JoinKind::*;
        for (kind, input, op, others, changes) in [
            (Inner, 0, Op::Insert, &[0, 0][..], "+I both, +I both"),
            (Inner, 1, Op::UpdateAfter, &[0], "+U both"),
            (Inner, 0, Op::UpdateBefore, &[0], "-U both"),
            (Inner, 0, Op::Insert, &[], ""),
            // A left row without a match waits with NULLs.
            (Left, 0, Op::UpdateAfter, &[], "+I own"),
            (Left, 0, Op::UpdateBefore, &[], "-D own"),
            (Left, 0, Op::UpdateBefore, &[0], "-D both"),
            (Left, 0, Op::UpdateAfter, &[0], "+I both"),
            (Left, 1, Op::UpdateAfter, &[0], "-D other, +I both"),
            (Left, 1, Op::Insert, &[2], "+I both"),
            (Left, 1, Op::UpdateBefore, &[1], "-U both, +I other"),
            (Left, 1, Op::Delete, &[2, 1], "-D both, -D both, +I other"),
            (Left, 1, Op::Insert, &[], ""),
            (Right, 0, Op::Insert, &[0], "-D other, +I both"),
            (Full, 0, Op::Insert, &[0, 1], "-D other, +I both, +I both"),
            (Full, 1, Op::Delete, &[1], "-D both, +I other"),
            (Full, 1, Op::Delete, &[], "-D own"),
            (Semi, 0, Op::Insert, &[0], "+I own"),
            (Semi, 0, Op::UpdateBefore, &[0, 0], "-U own"),
            (Semi, 0, Op::Insert, &[], ""),
            (Semi, 1, Op::UpdateAfter, &[0, 1], "+U other"),
            (Semi, 1, Op::Delete, &[1, 2], "-D other"),
            (Anti, 0, Op::Insert, &[], "+I own"),
            (Anti, 0, Op::Insert, &[0], ""),
            (Anti, 1, Op::Insert, &[0, 1], "-D other"),
            (Anti, 1, Op::UpdateBefore, &[1, 2], "+I other"),
            (Anti, 1, Op::Insert, &[], ""),
        ] {
            assert_eq!(of(kind, input, op, others), changes, "{kind:?} {input} {op:?} {others:?}");
        }
    }
}
