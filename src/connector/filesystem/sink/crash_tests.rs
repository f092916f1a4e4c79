//! Is every row there once when the process, or the machine, stopped at any one change to its
//! files?
//!
//! A job that writes a few epochs is run again and again on a tree in memory, and each time dies at
//! the next change. What the checkpoint store keeps for it is here a list that never fails: the
//! manifests, and which publications were begun and ended.

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::files::memory::{Tree, tells_of_crash};
use crate::sink::PrepareNow;
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

const FOLDER: &str = "/results/of/job";
const ERRORS: &str = "/state/errors";
const WRITERS: usize = 2;
const EPOCHS: u64 = 4;
const ROWS: i64 = 7;

/// What survives of the checkpoints.
#[derive(Debug, Default)]
struct Manifests {
    /// What was staged for the table and for the error stream, by epoch.
    staged: Vec<[Vec<Vec<u8>>; 2]>,
    /// Publications that were begun, and ended.
    begun: usize,
    ended: usize,
}

fn rows(values: std::ops::Range<i64>) -> Rows {
    let array: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    Rows::of_window(RecordBatch::try_from_iter([("v", array)]).unwrap(), None)
}

fn sinks(files: &Arc<dyn Files>) -> Result<[FileSink; 2], SinkError> {
    let schema = rows(0..0).batch.schema();
    let format = EncodeOptions::default();
    let table = FileSink::new(files.clone(), "out", FOLDER.into(), "r1", schema.clone(), format)?;
    // Parts are closed while they are written, too.
    let table = FileSink { part_bytes_max: 40, ..table };
    Ok([table, FileSink::errors(files.clone(), ERRORS.into(), "r1", schema)?])
}

/// The rows that a writer gets in an epoch.
fn rows_of(epoch: u64, writer: usize) -> Rows {
    let from = (epoch as i64 * WRITERS as i64 + writer as i64) * ROWS;
    rows(from..from + ROWS)
}

/// From a start to the end of the input, as `runtime::recovery` and `runtime::job` do it.
fn live(files: &Arc<dyn Files>, manifests: &mut Manifests) -> Result<(), SinkError> {
    let sinks = sinks(files)?;
    let publish = |manifests: &Manifests, with: fn(&FileSink, &[Vec<u8>]) -> _| {
        let staged = manifests.staged.last().into_iter().flatten();
        sinks.iter().zip(staged).try_for_each(|(sink, staged)| with(sink, staged))
    };
    let newest = manifests.staged.len();
    if manifests.ended < newest {
        if manifests.begun == newest {
            publish(manifests, FileSink::recommit)?;
        } else {
            manifests.begun = newest;
            publish(manifests, FileSink::commit)?;
        }
        manifests.ended = newest;
    }
    sinks.iter().try_for_each(Sink::discard_uncommitted)?;
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        for sink in &sinks {
            writers.push(sink.writer(number, Arc::new(|| {}))?);
        }
    }
    while (manifests.staged.len() as u64) < EPOCHS {
        let epoch = manifests.staged.len() as u64;
        let mut staged = [vec![], vec![]];
        for (place, writer) in writers.iter_mut().enumerate() {
            let rows = rows_of(epoch, place / 2);
            writer.write(&rows.slice(0, 3))?;
            writer.write(&rows.slice(3, ROWS as usize - 3))?;
            staged[place % 2].push(writer.prepare(epoch + 1)?);
        }
        manifests.staged.push(staged);
        // The next epoch is written while this one is committed.
        let newest = manifests.staged.len();
        manifests.begun = newest;
        publish(manifests, FileSink::commit)?;
        manifests.ended = newest;
    }
    Ok(())
}

/// The rows that a reader of the folder sees, in order.
fn visible(files: &dyn Files, folder: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if files.is_folder(Path::new(folder)) {
        for entry in files.list(Path::new(folder)).unwrap() {
            if !entry.name.to_str().unwrap().starts_with('.') {
                let text = String::from_utf8(files.read(&entry.path).unwrap()).unwrap();
                lines.extend(text.lines().map(String::from));
            }
        }
    }
    lines.sort();
    lines
}

fn expected(epochs: usize) -> Vec<String> {
    let values = 0..epochs as i64 * WRITERS as i64 * ROWS;
    let mut lines: Vec<String> = values.map(|v| format!("{{\"v\":{v}}}")).collect();
    lines.sort();
    lines
}

/// Epochs whose publication was ended are there with all rows; none is without being begun.
fn check(files: &dyn Files, manifests: &Manifests) {
    for folder in [FOLDER, ERRORS] {
        let seen = visible(files, folder);
        let (all, least) = (expected(manifests.begun), expected(manifests.ended));
        assert!(seen.iter().all(|row| all.binary_search(row).is_ok()), "{seen:?} {manifests:?}");
        assert!(least.iter().all(|row| seen.binary_search(row).is_ok()), "{seen:?} {manifests:?}");
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "twice: {seen:?}");
    }
}

/// Runs one life to its death at `operation`, or to its end; true if it came to its end.
fn run(tree: &Tree, manifests: &mut Manifests, operation: Option<u64>) -> bool {
    let files = tree.boot();
    if let Some(operation) = operation {
        tree.die_at(operation);
    }
    match live(&files, manifests) {
        Ok(()) => true,
        Err(e) => {
            assert!(tree.is_dead() && tells_of_crash(&e.to_string()), "{e} {manifests:?}");
            false
        }
    }
}

fn stop(tree: &Tree, rng: &mut impl Rng) {
    if rng.random_bool(0.5) { tree.crash(rng) } else { tree.kill() }
}

#[test]
fn a_stop_at_any_change_loses_no_row_and_repeats_none() {
    each_seed(0..by_tier(10, 100, 1000), |seed| {
        for operation in 1.. {
            let mut rng = ChaCha8Rng::seed_from_u64(seed * 10_000 + operation);
            let (tree, mut manifests) = (Tree::new(), Manifests::default());
            tree.outside().create_dir(Path::new("/state"), Access::OwnerOnly).unwrap();
            tree.sync();
            let ended = run(&tree, &mut manifests, Some(operation));
            check(tree.outside().as_ref(), &manifests);
            // Stops come again while what the first has left is being mended.
            for _ in 0..rng.random_range(0..4) {
                stop(&tree, &mut rng);
                check(tree.outside().as_ref(), &manifests);
                run(&tree, &mut manifests, Some(rng.random_range(1..40)));
            }
            stop(&tree, &mut rng);
            assert!(run(&tree, &mut manifests, None));
            tree.crash(&mut rng);
            let files = tree.outside();
            for folder in [FOLDER, ERRORS] {
                assert_eq!(visible(files.as_ref(), folder), expected(EPOCHS as usize));
            }
            if ended {
                assert!(operation > 50, "a job has few changes: {operation}");
                break;
            }
        }
    });
}
