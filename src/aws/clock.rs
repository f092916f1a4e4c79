//! What time is it at the service? The local clock, corrected by the `Date` of the service's
//! answers.
//!
//! Made by whoever opens a service's client, which tells it of every answer ([`NoteDate`]). Read
//! where another machine's time would do harm: the start of LATEST and the end of `--to`, the number
//! of a run, the time at which a deleted row is forgotten. What always holds: where the clocks agree
//! to the resolution of the header (a second), the local one counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::time::clock::{Clock, SharedClock};

/// Differences up to this say nothing: the header has whole seconds, and an answer takes its time.
const AGREEMENT_MS: i64 = 2000;

pub(crate) struct ServerClock {
    local: SharedClock,
    /// To be added to the local time.
    offset_ms: AtomicI64,
}

impl ServerClock {
    pub fn new(local: SharedClock) -> Arc<ServerClock> {
        Arc::new(ServerClock { local, offset_ms: AtomicI64::new(0) })
    }

    /// Takes the `Date` header of an answer that has just come (RFC 9110, such as `Sun, 06 Nov 1994
    /// 08:49:37 GMT`).
    pub(crate) fn note_date(&self, header: &str) {
        if let Ok(date) = chrono::DateTime::parse_from_rfc2822(header) {
            let offset_ms = date.timestamp_millis() - self.local.wall_ms();
            self.offset_ms.store(
                if offset_ms.abs() > AGREEMENT_MS { offset_ms } else { 0 },
                Ordering::Relaxed,
            );
        }
    }
}

impl Clock for ServerClock {
    fn wall_ms(&self) -> i64 {
        self.local.wall_ms().saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.local.monotonic()
    }
}

/// Tells the clock the time of every answer of a client.
pub(crate) struct NoteDate(pub Arc<ServerClock>);

impl std::fmt::Debug for NoteDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoteDate")
    }
}

impl Intercept for NoteDate {
    fn name(&self) -> &'static str {
        "NoteDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.0.note_date(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::clock::SetClock;

    #[test]
    fn a_wrong_local_clock_is_corrected_and_a_right_one_kept() {
        let clock = ServerClock::new(Arc::new(SetClock::at(784_111_777_000)));
        for (header, wall_ms) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777_000),
            ("Sun, 06 Nov 1994 08:49:36 GMT", 784_111_777_000),
            ("Sun, 06 Nov 1994 09:49:37 GMT", 784_115_377_000),
            ("no date", 784_115_377_000),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777_000),
        ] {
            clock.note_date(header);
            assert_eq!(clock.wall_ms(), wall_ms, "{header}");
        }
    }
}
