//! Each crash point of the file sink, and what a reader of the folder may see at that time.

use super::*;
use crate::files::on_disk;
use crate::simulation::executor::Sim;
use crate::sink::PrepareNow;
use crate::time::virtual_time::VirtualTime;
use std::collections::BTreeMap;
use std::fs;

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;

fn rows(values: std::ops::Range<i64>) -> Rows {
    let array: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    Rows::of_window(RecordBatch::try_from_iter([("v", array)]).unwrap(), None)
}

fn text(values: std::ops::Range<i64>) -> String {
    values.map(|v| format!("{{\"v\":{v}}}\n")).collect()
}

/// A sink as a process that has just started has it.
fn sink(folder: &Path, run: &str) -> FileSink {
    FileSink::new(
        on_disk(),
        "out",
        folder.to_owned(),
        run,
        rows(0..0).batch.schema(),
        EncodeOptions::default(),
    )
    .unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

fn visible(folder: &Path) -> Vec<(String, String)> {
    files(folder).into_iter().filter(|(name, _)| !name.starts_with('.')).collect()
}

/// What the job does when it starts on a checkpoint: first the renames, then the removal of
/// everything else.
fn restore(folder: &Path, staged: &[Vec<u8>]) -> FileSink {
    let sink = sink(folder, "r1");
    sink.commit(staged).unwrap();
    sink.discard_uncommitted().unwrap();
    sink
}

#[test]
fn rows_become_visible_with_the_commit_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a/b");
    let sink = sink(&folder, "r1");
    let mut writer = sink.writer(3, Arc::new(|| {})).unwrap();
    writer.write(&rows(0..2)).unwrap();
    writer.write(&rows(2..3)).unwrap();
    assert!(visible(&folder).is_empty());
    let staged = writer.prepare(1).unwrap();
    assert!(visible(&folder).is_empty());
    // The next epoch is being written while this one is committed.
    writer.write(&rows(3..4)).unwrap();
    sink.commit(&[staged]).unwrap();
    assert_eq!(visible(&folder), [("part-out-r1-00000001-3-0.jsonl".to_owned(), text(0..3))]);
    sink.commit(&[writer.prepare(2).unwrap()]).unwrap();
    assert_eq!(visible(&folder)[1], ("part-out-r1-00000002-3-0.jsonl".to_owned(), text(3..4)));
    assert_eq!(files(&folder).len(), 2);
}

#[test]
fn an_epoch_without_rows_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = sink(dir.path(), "r1").writer(0, Arc::new(|| {})).unwrap();
    assert_eq!(writer.prepare(1).unwrap(), b"");
    writer.write(&rows(0..0)).unwrap();
    assert_eq!(writer.prepare(2).unwrap(), b"");
    assert!(files(dir.path()).is_empty());
}

#[test]
fn crash_while_writing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = FileSink { part_bytes_max: 20, ..sink(dir.path(), "r1") }
        .writer(0, Arc::new(|| {}))
        .unwrap();
    writer.write(&rows(0..5)).unwrap();
    assert_eq!(files(dir.path()).len(), 1);
    drop(writer);
    restore(dir.path(), &[]);
    assert!(files(dir.path()).is_empty());
}

#[test]
fn crash_after_the_part_is_durable_and_before_the_manifest_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = sink(dir.path(), "r1").writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(0..5)).unwrap();
    writer.prepare(1).unwrap();
    drop(writer);
    assert_eq!(files(dir.path()).len(), 1);
    restore(dir.path(), &[]);
    assert!(files(dir.path()).is_empty());
}

#[test]
fn crash_after_the_manifest_and_before_the_rename() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = sink(dir.path(), "r1").writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(0..5)).unwrap();
    let staged = writer.prepare(1).unwrap();
    writer.write(&rows(5..9)).unwrap();
    writer.prepare(2).unwrap();
    drop(writer);
    restore(dir.path(), &[staged]);
    assert_eq!(
        files(dir.path()),
        BTreeMap::from([("part-out-r1-00000001-0-0.jsonl".to_owned(), text(0..5))])
    );
}

#[test]
fn crash_between_two_renames_and_after_all() {
    let dir = tempfile::tempdir().unwrap();
    let first_life = sink(dir.path(), "r1");
    let staged: Vec<Vec<u8>> = (0..2)
        .map(|worker| {
            let mut writer = first_life.writer(worker, Arc::new(|| {})).unwrap();
            writer.write(&rows(0..1)).unwrap();
            writer.prepare(4).unwrap()
        })
        .collect();
    first_life.commit(&staged[..1]).unwrap();
    assert_eq!(visible(dir.path()).len(), 1);
    for _ in 0..2 {
        restore(dir.path(), &staged);
        assert_eq!(visible(dir.path()).len(), 2);
        assert_eq!(files(dir.path()).len(), 2);
    }
}

