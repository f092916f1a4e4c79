//! Is each line of a file read once, whatever its end and its compression?

use super::*;

fn read_all(
    source: &FileSource,
    split: &SplitId,
    from: &Position,
    batch: usize,
) -> (Vec<(u64, String)>, Vec<Position>) {
    let mut reader = source.open(split, from, ReadAhead::alone(Arc::new(|| {}))).expect("opens");
    let (mut records, mut positions) = (vec![], vec![from.clone()]);
    while let Polled::Records(raw) = reader.poll(batch).expect("reads") {
        let Places::Lines { numbers } = &raw.places else { panic!("places of a file") };
        records.extend(
            (0..raw.len())
                .map(|i| (numbers[i], String::from_utf8_lossy(raw.record(i)).into_owned())),
        );
        positions.push(reader.position());
    }
    (records, positions)
}

fn file(content: &[u8]) -> (tempfile::TempDir, FileSource, SplitId) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("in.jsonl");
    std::fs::write(&path, content).expect("writes");
    let source = FileSource::new("t", &path.display().to_string(), vec![]).expect("opens");
    let split = source.discover().expect("lists").remove(0).id;
    (dir, source, split)
}

#[test]
fn lines_of_every_kind_and_a_restart_after_each() {
    let (_dir, source, split) = file(b"a\r\n\n  \nbb\nccc\r\n\nlast");
    let start: Position = FilePosition::START.into();
    let (all, _) = read_all(&source, &split, &start, 100);
    let expected = [(1, "a"), (4, "bb"), (5, "ccc"), (7, "last")].map(|(n, s)| (n, s.to_string()));
    assert_eq!(all, expected);
    let (ones, positions) = read_all(&source, &split, &start, 1);
    assert_eq!(ones, expected);
    for (done, position) in positions.iter().enumerate() {
        assert_eq!(read_all(&source, &split, position, 2).0, expected[done..], "from {position:?}");
    }
}

#[test]
fn other_records_than_lines_that_are_not_blank() {
    let (_dir, source, split) = file(b"a\r\n\n \n1,\"b\n\nc\",2\nlast,\"x\ny");
    let start: Position = FilePosition::START.into();
    let all = source.framed(Framing::AllLines);
    let (records, _) = read_all(&all, &split, &start, 3);
    assert_eq!(
        records.iter().map(|r| r.1.as_str()).collect::<Vec<_>>(),
        ["a", "", " ", "1,\"b", "", "c\",2", "last,\"x", "y"]
    );
    let csv = all.framed(Framing::Csv(Dialect::default()));
    let expected = [(1, "a"), (2, ""), (3, " "), (4, "1,\"b\n\nc\",2"), (7, "last,\"x\ny")]
        .map(|(n, s)| (n, s.to_string()));
    let (ones, positions) = read_all(&csv, &split, &start, 1);
    assert_eq!(ones, expected);
    for (done, position) in positions.iter().enumerate() {
        assert_eq!(read_all(&csv, &split, position, 2).0, expected[done..], "from {position:?}");
    }
}

#[test]
fn records_longer_than_a_block_and_blocks_that_end_anywhere() {
    let long = "x".repeat(BLOCK_BYTES * 2 + 3);
    let (_dir, source, split) = file(format!("{long}\nshort\n{long}").as_bytes());
    let (all, _) = read_all(&source, &split, &FilePosition::START.into(), 10);
    assert_eq!(
        all.iter().map(|(n, s)| (*n, s.len())).collect::<Vec<_>>(),
        [(1, long.len()), (2, 5), (3, long.len())]
    );
}

#[test]
fn a_compressed_file_is_read_as_its_content_from_any_line() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("in.jsonl.gz");
    let mut bytes = Vec::new();
    // Two members, as two writers that append leave them.
    for part in ["one\ntwo\nth", "ree\nfour"] {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, part.as_bytes()).expect("packs");
        bytes.extend(packed.finish().expect("packs"));
    }
    std::fs::write(&path, bytes).expect("writes");
    let source = FileSource::new("t", &path.display().to_string(), vec![]).expect("opens");
    let split = source.discover().expect("lists").remove(0).id;
    let (all, positions) = read_all(&source, &split, &FilePosition::START.into(), 1);
    let expected =
        [(1, "one"), (2, "two"), (3, "three"), (4, "four")].map(|(n, s)| (n, s.to_string()));
    assert_eq!(all, expected);
    for (done, position) in positions.iter().enumerate() {
        assert_eq!(read_all(&source, &split, position, 9).0, expected[done..]);
    }
    let too_far = FilePosition { offset: 99, lines: 9 }.into();
    let mut reader = source
        .open(&split, &too_far, ReadAhead::alone(Arc::new(|| {})))
        .expect("it opens without a look at what is in it");
    let cut = reader.poll(1).expect_err("it is too short").to_string();
    assert!(cut.contains("has 18 bytes, but 99 were read already"), "{cut}");
}

#[test]
fn what_was_read_of_a_compressed_file_is_passed_over_poll_by_poll() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("in.jsonl.gz");
    let lines = 3 * SKIPPED_AT_ONCE_BYTES / 8;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for n in 0..lines {
        std::io::Write::write_all(&mut packed, format!("{n:07}\n").as_bytes()).expect("packs");
    }
    std::fs::write(&path, packed.finish().expect("packs")).expect("writes");
    let source = FileSource::new("t", &path.display().to_string(), vec![]).expect("opens");
    let split = source.discover().expect("lists").remove(0).id;
    let position: Position = FilePosition { offset: (lines - 1) * 8, lines: lines - 1 }.into();
    let woken = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let told = woken.clone();
    let wake = Arc::new(move || {
        told.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    let mut reader = source.open(&split, &position, ReadAhead::alone(wake)).expect("opens");
    for polls in 1..=2 {
        assert!(matches!(reader.poll(9), Ok(Polled::Pending { empty: None })));
        assert_eq!(woken.load(std::sync::atomic::Ordering::Relaxed), polls);
        assert_eq!(reader.position(), position, "a checkpoint meanwhile is where it was");
    }
    let Polled::Records(last) = reader.poll(9).expect("reads") else { panic!("no record") };
    assert_eq!((last.len(), last.record(0)), (1, format!("{:07}", lines - 1).as_bytes()));
    assert!(matches!(reader.poll(9), Ok(Polled::End { .. })));
}

#[test]
fn an_empty_file_ends_and_a_missing_one_is_an_error() {
    let (_dir, source, split) = file(b"");
    assert!(read_all(&source, &split, &FilePosition::START.into(), 10).0.is_empty());
    let missing = FileSource::new("t", "/nonexistent/x", vec![]).expect("not looked at yet");
    assert!(missing.discover().is_err_and(|e| e.to_string().contains("does not exist")));
}

#[test]
fn a_file_that_shrank_is_an_error() {
    let (_dir, source, split) = file(b"abc\n");
    assert!(
        source
            .open(
                &split,
                &FilePosition { offset: 10, lines: 2 }.into(),
                ReadAhead::alone(Arc::new(|| {}))
            )
            .is_err_and(|e| e.to_string().contains("cut or replaced"))
    );
}
