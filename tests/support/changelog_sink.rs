//! What a bare SELECT printed, exactly once: lines staged at barriers and written when their epoch is committed, so that a
//! test can kill a job and still know every change it made. Or at once, as the real one does it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use paceline::format::json::{EncodeOptions, JsonEncoder};
use paceline::ids::Epoch;
use paceline::operator::Op;
use paceline::rows::Rows;
use paceline::sink::{Afterwards, Guarantee, Prepared, Sink, SinkError, SinkWriter};
use paceline::wake::Wake;

pub struct ChangelogSink {
    folder: PathBuf,
    at_once: bool,
    schema: arrow::datatypes::SchemaRef,
}

impl ChangelogSink {
    pub fn new(folder: PathBuf, schema: arrow::datatypes::SchemaRef, at_once: bool) -> ChangelogSink {
        fs::create_dir_all(&folder).expect("folder");
        ChangelogSink { folder, at_once, schema }
    }
}

impl Sink for ChangelogSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn writer(&self, worker: usize, _wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        let encoder = JsonEncoder::new(&self.schema, EncodeOptions::default()).expect("encodable");
        let file = self.at_once.then(|| self.folder.join(format!("worker-{worker}")));
        Ok(Box::new(Writer { worker, encoder, lines: String::new(), file }))
    }

    fn commit(&self, staged: &[Vec<u8>]) -> Result<(), SinkError> {
        for part in staged {
            let text = String::from_utf8(part.clone()).expect("text");
            let (name, lines) = text.split_once('\n').expect("a name on top");
            fs::write(self.folder.join(name), lines).expect("writes");
        }
        Ok(())
    }
}

struct Writer {
    worker: usize,
    encoder: JsonEncoder,
    lines: String,
    /// Where lines go at once.
    file: Option<PathBuf>,
}

impl SinkWriter for Writer {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        for row in 0..rows.batch.num_rows() {
            let mut object = Vec::new();
            self.encoder.encode_row(&rows.batch, row, &mut object);
            let object = String::from_utf8(object).expect("JSON");
            self.lines.push_str(&format!("{} {object}\n", rows.op(row).name()));
        }
        if let Some(path) = &self.file {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(path).expect("opens");
            file.write_all(std::mem::take(&mut self.lines).as_bytes()).expect("writes");
        }
        Ok(())
    }

    fn begin_prepare(&mut self, epoch: Epoch, _afterwards: Afterwards) -> Result<Prepared, SinkError> {
        if self.lines.is_empty() {
            return Ok(Prepared::staged(vec![]));
        }
        let staged = format!("{epoch:08}-{}\n{}", self.worker, std::mem::take(&mut self.lines));
        Ok(Prepared::staged(staged.into_bytes()))
    }
}

/// The changes in a folder: what each did, and the row as a JSON object.
pub fn changes(folder: &Path) -> Vec<(Op, String)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let text = fs::read_to_string(entry.expect("readable").path()).expect("text");
        for line in text.lines() {
            let (op, row) = line.split_once(' ').expect("an op and a row");
            out.push((op_of(op), row.to_owned()));
        }
    }
    out
}

pub fn op_of(name: &str) -> Op {
    [Op::Insert, Op::UpdateBefore, Op::UpdateAfter, Op::Delete].into_iter().find(|op| op.name() == name).expect("an op")
}