#[test]
fn a_restored_writer_does_not_touch_what_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = sink(dir.path(), "r1").writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(0..1)).unwrap();
    let staged = writer.prepare(1).unwrap();
    drop(writer);
    let second_life = restore(dir.path(), &[staged]);
    let mut writer = second_life.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(1..2)).unwrap();
    second_life.commit(&[writer.prepare(2).unwrap()]).unwrap();
    let contents: Vec<String> = visible(dir.path()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(contents, [text(0..1), text(1..2)]);
}

#[test]
fn a_staged_part_is_never_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = sink(dir.path(), "r1").writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(0..1)).unwrap();
    let staged = writer.prepare(1).unwrap();
    // A second writer that expects the same epoch, before the first one's part has been renamed.
    let second_life = sink(dir.path(), "r1");
    let mut writer = second_life.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(7..8)).unwrap();
    let later = writer.prepare(2).unwrap();
    second_life.commit(&[staged, later]).unwrap();
    let contents: Vec<String> = visible(dir.path()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(contents, [text(0..1), text(7..8)]);
}

#[test]
fn lost_or_damaged_parts_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), "r1");
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(0..5)).unwrap();
    let staged = [writer.prepare(1).unwrap()];
    let part = dir.path().join(files(dir.path()).keys().next().unwrap());
    let name = dir.path().join("part-out-r1-00000001-0-0.jsonl");

    let content = fs::read(&part).unwrap();
    fs::write(&part, &content[1..]).unwrap();
    let error = sink.commit(&staged).unwrap_err().to_string();
    assert!(
        error.contains(part.to_str().unwrap()) && error.contains("checkpoint says 40"),
        "{error}"
    );

    fs::remove_file(&part).unwrap();
    let error = sink.commit(&staged).unwrap_err().to_string();
    assert!(
        error.contains(part.to_str().unwrap()) && error.contains(name.to_str().unwrap()),
        "{error}"
    );

    fs::write(&name, b"short").unwrap();
    let error = sink.commit(&staged).unwrap_err().to_string();
    assert!(
        error.contains(name.to_str().unwrap())
            && error.contains("(5 bytes) is not the file of 40 bytes"),
        "{error}"
    );

    fs::write(&name, text(5..10)).unwrap();
    let error = sink.commit(&staged).unwrap_err().to_string();
    assert!(error.contains("move it elsewhere"), "{error}");
    fs::write(&name, text(0..5)).unwrap();
    sink.commit(&staged).unwrap();

    assert!(sink.commit(&[b"{".to_vec()]).is_err());
    let outside = serde_json::to_vec(&[StagedPart {
        part: "a".into(),
        name: "../b".into(),
        length_bytes: 0,
        crc32c: 0,
    }]);
    assert!(sink.commit(&[outside.unwrap()]).unwrap_err().to_string().contains("not a file name"));
}

#[test]
fn a_part_that_a_reader_took_before_a_kill_is_not_missed_and_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let first_life = sink(dir.path(), "r1");
    let staged: Vec<Vec<u8>> = (0..3)
        .map(|worker| {
            let mut writer = first_life.writer(worker, Arc::new(|| {})).unwrap();
            writer.write(&rows(0..1)).unwrap();
            writer.prepare(4).unwrap()
        })
        .collect();
    first_life.commit(&staged[..2]).unwrap();
    let taken = dir.path().join("part-out-r1-00000004-0-0.jsonl");
    fs::remove_file(&taken).unwrap();
    // If nothing was renamed yet, it was no reader who took it.
    assert!(sink(dir.path(), "r1").commit(&staged).is_err());
    for _ in 0..2 {
        let second_life = sink(dir.path(), "r1");
        second_life.recommit(&staged).unwrap();
        second_life.discard_uncommitted().unwrap();
        let names: Vec<String> = files(dir.path()).into_keys().collect();
        assert_eq!(names, ["part-out-r1-00000004-1-0.jsonl", "part-out-r1-00000004-2-0.jsonl"]);
    }
    // The whole folder may go.
    fs::remove_dir_all(dir.path()).unwrap();
    sink(dir.path(), "r1").recommit(&staged).unwrap();
}

#[cfg(unix)]
#[test]
fn the_error_stream_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a/errors");
    let sink =
        FileSink::errors(on_disk(), folder.clone(), "r1", rows(0..0).batch.schema()).unwrap();
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    assert!(!folder.exists());
    writer.write(&rows(0..1)).unwrap();
    sink.commit(&[writer.prepare(1).unwrap()]).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let name = files(&folder).into_keys().next().unwrap();
    assert_eq!((mode(&folder), mode(&folder.join(name))), (0o700, 0o600));
}

