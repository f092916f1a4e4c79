//! Which queries do worlds run? One for each way in which results share the keys of their table.
//!
//! What always holds: an answer is a function of the records in each shard, so that whatever befalls
//! the job it is the same.

/// Whether splits that are ahead wait for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alignment {
    None,
    Tight,
}

/// A query over the stream into the table `res`.
#[derive(Debug)]
pub(super) struct Query {
    pub name: &'static str,
    /// The columns of `res`, with its key.
    pub columns: &'static str,
    /// The attributes of the table's key with their types.
    pub key: &'static [(&'static str, &'static str)],
    /// Keys that a table may have in its stead and that are none of the query's.
    pub other_keys: &'static [&'static [(&'static str, &'static str)]],
    /// No two windows share a key.
    pub has_rows_of_one_window: bool,
    /// No row takes back another one.
    pub is_append_only: bool,
    /// Views that it reads.
    pub views: &'static str,
    pub select: &'static str,
    /// Another answer under the same keys, as somebody asks who has found a mistake in it.
    pub corrected: &'static str,
}

/// Which of the answers a job gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    First,
    Corrected,
}

pub(super) static QUERIES: [Query; 6] = [
    Query {
        name: "windows of their own",
        columns: "k STRING, we TIMESTAMP(3), c BIGINT, s BIGINT, PRIMARY KEY (k, we) NOT ENFORCED",
        key: &[("k", "S"), ("we", "S")],
        other_keys: &[&[("k", "S")], &[("k", "S"), ("c", "N")], &[("k", "N"), ("we", "S")]],
        has_rows_of_one_window: true,
        is_append_only: true,
        views: "",
        select: "SELECT k, window_end, COUNT(*), SUM(v) FROM TABLE(
                   TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '3' SECOND))
                 GROUP BY k, window_start, window_end",
        corrected: "SELECT k, window_end, COUNT(*), MAX(v) FROM TABLE(
                   TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '3' SECOND))
                 GROUP BY k, window_start, window_end",
    },
    Query {
        name: "the latest window of each key",
        columns: "k STRING, we TIMESTAMP(3), c BIGINT, m BIGINT, PRIMARY KEY (k) NOT ENFORCED",
        key: &[("k", "S")],
        other_keys: &[&[("k", "N")], &[("k", "S"), ("m", "N")]],
        has_rows_of_one_window: false,
        is_append_only: true,
        views: "",
        select: "SELECT k, window_end, COUNT(*), MAX(v) FROM TABLE(
                   HOP(TABLE rides, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '4' SECOND))
                 GROUP BY k, window_start, window_end",
        corrected: "SELECT k, window_end, COUNT(*), MIN(v) - 1000 FROM TABLE(
                   HOP(TABLE rides, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '4' SECOND))
                 GROUP BY k, window_start, window_end",
    },
    Query {
        name: "sessions",
        columns: "k STRING, ws TIMESTAMP(3), c BIGINT, PRIMARY KEY (k, ws) NOT ENFORCED",
        key: &[("k", "S"), ("ws", "S")],
        other_keys: &[&[("ws", "S")], &[("k", "S"), ("x", "S")], &[("k", "B"), ("ws", "S")]],
        has_rows_of_one_window: true,
        is_append_only: true,
        views: "",
        select: "SELECT k, window_start, COUNT(*) FROM TABLE(
                   SESSION(TABLE rides PARTITION BY k, DESCRIPTOR(ts), INTERVAL '2' SECOND))
                 GROUP BY k, window_start, window_end",
        corrected: "SELECT k, window_start, COUNT(*) + 1000 FROM TABLE(
                   SESSION(TABLE rides PARTITION BY k, DESCRIPTOR(ts), INTERVAL '2' SECOND))
                 GROUP BY k, window_start, window_end",
    },
    Query {
        name: "totals",
        columns: "k STRING, c BIGINT, s BIGINT, PRIMARY KEY (k) NOT ENFORCED",
        key: &[("k", "S")],
        other_keys: &[&[("k", "N")], &[("k", "S"), ("c", "N")]],
        has_rows_of_one_window: false,
        is_append_only: false,
        views: "",
        select: "SELECT k, COUNT(*), SUM(v) FROM rides GROUP BY k",
        corrected: "SELECT k, COUNT(*), SUM(v * 2) FROM rides GROUP BY k",
    },
    Query {
        name: "totals that come and go",
        columns: "k STRING, s BIGINT, PRIMARY KEY (k) NOT ENFORCED",
        key: &[("k", "S")],
        other_keys: &[&[("k", "N")], &[("s", "N")]],
        has_rows_of_one_window: false,
        is_append_only: false,
        views: "",
        select: "SELECT k, SUM(v) FROM rides GROUP BY k HAVING MOD(SUM(v), 3) <> 0",
        corrected: "SELECT k, SUM(v) + 1000000 FROM rides GROUP BY k HAVING MOD(SUM(v), 3) <> 0",
    },
    Query {
        name: "a board of totals",
        columns: "place BIGINT, k STRING, s BIGINT, PRIMARY KEY (place) NOT ENFORCED",
        key: &[("place", "N")],
        other_keys: &[&[("k", "S")], &[("place", "N"), ("k", "S")], &[("place", "S")]],
        has_rows_of_one_window: false,
        is_append_only: false,
        views: "",
        select: "SELECT place, k, s FROM (
                   SELECT k, s, ROW_NUMBER() OVER (ORDER BY s DESC, k) AS place
                   FROM (SELECT k, SUM(v) AS s FROM rides GROUP BY k))
                 WHERE place <= 3",
        corrected: "SELECT place, k, s FROM (
                   SELECT k, s, ROW_NUMBER() OVER (ORDER BY s DESC, k) AS place
                   FROM (SELECT k, SUM(v) + 1000000 AS s FROM rides GROUP BY k))
                 WHERE place <= 3",
    },
];

