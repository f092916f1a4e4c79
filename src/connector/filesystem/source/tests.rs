//! Is each line of a file read once, whatever its end and its compression?

use super::*;

fn read_all(source: &FileSource, split: &SplitId, from: &Position, batch: usize) -> (Vec<(u64, String)>, Vec<Position>) {
    let mut reader = source.open(split, from, ReadAhead::alone(Arc::new(|| {}))).expect("opens");
    let (mut records, mut positions) = (vec![], vec![from.clone()]);
    while let Polled::Records(raw) = reader.poll(batch).expect("reads") {
        let Places::Lines { numbers } = &raw.places else { panic!("places of a file") };
        records.extend((0..raw.len()).map(|i| (numbers[i], String::from_utf8_lossy(raw.record(i)).into_owned())));
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
    assert_eq!(records.iter().map(|r| r.1.as_str()).collect::<Vec<_>>(), ["a", "", " ", "1,\"b", "", "c\",2", "last,\"x", "y"]);
    let csv = all.framed(Framing::Csv(Dialect::default()));
    let expected = [(1, "a"), (2, ""), (3, " "), (4, "1,\"b\n\nc\",2"), (7, "last,\"x\ny")].map(|(n, s)| (n, s.to_string()));
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
    assert_eq!(all.iter().map(|(n, s)| (*n, s.len())).collect::<Vec<_>>(), [(1, long.len()), (2, 5), (3, long.len())]);
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
    let expected = [(1, "one"), (2, "two"), (3, "three"), (4, "four")].map(|(n, s)| (n, s.to_string()));
    assert_eq!(all, expected);
    for (done, position) in positions.iter().enumerate() {
        assert_eq!(read_all(&source, &split, position, 9).0, expected[done..]);
    }
    assert!(source.open(&split, &FilePosition { offset: 99, lines: 9 }.into(), ReadAhead::alone(Arc::new(|| {}))).is_err());
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
            .open(&split, &FilePosition { offset: 10, lines: 2 }.into(), ReadAhead::alone(Arc::new(|| {})))
            .is_err_and(|e| e.to_string().contains("cut or replaced"))
    );
}
