//! Connector `firehose`: known so that `--local` puts an embedded table in its place.

use super::Connector;
use super::FORMAT;
use crate::options::OptionSpec;
use crate::plan::connectors::{RowsTaken, Uses};

pub(crate) struct Firehose;

impl Connector for Firehose {
    fn name(&self) -> &'static str {
        "firehose"
    }
    fn about(&self) -> &'static str {
        "A delivery stream. Only under `--local` so far, where a table takes its place."
    }
    fn options(&self) -> Vec<OptionSpec> {
        vec![FORMAT]
    }
    fn uses(&self) -> Uses {
        Uses { rows: RowsTaken::New, ..Uses::default() }
    }
    fn is_remote(&self) -> bool {
        true
    }
}
