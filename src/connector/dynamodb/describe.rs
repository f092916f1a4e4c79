//! What kind of table is it outside? Asked until there is an answer, or a refusal that no
//! repetition mends.
//!
//! Used by the sink before its first write and by lookups before their first question.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::api::{Described, Failure, TableApi};
use super::lost::Lost;
use crate::time::timer;
use crate::who::{Again, Who};

/// How often the table is asked for before the job gives up starting. Later calls are repeated for
/// ever.
const DESCRIBE_TRIES: usize = 6;

/// The table, asked for some times. Errors: why there is none, in words for the user.
pub(crate) async fn describe(table: Arc<dyn TableApi>) -> Result<Described, Lost> {
    let mut delays =
        ExponentialBuilder::new().with_jitter().with_min_delay(Duration::from_millis(100));
    delays = delays.with_max_times(DESCRIBE_TRIES - 1);
    let mut delays = delays.build();
    for tried in 1_usize.. {
        match table.describe().await {
            Ok(found) => return Ok(found),
            Err(Failure::Missing(_)) => {
                return Err(Lost::outside(
                    Again::IsInVain,
                    "it does not exist: create it, or check 'table-name', 'aws.region' and the account",
                ));
            }
            Err(Failure::Retry(reason)) => match delays.next() {
                Some(delay) => {
                    // Lines grow with the logarithm of the failures.
                    if tried.is_power_of_two() {
                        tracing::warn!("DynamoDB does not answer, trying again: {reason}");
                    }
                    timer::sleep(delay).await;
                }
                None => {
                    let reason = format!("it cannot be reached: {reason}");
                    return Err(Lost::outside(Again::MayHelp, reason));
                }
            },
            Err(
                Failure::Fatal(reason)
                | Failure::Refused(reason)
                | Failure::Unclear(reason)
                | Failure::Unfit(reason),
            ) => {
                return Err(Lost::outside(Again::IsInVain, reason));
            }
            Err(Failure::Superseded(_)) => {
                let reason = "DescribeTable failed a condition".into();
                return Err(Lost { reason, who: Who::Us });
            }
        }
    }
    unreachable!("tries are counted without an end")
}
