//! Which records of a raw batch do the rows of a decoded one come from?
//!
//! Asked by `ingest`, which diverts rows of a batch one by one and has to name their records, and
//! which gives rows the kinds of change that their records have. What always holds: there is a
//! record of the batch for each row.

use std::collections::BTreeSet;

use arrow::array::BooleanArray;

use crate::change::Ops;
use crate::format::{BadRecord, RecordPart};
use crate::record::{Places, RawBatch};

/// Where the rows of a batch come from.
pub(super) struct Origins {
    /// None: row i is record i.
    pub records: Option<Vec<u32>>,
    /// None: each row is a whole record.
    pub parts: Option<Vec<Option<RecordPart>>>,
}

impl Origins {
    /// The record of a row.
    fn record(&self, row: usize) -> usize {
        self.records.as_ref().map_or(row, |records| records[row] as usize)
    }

    pub fn bad(&self, row: usize, reason: String) -> BadRecord {
        BadRecord {
            index: self.record(row),
            part: self.parts.as_ref().and_then(|parts| parts[row]),
            reason,
        }
    }

    /// What some of the rows do, where their records say so.
    pub fn ops(&self, raw: &RawBatch, rows: impl Iterator<Item = usize>) -> Option<Ops> {
        let ops = raw.ops.as_ref()?;
        Some(rows.map(|row| ops[self.record(row)]).collect())
    }

    /// Those of the rows that stay.
    pub fn filter(&self, keep: &BooleanArray) -> Origins {
        let rows = || (0..keep.len()).filter(|&row| keep.value(row));
        Origins {
            records: Some(rows().map(|row| self.record(row) as u32).collect()),
            parts: self.parts.as_ref().map(|parts| rows().map(|row| parts[row]).collect()),
        }
    }

    /// Which rows come of messages that could be read throughout. The others are bad too: half an
    /// update would leave a row in its table that is not there, or none where there is one.
    pub fn in_whole_messages(
        &self,
        places: &Places,
        bad: &mut Vec<BadRecord>,
        rows: usize,
    ) -> Vec<bool> {
        let broken: BTreeSet<usize> = bad.iter().map(|one| places.parent(one.index)).collect();
        let is_whole = |row: usize| {
            let is_whole = !broken.contains(&places.parent(self.record(row)));
            if !is_whole {
                bad.push(self.bad(row, "another change of its message cannot be read".into()));
            }
            is_whole
        };
        (0..rows).map(is_whole).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Parts;

    #[test]
    fn a_message_gives_all_of_its_changes_or_none() {
        let parts =
            Parts { what: "change", numbers: vec![Some(0), Some(1), Some(0), Some(0), Some(1)] };
        let source = Box::new(Places::Lines { numbers: vec![1, 2, 3] });
        let places = Places::Within { source, records: vec![0, 0, 1, 2, 2], parts: Some(parts) };
        // The second record of the first message could not be read, and the first of the third.
        let origins = Origins { records: Some(vec![0, 2, 4]), parts: None };
        let bad_record = |index| BadRecord { index, part: None, reason: "bad".into() };
        let mut bad = vec![bad_record(1), bad_record(3)];
        assert_eq!(origins.in_whole_messages(&places, &mut bad, 3), [false, true, false]);
        let told: Vec<usize> = bad.iter().map(|one| one.index).collect();
        assert_eq!(told, [1, 3, 0, 4]);
    }
}