/// Windows of what a table says of each rider: asked by a job that is alone.
pub(super) static ENRICHED: Query = Query {
    name: "windows of what is looked up",
    views: "CREATE TABLE riders (k STRING, team STRING, PRIMARY KEY (k) NOT ENFORCED)
              WITH ('connector' = 'dynamodb', 'table-name' = 'riders', 'aws.region' = 'eu-west-1');
            CREATE VIEW seen AS SELECT COALESCE(riders.team, 'none') AS k, r.v, r.ts
              FROM (SELECT *, PROCTIME() AS p FROM rides) AS r
              LEFT JOIN riders FOR SYSTEM_TIME AS OF r.p ON r.k = riders.k;",
    select: "SELECT k, window_end, COUNT(*), SUM(v) FROM TABLE(
               TUMBLE(TABLE seen, DESCRIPTOR(ts), INTERVAL '3' SECOND))
             GROUP BY k, window_start, window_end",
    ..QUERIES[0]
};

impl Query {
    /// Whether it looks riders up.
    pub fn looks_up(&self) -> bool {
        !self.views.is_empty()
    }

    /// The whole script. `sinks`: what `res` and `also` are WITH; `position`: where reading begins.
    pub fn script(
        &self,
        asked: Asked,
        sinks: (&str, Option<&str>),
        position: &str,
        alignment: Alignment,
    ) -> String {
        let select = match asked {
            Asked::First => self.select,
            Asked::Corrected => self.corrected,
        };
        let (sink, also) = sinks;
        let (declared, inserted) = match also {
            None => (String::new(), String::new()),
            Some(also) => (
                format!(
                    "CREATE TABLE also (k STRING, c BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ({also});"
                ),
                "INSERT INTO also SELECT k, COUNT(*) FROM rides GROUP BY k;".into(),
            ),
        };
        let alignment = match alignment {
            Alignment::None => "",
            Alignment::Tight => {
                ", 'scan.watermark.alignment.group' = 'g', 'scan.watermark.alignment.max-drift' = '1 s'"
            }
        };
        format!(
            "CREATE TABLE rides (k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND)
               WITH ('connector' = 'kinesis', 'stream.arn' = 'arn:aws:kinesis:eu-west-1:123456789012:stream/rides',
                     'source.init.position' = '{position}', 'format' = 'json'{alignment});
             {} CREATE TABLE res ({}) WITH ({sink});
             {declared} INSERT INTO res {select}; {inserted}",
            self.views, self.columns
        )
    }
}
