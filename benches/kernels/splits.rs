//! What does a record cost when a source has four shards, and what when it has ten thousand with their history?

use std::hint::black_box;

use criterion::Criterion;
use paceline::ids::WorkerId;
use paceline::time::Watermark;
use paceline::time::watermark::{Boundedness, SplitStatus, SplitTable};

/// Four or ten thousand open shards; each of the ten thousand has a closed parent.
fn table(shards: usize, history: bool) -> SplitTable<()> {
    let mut table = SplitTable::new(Boundedness::Unbounded);
    for shard in 0..shards {
        let parent = format!("parent-{shard}");
        let parents = if history { vec![parent.clone()] } else { vec![] };
        if history {
            table.register(&parent, vec![], WorkerId::FIRST, Watermark::at(0), SplitStatus::Finished, ());
        }
        table.register(&format!("shard-{shard}"), parents, WorkerId::FIRST, Watermark::NONE, SplitStatus::Waiting, ());
    }
    while table.next_to_open(WorkerId::FIRST).is_some() {}
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
                table.advance(&ids[now_ms as usize % shards], Watermark::at(now_ms));
                black_box(table.watermark())
            });
        });
    }
}
