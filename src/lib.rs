//! Paceline runs windowed SQL over streams: it reads splits (Kinesis shards, files, generators),
//! keeps windowed aggregates per key in RocksDB, survives being killed at any instant, and writes
//! results such as race leaderboards to DynamoDB or files. One binary, one SQL file in the dialect
//! of Apache Flink.
//!
//! # A job in a program of one's own
//!
//! A [`Job`] runs SQL text. Queries may call a [`Function`] and tables may name a [`Connector`] of
//! one's own: one that [`Reads`] makes a [`Source`], whose splits a [`SplitReader`] reads each; one
//! that [`Writes`] makes a [`Sink`], to which a [`SinkWriter`] of each worker writes.
//! `tests/embed.rs` has all of it in one file. What else is public is for the tests of this crate,
//! and may change.
//!
//! # The map
//!
//! For who works on it, this page is the map. Each module says on top which question it answers,
//! who calls it and what always holds.
//!
//! # Three journeys
//!
//! **A record.** [`source`] gives raw bytes with a position · [`unpack`] opens what they are
//! wrapped in · [`mod@format`] turns them into columns · [`ingest`] marks every row with its split's
//! watermark · [`operator::calc`] filters and projects · [`operator::window`] finds the open
//! windows of each row and folds it into their groups ([`operator::session`] does so for sessions)
//! · [`runtime::exchange`] moves partial aggregates to the worker that owns their key group · a
//! watermark passes and the window fires · [`operator::top_n`] ranks · [`sink`] writes.
//!
//! **A change.** Where no window closes, each row changes a table: [`operator::group`] (GROUP BY)
//! and [`operator::rank`] (Top-N, deduplication) send on what changed, as rows that say whether
//! they add or take back ([`change`]), and operators behind them take back in turn. Windows whose
//! results change, and windows over rows that do, are groups of that kind too
//! ([`operator::group::windowed`]). [`operator::over`] and [`operator::join`] look at rows beside
//! each other. What they keep for each key is in memory while it is used and else in the store
//! ([`operator::keyed`]).
//!
//! **The clock.** Where a query goes by processing time, workers send ticks ([`operator::event`]);
//! from [`operator::processing_time`] on, rows have the time at which they passed, and the clock is
//! their watermark. What only asks for the time of day gets it as a column ([`operator::marks`]).
//!
//! **A query**, once at start. [`cli`] · [`sql::parse`] · [`sql::bind`] (names and types, by
//! DataFusion's planner) · [`plan::lower`] (chains of operators, still data) · [`connect`]
//! (sources, sinks, tables to look up) · [`runtime::graph`] (workers).
//!
//! **A lookup.** [`operator::join::lookup`] holds its rows back while [`lookup`] asks a table
//! outside for their keys: its cache first, then [`connector::dynamodb::lookup`] in a task. Plans
//! are data, so [`runtime::graph`] gives the operator its connection when it builds it: one
//! [`lookup::Lookup`] for each join, made by [`connect`], and an [`lookup::Asker`] of it for each
//! worker.
//!
//! **A checkpoint.** [`runtime::epochs`] decides that an epoch opens, and [`runtime::job`] asks the
//! workers for it · each notes the positions of its splits and sends a barrier behind the records
//! before it · a chain freezes its tables when the barrier has arrived from all producers, and goes
//! on · frozen tables are packed into the store between batches, and hard links of the store are
//! made · writers of sinks say what they staged, when they can ([`sink::SinkWriter`]) · the files
//! go into the depot, and the manifest last ([`checkpoint::store`], [`checkpoint::depot`]) · a
//! thread beside the workers has sinks commit what was staged. After a crash
//! [`checkpoint::decide`] says, from what is there, what to do, and [`runtime::recovery`] does it.
//!
//! # What always holds
//!
//! - Results do not depend on timing. A row is late for a window when its *own split's* watermark
//!   had closed it, so what is in a window is a function of the records in each split: not of batch
//!   sizes, threads, parallelism, crashes or speed. What goes by the clock or asks a table outside
//!   is excepted, and `check` says so.
//! - A watermark is handed on only behind the rows it covers, and every worker sends the minimum
//!   over *all* splits of the source, so no worker can run ahead of a split that is read elsewhere.
//! - A stream of changes may pass through other states on its way where rows of several workers
//!   meet; the table it leads to is the same.
//! - A partial aggregate is in exactly one place: a hot table, a frozen table, or the store.
//! - Nothing waits for room while others wait for it: a chain that cannot send gets no more rows
//!   and does not fire, while the other chains of its worker go on, and barriers pass it in their
//!   order.
//! - A barrier gets through in a bounded number of steps: what lies before it in a lane is bounded,
//!   and from the request of an epoch to its barrier nothing is read; a sink that is full takes what
//!   is before a barrier up to a bound. Behind the barrier of a stop nothing is read or written at
//!   all, and nobody outside is waited for longer than some seconds.
//! - Bad input is kept: every record or row that cannot be used is in the error stream with its
//!   place and reason.
//! - What ends a job says who has to act ([`who`]), and the exit code follows from that alone.
//!
//! # Bounds
//!
//! Lanes between workers hold 4 MiB each ([`runtime::graph`]), and at most one watermark and one
//! tick behind their last rows ([`runtime::inbox`]); an aggregation before the exchange holds 32
//! MiB, or a quarter of what is left, before it sends early ([`operator::window::local`]);
//! RocksDB's caches and write buffers take a quarter of `paceline.memory`, each store its own share
//! ([`state::store`]); what is moved to a store goes there by the mebibyte; a line of a file may
//! have 16 MiB, and so much may become of a record that is compressed or holds some that are
//! ([`unpack::compressed`]). All splits together read ahead an eighth of `paceline.memory`, replies
//! on their way included ([`source::budget`]). While a sixteenth of it is staged and not published, no
//! further checkpoint is made but the last ([`runtime::job`]); a writer of a DynamoDB table holds
//! 8 MiB, and what lies before a barrier on top. Accumulators take two
//! fifths of `paceline.memory`; past that, windows are moved to the store and fire from there, some
//! key groups at a time ([`operator::window`]). A lookup asks for 1000 keys at a time, takes at
//! most 64 MiB for an answer, and its cache keeps at most as much. A message has 8 KiB
//! ([`bounded`]), a log line about a record 2 KiB, its reason in the error stream 4 KiB, a derived
//! row 1 MiB ([`runtime::errors`]). What is tried again without end is told once a minute (`seldom` of
//! [`time`]). A start waits 5 s for the lock of its state directory
//! ([`checkpoint::store`]) and 2 s for its address ([`observe::health`]).
//!
//! # Who may know whom
//!
//! A file knows modules that stand before its own in this list, and files of its own module without
//! a circle; what is common to a folder stands in the folder's `mod.rs`. `tests/architecture.rs`
//! reads the list and checks.
//!
//! - `planted`, `peaks`: for tests: faults that they have to find, and what was held at most
//! - `bounded`, `secret`, `suggest`: words for people: short enough, without keys
//! - `files`: where state and results in files are kept
//! - `engine_words`: what the engine below says, said in words of SQL
//! - `who`: who has to act when something fails
//! - `ids`: numbers of epochs, operators and workers
//! - `wake`: how a worker is told that there is something to do
//! - `tasks`: where what waits for the outside runs
//! - `floats`, `map_keys`: facts about values that several floors share
//! - `time`: clocks, times of events and watermarks
//! - `change`, `rows`: rows that add or take back, and batches of them
//! - `types`: types of columns, their names, how they meet
//! - `state`: key groups and the store of a worker
//! - `config`: settings
//! - `options`: what WITH may say, as data
//! - `record`: raw records with their places
//! - `aws`: configuration of the clients
//! - `format`: bytes and columns
//! - `unpack`: what records are wrapped in
//! - `source`, `sink`, `lookup`: what a system outside has to be for a job
//! - `operator`: what happens to rows
//! - `checkpoint`: manifests and their folder
//! - `sql`: from text to a bound query
//! - `ingest`: from raw records to rows with the watermark of their split
//! - `plan`: from a bound query to chains of operators
//! - `runtime`: workers, lanes, epochs
//! - `connector`: the systems outside, a folder for each
//! - `connect`: from tables to sources, sinks and lookups
//! - `observe`: what a running job says of itself
//! - `embed`: a job in a program of one's own
//! - `cli`: the commands
//! - `simulation`: the whole job from a seed, for tests
//!
//! Outside things have one door: SQL parser in `sql`, Kinesis in `connector::kinesis::client`,
//! RocksDB in `state::rocks` and the embedded table's store, DynamoDB in `connector::dynamodb`
//! (both configured by `aws`), bincode in `checkpoint::codec`, clocks in `time::clock` and
//! `time::timer`, files that outlive a crash in `files::disk`.

