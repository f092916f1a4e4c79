//! How are records written to a stream, so that all of them arrive?
//!
//! Used by `cli` for simulated records. What always holds: all records are taken, or an error says
//! how many were not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::api::{Entry, Failure, StreamApi, Streams};
use super::client::Aws;
use super::{Bounds, KinesisOptions};
use crate::aws::clock::ServerClock;
use crate::source::SourceError;
use crate::tasks::Tasks;
use crate::time::clock::SystemClock;
use crate::time::timer::sleep;
use crate::who::{Again, Who};

/// Records in a PutRecords call.
const PUT_RECORDS_MAX: usize = 500;
/// Payloads and keys in a PutRecords call: the limit of older servers, half of what Kinesis takes
/// now.
const PUT_BYTES_MAX: usize = 5 << 20;
/// Calls in a row that write not one record: 15 s or more of throttling, by far longer than a
/// burst.
const PUTS_WITHOUT_PROGRESS_MAX: usize = 12;

/// Writes records to a stream.
pub struct KinesisWriter {
    stream: Arc<dyn StreamApi>,
    name: String,
    tasks: Tasks,
}

impl KinesisWriter {
    /// Credentials come from the SDK's usual chain. Errors: a name that is no stream's ARN, a URL
    /// that is none.
    pub fn new(
        stream_arn: &str,
        endpoint: Option<&str>,
        tasks: Tasks,
    ) -> Result<KinesisWriter, SourceError> {
        let arn = ("stream.arn".to_owned(), stream_arn.to_owned());
        let endpoint = endpoint.map(|e| ("aws.endpoint".to_owned(), e.to_owned()));
        let options: BTreeMap<String, String> = [arn].into_iter().chain(endpoint).collect();
        KinesisWriter::with_options(
            &KinesisOptions::parse(stream_arn, &options, Bounds::default())?,
            tasks,
        )
    }

    pub fn with_options(
        options: &KinesisOptions,
        tasks: Tasks,
    ) -> Result<KinesisWriter, SourceError> {
        let name = options.stream_name.clone();
        let clock = ServerClock::new(SystemClock::shared());
        let stream =
            Aws.open(options, clock, &tasks).map_err(|e| SourceError::stopped(&name, e))?;
        Ok(KinesisWriter { stream, name, tasks })
    }

    /// Writes (partition key, payload) pairs and waits until all are taken; not to be called from a
    /// task. A record that failed is sent again, after those that followed it; one whose call got
    /// no answer may be written twice.
    pub fn put(&self, records: Vec<Entry>) -> Result<(), SourceError> {
        let mut left = records.into_iter().peekable();
        while left.peek().is_some() {
            let mut call = Vec::new();
            let mut bytes = 0;
            while let Some((key, data)) = left.next_if(|(key, data)| {
                call.is_empty()
                    || (call.len() < PUT_RECORDS_MAX
                        && bytes + key.len() + data.len() <= PUT_BYTES_MAX)
            }) {
                bytes += key.len() + data.len();
                call.push((key, data));
            }
            let put = self.tasks.wait(put_call(self.stream.clone(), call));
            put.map_err(|e| SourceError::stopped(&self.name, e))?.map_err(|(again, reason)| {
                let reason = format!("PutRecords: {reason}");
                SourceError::Failed { table: self.name.clone(), reason, who: Who::Outside(again) }
            })?;
        }
        Ok(())
    }
}

/// Writes the entries of a call. Errors: whether trying again may help, and why.
async fn put_call(
    stream: Arc<dyn StreamApi>,
    mut entries: Vec<Entry>,
) -> Result<(), (Again, String)> {
    let growing = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2));
    let growing = growing.with_jitter().with_max_times(PUTS_WITHOUT_PROGRESS_MAX - 1);
    let mut pauses = growing.build();
    loop {
        let reason = match stream.put_records(&entries).await {
            Ok(refusals) => {
                let before = entries.len();
                let mut refusals = refusals.into_iter();
                let mut reason = None;
                entries.retain(|_| match refusals.next().flatten() {
                    None => false,
                    refusal => {
                        reason = refusal;
                        true
                    }
                });
                if entries.len() < before {
                    pauses = growing.build();
                }
                match reason {
                    None => return Ok(()),
                    Some(reason) => reason,
                }
            }
            Err(Failure::Retry(reason)) => reason,
            Err(Failure::Fatal(reason) | Failure::Argument(reason) | Failure::Missing(reason)) => {
                return Err((Again::IsInVain, reason));
            }
            Err(Failure::Expired) => return Err((Again::MayHelp, "unexpected answer".into())),
        };
        let Some(pause) = pauses.next() else {
            let count = entries.len();
            return Err((
                Again::MayHelp,
                format!("{count} records were refused {PUTS_WITHOUT_PROGRESS_MAX} times: {reason}"),
            ));
        };
        sleep(pause).await;
    }
}