#[test]
fn only_parts_of_this_table_and_run_are_discarded() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = [
        ".part-out-r1-2-00000001-0-0.jsonl.inprogress",
        ".part-out-r10-00000001-0-0.jsonl.inprogress",
        ".part-other-r1-00000001-0-0.jsonl.inprogress",
        ".part-out-r1-00000001-0-0.jsonl",
        ".hidden",
        "part-out-r1-00000001-0-0.jsonl",
    ];
    for name in foreign {
        fs::write(dir.path().join(name), b"").unwrap();
    }
    fs::write(dir.path().join(".part-out-r1-00000001-0-0.jsonl.inprogress"), b"").unwrap();
    sink(dir.path(), "r1").discard_uncommitted().unwrap();
    let mut expected = foreign.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(files(dir.path()).into_keys().collect::<Vec<_>>(), expected);
    sink(&dir.path().join("absent"), "r1").discard_uncommitted().unwrap();
}

#[test]
fn large_output_is_cut_into_parts_and_described_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let sink = FileSink { part_bytes_max: 30_000, ..sink(dir.path(), "r1") };
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(0..10_000)).unwrap();
    let staged = writer.prepare(1).unwrap();
    let parts: Vec<StagedPart> = serde_json::from_slice(&staged).unwrap();
    assert!(parts.len() >= 4, "{parts:?}");
    for part in &parts {
        let content = fs::read(dir.path().join(&part.part)).unwrap();
        assert_eq!(
            (part.length_bytes, part.crc32c),
            (content.len() as u64, crc32c::crc32c(&content))
        );
    }
    sink.commit(&[staged]).unwrap();
    let mut names: Vec<&StagedPart> = parts.iter().collect();
    names.sort_by_key(|part| {
        part.name.rsplit('-').next().unwrap().trim_end_matches(".jsonl").parse::<u32>().unwrap()
    });
    let all: String =
        names.iter().map(|part| fs::read_to_string(dir.path().join(&part.name)).unwrap()).collect();
    assert_eq!(all, text(0..10_000));
}

#[test]
fn after_a_failure_nothing_is_written_or_staged() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("out");
    let mut writer = sink(&folder, "r1").writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(0..5)).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in its place").unwrap();
    assert!(writer.prepare(1).is_err());
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    assert!(writer.prepare(1).is_err());
    assert!(writer.write(&rows(0..5)).is_err());
    assert!(files(&folder).is_empty());
}

#[test]
fn names_that_would_leave_the_folder_are_refused_or_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let schema = rows(0..0).batch.schema();
    let new = |table: &str, run: &str| {
        let (folder, format) = (dir.path().to_owned(), EncodeOptions::default());
        FileSink::new(on_disk(), table, folder, run, schema.clone(), format)
    };
    assert!(new("t", "").is_err());
    assert!(new("t", "../x").is_err());
    assert!(new(&"t".repeat(200), "r").is_err());
    assert_eq!(
        new("a/b-c", "r").unwrap().target.name(Epoch::new(1), 0, 0),
        "part-a%2fb%2dc-r-00000001-0-0.jsonl"
    );
}

#[test]
fn a_large_part_is_synced_aside_and_is_staged_when_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let begun = VirtualTime::begin();
    let sim = Sim::new(begun.0.clone(), 1);
    let woken = Arc::new(AtomicBool::new(false));
    let told = woken.clone();
    let sink =
        FileSink { part_bytes_max: 400, ..sink(dir.path(), "r1") }.syncing_aside(sim.tasks());
    let mut writer = sink.writer(0, Arc::new(move || told.store(true, Ordering::Relaxed))).unwrap();
    writer.write(&rows(0..10)).unwrap();
    assert!(
        matches!(
            writer.begin_prepare(Epoch::new(1), Afterwards::GoesOn),
            Ok(Prepared::Part { staged, .. }) if !staged.is_empty()
        ),
        "a small one is synced at once"
    );
    // One that is full, and the rest.
    writer.write(&rows(100..160)).unwrap();
    let waits = writer.begin_prepare(Epoch::new(2), Afterwards::GoesOn).unwrap();
    assert_eq!(waits, Prepared::Waits);
    writer.write(&rows(900..950)).unwrap();
    assert_eq!(writer.poll_prepare().unwrap(), Prepared::Waits);
    assert!(!woken.load(Ordering::Relaxed));
    while sim.run_one() {}
    assert!(woken.load(Ordering::Relaxed));
    let Prepared::Part { staged, rejected } = writer.poll_prepare().unwrap() else {
        panic!("it waits")
    };
    assert_eq!(rejected, []);
    sink.commit(&[staged]).unwrap();
    let texts: String = visible(dir.path()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, text(100..160), "and nothing from behind the barrier");
    // Nobody will ever sync the next one.
    sim.kill();
    writer.write(&rows(100..130)).unwrap();
    let lost = writer.begin_prepare(Epoch::new(3), Afterwards::GoesOn);
    assert!(lost.is_err_and(|e| e.to_string().contains("was not synced")));
    assert!(writer.write(&rows(0..1)).is_err());
}
