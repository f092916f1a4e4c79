//! `GET /health` on the address of `--listen`: is the job alive, and how far is it?

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use serde::Serialize;

/// What the endpoint answers.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub status: &'static str,
    /// Records read by this process.
    pub rows_in: u64,
    pub rows_out: u64,
    /// Records and rows in the error stream.
    pub diverted: u64,
    /// Records, or parts of them, that `ignore-parse-errors` left out.
    pub skipped: u64,
    /// Fields that it made NULL.
    pub nulled: u64,
    /// Rows that came after their windows had closed.
    pub late: u64,
    /// The newest checkpoint.
    pub epoch: u64,
    /// The event time that all sources have reached.
    pub event_time: String,
}

#[derive(Debug, Default)]
pub struct Health {
    report: Mutex<Report>,
}

impl Health {
    pub fn update(&self, report: Report) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    fn read(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves until the runtime stops. Returns the address, which has a port also where 0 was asked for.
    pub async fn serve(self: Arc<Self>, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let answer = |State(health): State<Arc<Health>>| async move { Json(health.read()) };
        let app = axum::Router::new().route("/health", get(answer)).with_state(self);
        tokio::spawn(async move {
            if let Err(e) = axum::serve(listener, app).await {
                tracing::error!("the health endpoint stopped: {e}");
            }
        });
        Ok(bound)
    }
}
