//! Before a table whose key is the rank: deletes the ranks that a window does not have.
//!
//! A board of five after one of ten leaves ranks six to ten of the earlier window in a table that
//! holds one row for each rank. So behind the rows of a window come deletions, with the end of that
//! window, of the ranks that the board may have shown before and does not have now. A board without
//! a row in a window has no result there, and stays as it is.
//!
//! What always holds: all rows of a board and a window come in one batch; what is not known to be
//! gone is deleted, be it what an earlier process or run has shown: that is asked for once for each
//! board, and forgetting costs nothing but asking again. So nothing is kept in checkpoints.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::Int64Type;

use crate::operator::{Context, Event, Op, Operator, OperatorError, Rows};
use crate::state::key::{KeyBuf, encode_keys};

/// Boards whose ranks are remembered take so much memory at most; then all are forgotten.
const SHOWN_BYTES_MAX: usize = 4 << 20;

/// Columns of the rows, and what is known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRanksSpec {
    /// Those that tell boards apart.
    pub boards: Vec<usize>,
    /// The rank, a BIGINT.
    pub rank: usize,
    /// No board has higher ranks.
    pub limit: usize,
}

pub(crate) struct EndedRanks {
    spec: EndedRanksSpec,
    /// The ranks that boards have shown in their last windows, ascending. None is known of others.
    shown: HashMap<Box<[u8]>, Vec<i64>>,
    shown_bytes: usize,
    keys: KeyBuf,
}

impl EndedRanks {
    pub fn new(spec: EndedRanksSpec) -> EndedRanks {
        EndedRanks { spec, shown: HashMap::new(), shown_bytes: 0, keys: KeyBuf::default() }
    }

    /// The deletions that follow rows of a window.
    fn ended(&mut self, rows: &Rows) -> Result<Option<Rows>, OperatorError> {
        let columns: Vec<ArrayRef> =
            self.spec.boards.iter().map(|&c| rows.batch.column(c).clone()).collect();
        encode_keys(&columns, rows.len(), &mut self.keys);
        let ranks = rows.batch.column(self.spec.rank).as_primitive::<Int64Type>();
        // In the order in which the boards come.
        let mut numbers: HashMap<&[u8], usize> = HashMap::new();
        let mut boards: Vec<(u32, Vec<i64>)> = Vec::new();
        for row in 0..rows.len() {
            let number = *numbers.entry(self.keys.get(row)).or_insert(boards.len());
            if number == boards.len() {
                boards.push((row as u32, Vec::new()));
            }
            boards[number].1.push(ranks.value(row));
        }
        let (mut picks, mut ended) = (Vec::new(), Vec::new());
        for (row, mut now) in boards {
            now.sort_unstable();
            let mut end = |before: &mut dyn Iterator<Item = i64>| {
                for rank in before.filter(|rank| now.binary_search(rank).is_err()) {
                    picks.push(row);
                    ended.push(rank);
                }
            };
            let key: Box<[u8]> = self.keys.get(row as usize).into();
            match self.shown.entry(key) {
                Entry::Occupied(mut shown) => {
                    end(&mut shown.get().iter().copied());
                    self.shown_bytes -= size_of_val(shown.get().as_slice());
                    self.shown_bytes += size_of_val(now.as_slice());
                    shown.insert(now);
                }
                Entry::Vacant(unknown) => {
                    end(&mut (1..=self.spec.limit as i64));
                    self.shown_bytes += unknown.key().len() + size_of_val(now.as_slice());
                    unknown.insert(now);
                }
            }
        }
        if self.shown_bytes > SHOWN_BYTES_MAX {
            self.shown.clear();
            self.shown_bytes = 0;
        }
        if ended.is_empty() {
            return Ok(None);
        }
        let picks = UInt32Array::from(picks);
        let column = |(c, values): (usize, &ArrayRef)| -> Result<ArrayRef, OperatorError> {
            Ok(if c == self.spec.rank {
                Arc::new(Int64Array::from(ended.clone()))
            } else if self.spec.boards.contains(&c) {
                take(values, &picks, None)?
            } else {
                // A deletion is of a key.
                new_null_array(values.data_type(), picks.len())
            })
        };
        let columns = rows.batch.columns().iter().enumerate().map(column);
        let batch =
            RecordBatch::try_new(rows.batch.schema(), columns.collect::<Result<Vec<_>, _>>()?)?;
        let ops = Some(std::iter::repeat_n(Op::Delete, picks.len()).collect());
        Ok(Some(Rows { ops, window_end: rows.window_end, ..Rows::new(batch) }))
    }
}

impl Operator for EndedRanks {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Event::Rows(rows) = event else {
            cx.out.push(event);
            return Ok(());
        };
        if rows.is_empty() {
            return Ok(());
        }
        let ended = self.ended(&rows)?;
        cx.out.push(Event::Rows(rows));
        cx.out.extend(ended.map(Event::Rows));
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.shown_bytes
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;
    use crate::time::EventTime;

    /// Deletions behind rows of (race, rank) in a window, as `race/rank`.
    fn ended(operator: &mut EndedRanks, end: i64, rows: &[(&str, i64)]) -> Vec<String> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "somebody"))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            ["race", "rank", "who"].into_iter().zip(columns).map(|(name, c)| (name, c, true)),
        );
        let rows = Rows::of_window(batch.expect("columns"), Some(EventTime::at(end)));
        let Some(rows) = operator.ended(&rows).expect("no error") else { return vec![] };
        assert_eq!(rows.window_end, Some(EventTime::at(end)));
        let text = |row| {
            assert!(!rows.op(row).adds() && rows.batch.column(2).is_null(row));
            let race = rows.batch.column(0).as_string::<i32>().value(row);
            format!("{race}/{}", rows.batch.column(1).as_primitive::<Int64Type>().value(row))
        };
        (0..rows.len()).map(text).collect()
    }

    #[test]
    fn ranks_that_a_window_does_not_have_are_deleted_once() {
        let spec = EndedRanksSpec { boards: vec![0], rank: 1, limit: 3 };
        let mut operator = EndedRanks::new(spec);
        let mut ended = |end, rows: &[_]| ended(&mut operator, end, rows);
        let all = [("a", 1), ("a", 2), ("a", 3), ("b", 1)];
        assert_eq!(ended(10, &all), ["b/2", "b/3"], "what was shown before is not known");
        assert_eq!(ended(20, &[("a", 1)]), ["a/2", "a/3"]);
        assert!(ended(30, &[("b", 1), ("a", 1)]).is_empty());
        assert!(ended(40, &all).is_empty());
        // A filter may leave out some in the midst; a board without rows stays.
        assert_eq!(ended(50, &[("a", 3)]), ["a/1", "a/2"]);
    }

    #[test]
    fn what_is_forgotten_is_asked_for_again() {
        let spec = EndedRanksSpec { boards: vec![], rank: 1, limit: 3 };
        let mut operator = EndedRanks::new(spec);
        assert_eq!(ended(&mut operator, 10, &[("x", 1)]), ["/2", "/3"]);
        assert!(ended(&mut operator, 20, &[("x", 1)]).is_empty());
        operator.shown_bytes = SHOWN_BYTES_MAX + 1;
        assert!(ended(&mut operator, 30, &[("x", 1)]).is_empty());
        assert_eq!(ended(&mut operator, 40, &[("x", 1)]).len(), 2);
    }
}
