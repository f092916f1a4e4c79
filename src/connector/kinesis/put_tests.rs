//! Do all records arrive, those of each key in their order, whatever happens to the calls?
//!
//! Each seed is a writer against the stream in memory: calls are throttled, fail or hang, and
//! records of a call are refused one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::aws::clock::ServerClock;
use crate::connector::Bounds;
use crate::connector::kinesis::KinesisOptions;
use crate::connector::kinesis::api::Streams;
use crate::simulation::executor::Sim;
use crate::simulation::stream::{Life, Reads, Service, StreamFaults};
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;
use crate::time::clock::SetClock;
use crate::time::virtual_time::VirtualTime;
use crate::unpack::kpl::message;

const START_MS: i64 = 1_800_000_000_000;

#[test]
fn records_arrive_in_the_order_of_their_keys() {
    each_seed(0..by_tier(100, 1000, 10_000), |seed| {
        let begun = VirtualTime::begin();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut share = || if rng.random_bool(0.5) { rng.random_range(0.0..0.4) } else { 0.0 };
        let together = if seed % 2 == 0 {
            Together::Never
        } else {
            Together::UpTo([30, 100, 51_200][seed as usize % 3])
        };
        let faults = StreamFaults {
            throttled: share(),
            failed: share(),
            hangs: share() / 4.0,
            latency_ms: 50,
            records_max: 1,
            until_ms: i64::MAX,
            ..StreamFaults::default()
        };
        let life = Life { created_ms: START_MS, retention_ms: 86_400_000, shards: vec![] };
        let service = Service::new(begun.0.clone(), START_MS, life, faults, seed);
        let sim = Sim::new(begun.0.clone(), rng.random());
        let options = BTreeMap::from([("stream".to_owned(), "out".to_owned())]);
        let options = KinesisOptions::parse("t", &options, Bounds::default()).expect("options");
        let clock = ServerClock::new(Arc::new(SetClock::at(5)));
        let reads = Reads { service: service.clone(), open: Arc::default() };
        let stream = reads.open(&options, clock, &sim.tasks()).expect("it opens");
        let putter = Putter::new(PutterConfig {
            stream,
            stream_name: "out".into(),
            order: Order::PerKey,
            batch_max: rng.random_range(1..20),
            batch_bytes_max: 1000,
            calls_max: rng.random_range(1..4),
            together,
            records_max: 10_000,
            fail_on_error: false,
            tasks: sim.tasks(),
            wake: Arc::new(|| {}),
        });
        let pass = |ms| sim.tasks().wait(sleep(Duration::from_millis(ms))).expect("an end");
        let mut pushed: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut number = 0;
        for _ in 0..rng.random_range(1..4) {
            for _ in 0..rng.random_range(0..40) {
                number += 1;
                let key = format!("k{}", rng.random_range(0..5));
                pushed.entry(key.clone()).or_default().push(number);
                putter.push(vec![(key, number.to_be_bytes().to_vec())]).expect("no failure");
                pass(rng.random_range(0..30));
            }
            putter.begin_barrier();
            while !putter.poll_prepared().expect("no failure") {
                pass(1000);
            }
            let mut arrived: BTreeMap<String, Vec<u32>> = BTreeMap::new();
            for (key, data) in service.written() {
                let payloads = match message::read(&data) {
                    Some(several) => {
                        several.records.into_iter().map(|r| data[r.data].to_vec()).collect()
                    }
                    None => vec![data],
                };
                for data in payloads {
                    let number = u32::from_be_bytes(data.try_into().expect("four bytes"));
                    arrived.entry(key.clone()).or_default().push(number);
                }
            }
            assert_eq!(arrived, pushed);
        }
    });
}
