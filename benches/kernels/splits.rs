//! What does a record cost when a source has four shards, and what when it has ten thousand with their history?

use std::hint::black_box;

use criterion::Criterion;
use paceline::time::MIN_TIME_MS;
use paceline::time::watermark::{SplitStatus, SplitTable};

/// Four or ten thousand open shards; each of the ten thousand has a closed parent.
fn table(shards: usize, history: bool) -> SplitTable<()> {
    let mut table = SplitTable::new(false);
    for shard in 0..shards {
        let parent = format!("parent-{shard}");
        let parents = if history { vec![parent.clone()] } else { vec![] };
        if history {
            table.register(&parent, vec![], 0, 0, SplitStatus::Finished, ());
        }
        table.register(&format!("shard-{shard}"), parents, 0, MIN_TIME_MS, SplitStatus::Waiting, ());
    }
    while table.next_to_open(0).is_some() {}
    table
}

/// What is done for each batch: the split moves on, the source's watermark is asked for.
pub fn watermark(c: &mut Criterion) {
    for (shards, history) in [(4, false), (10_000, true)] {
        let mut table = table(shards, history);
        let ids: Vec<String> = (0..shards).map(|shard| format!("shard-{shard}")).collect();
        let mut now_ms = 0;
        c.bench_function(&format!("watermark after a batch, {shards} shards"), |b| {
            b.iter(|| {
                now_ms += 1;
                table.advance(&ids[now_ms as usize % shards], now_ms);
                black_box(table.watermark())
            });
        });
    }
}