pub mod aws;
pub mod bounded;
pub mod change;
pub mod engine_words;
pub mod files;
pub mod floats;
pub mod ids;
pub mod map_keys;
pub mod options;
pub mod rows;
pub mod secret;
pub mod suggest;
pub mod tasks;
pub mod time;
pub mod types;
pub mod wake;
pub mod who;

pub mod record;
pub mod unpack;

pub mod format;
pub mod source;

pub mod sink;

pub mod lookup;

pub mod state;

pub mod checkpoint;

pub mod operator;

pub mod sql;

pub mod ingest;

pub mod plan;

pub mod runtime;

pub mod config;
pub mod connect;
pub mod connector;
pub mod observe;

pub mod embed;

pub mod cli;

#[cfg(test)]
mod peaks;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod simulation;

pub use connector::{ConnectError, Connector, Environment, Reads, Writes};
pub use embed::{Function, Job, JobFailure, Ran, Stop};
pub use options::{OptionKind, OptionSpec};
pub use runtime::job::Outcome;
pub use sink::{Sink, SinkError, SinkWriter};
pub use source::{Source, SourceError, SplitReader};
pub use who::{Again, Mistake, Who};

/// What tests of the library share with those of `tests/`.
#[cfg(test)]
#[path = "../tests/support"]
mod support {
    pub mod damage;
    pub mod seeds;
    pub mod tier;
}
