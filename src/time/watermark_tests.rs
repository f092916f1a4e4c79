//! The state machine of split progress: who holds the watermark, who may be opened.

use super::*;
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

fn at(ms: i64) -> Watermark {
    Watermark::at(ms)
}

fn table(splits: &[(&str, i64)]) -> SplitTable<()> {
    let mut t = SplitTable::new(Boundedness::Bounded);
    for (id, wm) in splits {
        t.register(id, vec![], WorkerId::FIRST, at(*wm), SplitStatus::Active, ());
    }
    t
}

#[test]
fn the_slowest_split_holds_the_watermark() {
    let mut t = table(&[("a", 10), ("b", 5)]);
    assert_eq!(t.watermark(), at(5));
    t.advance("b", at(20));
    assert_eq!(t.watermark(), at(10));
    t.advance("a", at(3));
    assert_eq!(t.watermark(), at(10), "a split's watermark never goes back");
}

#[test]
fn only_a_split_that_has_ended_alone_is_forgotten_and_its_name_is_free_then() {
    let mut t = SplitTable::new(Boundedness::Unbounded);
    for id in ["a", "b", "p"] {
        t.register(id, vec![], WorkerId::FIRST, at(10), SplitStatus::Active, ());
    }
    t.register("c", vec!["p".into()], WorkerId::FIRST, at(10), SplitStatus::Waiting, ());
    assert!(!t.forget("a"), "it is being read");
    t.advance("a", at(30));
    t.finish("a");
    t.finish("p");
    assert!(t.forget("a") && t.forget("a") && !t.forget("p") && !t.forget("c"));
    assert!(t.get("a").is_none());
    for n in 0..1000 {
        let id = format!("f{n}");
        t.register(&id, vec![], WorkerId::FIRST, at(20), SplitStatus::Waiting, ());
        while t.next_to_open(WorkerId::FIRST).is_some() {}
        t.finish(&id);
        assert!(t.forget(&id));
    }
    assert_eq!(t.entries.len(), 4, "places are used again");
    t.register("a", vec![], WorkerId::FIRST, at(20), SplitStatus::Waiting, ());
    let ids = |t: &SplitTable<()>| t.iter().map(|e| e.id.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(ids(&t), "a b c p");
    assert_eq!((t.get("a").map(|e| e.watermark), t.watermark()), (Some(at(20)), at(10)));
    t.finish("b");
    t.finish("c");
    assert_eq!(t.watermark(), at(20), "the new one holds it");
}

#[test]
fn no_gap_between_a_parent_and_its_children() {
    let mut t = table(&[("p", 50), ("other", 100)]);
    t.register("c", vec!["p".into()], WorkerId::new(1), Watermark::NONE, SplitStatus::Waiting, ());
    assert!(
        t.next_to_open(WorkerId::new(1)).is_none(),
        "a child is not opened before its parent has ended"
    );
    t.finish("p");
    assert_eq!(t.watermark(), at(50));
    assert_eq!(t.next_to_open(WorkerId::new(1)).expect("openable").id.as_ref(), "c");
    t.advance("c", at(70));
    assert_eq!(t.watermark(), at(70));
}

#[test]
fn a_merge_child_holds_the_minimum_from_the_first_end_on() {
    let mut t = table(&[("p1", 80), ("p2", 30)]);
    let parents = vec!["p1".to_string(), "p2".to_string()];
    t.register("c", parents.clone(), WorkerId::FIRST, Watermark::NONE, SplitStatus::Waiting, ());
    t.finish("p1");
    assert_eq!(t.watermark(), at(30));
    t.advance("p2", at(90));
    assert_eq!(t.watermark(), at(80), "the lower of its parents'");
    t.register("c", parents, WorkerId::FIRST, Watermark::NONE, SplitStatus::Waiting, ());
    t.finish("p2");
    let child = t.next_to_open(WorkerId::FIRST).expect("openable");
    assert_eq!((&*child.id, child.watermark), ("c", at(80)));
    assert_eq!(t.watermark(), at(80));
}

#[test]
fn a_child_known_from_the_start_begins_where_its_parents_ended() {
    // Registered with its parent and before it, as a listing of a stream that has split already
    // gives them.
    let mut t = SplitTable::new(Boundedness::Bounded);
    t.register(
        "grandchild",
        vec!["c".into()],
        WorkerId::FIRST,
        Watermark::NONE,
        SplitStatus::Waiting,
        (),
    );
    t.register(
        "c",
        vec!["p".into(), "gone".into()],
        WorkerId::FIRST,
        Watermark::NONE,
        SplitStatus::Waiting,
        (),
    );
    t.register(
        "p",
        vec!["gone".into()],
        WorkerId::FIRST,
        Watermark::NONE,
        SplitStatus::Waiting,
        (),
    );
    assert_eq!(t.next_to_open(WorkerId::FIRST).expect("openable").id.as_ref(), "p");
    assert_eq!(t.watermark(), Watermark::NONE);
    t.advance("p", at(50));
    assert_eq!(t.watermark(), at(50), "what waits for p stands where p does");
    t.finish("p");
    assert_eq!(t.watermark(), at(50), "an empty child is no step back");
    assert_eq!(t.next_to_open(WorkerId::FIRST).expect("openable").watermark, at(50));
    t.finish("c");
    assert_eq!(t.next_to_open(WorkerId::FIRST).expect("openable").watermark, at(50));
}

#[test]
fn a_parent_that_is_not_known_yet_is_waited_for() {
    // "m" merges "b" and the child "c" that "a" has not named yet.
    let mut t = table(&[("a", 30), ("b", 80)]);
    t.register(
        "m",
        vec!["b".into(), "c".into()],
        WorkerId::FIRST,
        Watermark::NONE,
        SplitStatus::Waiting,
        (),
    );
    t.finish("b");
    assert!(t.next_to_open(WorkerId::FIRST).is_none(), "a may still name c");
    t.register("c", vec!["a".into()], WorkerId::FIRST, Watermark::NONE, SplitStatus::Waiting, ());
    t.finish("a");
    assert_eq!(t.next_to_open(WorkerId::FIRST).expect("openable").id.as_ref(), "c");
    assert!(t.next_to_open(WorkerId::FIRST).is_none());
    t.finish("c");
    let merged = t.next_to_open(WorkerId::FIRST).expect("openable");
    assert_eq!((&*merged.id, merged.watermark), ("m", at(30)));
}

#[test]
fn a_parent_that_can_never_be_named_is_not_waited_for() {
    let mut t = table(&[("a", 30), ("b", 80)]);
    t.register(
        "m",
        vec!["b".into(), "c".into()],
        WorkerId::FIRST,
        Watermark::NONE,
        SplitStatus::Waiting,
        (),
    );
    t.register("n", vec!["m".into()], WorkerId::FIRST, Watermark::NONE, SplitStatus::Waiting, ());
    t.finish("b");
    t.finish("a");
    assert_eq!(t.next_to_open(WorkerId::FIRST).expect("openable").id.as_ref(), "m");
    assert!(t.next_to_open(WorkerId::FIRST).is_none());
}

#[test]
fn idle_splits_leave_the_minimum_and_come_back_without_a_step_back() {
    let mut t = table(&[("a", 10), ("b", 50)]);
    t.set_idle("a");
    assert_eq!(t.watermark(), at(50));
    t.advance("a", at(20));
    assert_eq!(t.watermark(), at(50));
    t.advance("a", at(60));
    t.advance("b", at(60));
    assert_eq!(t.watermark(), at(60));
}

#[test]
fn all_idle_is_not_the_end_and_all_finished_is() {
    let mut t = table(&[("a", 10), ("b", 50)]);
    t.set_idle("a");
    t.set_idle("b");
    assert_eq!(t.watermark(), at(50));
    t.finish("a");
    t.finish("b");
    assert_eq!(t.watermark(), Watermark::END);
}

/// What a stream that is scaled up and down leaves behind: each cycle splits a shard in two and
/// merges them again.
fn scaled(cycles: usize) -> SplitTable<()> {
    let mut t = SplitTable::new(Boundedness::Unbounded);
    t.register("merged-0", vec![], WorkerId::FIRST, Watermark::NONE, SplitStatus::Waiting, ());
    for cycle in 1..=cycles {
        let merged = format!("merged-{}", cycle - 1);
        let (left, right) = (format!("left-{cycle}"), format!("right-{cycle}"));
        t.register(
            &left,
            vec![merged.clone()],
            WorkerId::FIRST,
            Watermark::NONE,
            SplitStatus::Waiting,
            (),
        );
        t.register(
            &right,
            vec![merged],
            WorkerId::FIRST,
            Watermark::NONE,
            SplitStatus::Waiting,
            (),
        );
        t.register(
            &format!("merged-{cycle}"),
            vec![left, right],
            WorkerId::FIRST,
            Watermark::NONE,
            SplitStatus::Waiting,
            (),
        );
    }
    t
}

/// Walking from child to parents again and again would take two to the power of 3000 steps.
#[test]
fn a_long_history_of_splits_and_merges_is_no_burden() {
    const CYCLES: usize = 3000;
    let mut t = scaled(CYCLES);
    let mut opened = 0;
    let mut now_ms = 0;
    loop {
        let ended = t.all_finished();
        if !ended {
            assert_eq!(t.watermark(), if now_ms == 0 { Watermark::NONE } else { at(now_ms) });
        }
        let mut open = vec![];
        while let Some(entry) = t.next_to_open(WorkerId::FIRST) {
            assert_eq!(entry.watermark, if now_ms == 0 { Watermark::NONE } else { at(now_ms) });
            open.push(entry.id.clone());
        }
        if open.is_empty() {
            break;
        }
        now_ms += 10;
        for id in &open {
            t.advance(id, at(now_ms));
        }
        for id in &open {
            t.finish(id);
        }
        opened += open.len();
    }
    assert_eq!(opened, 3 * CYCLES + 1);
}

#[test]
fn a_source_without_bounds_does_not_end() {
    let mut t: SplitTable<()> = SplitTable::new(Boundedness::Unbounded);
    assert_eq!(t.watermark(), Watermark::NONE, "no shard yet");
    t.register("a", vec![], WorkerId::FIRST, at(40), SplitStatus::Active, ());
    assert_eq!(t.watermark(), at(40));
    t.finish("a");
    assert!(t.all_finished());
    assert_eq!(t.watermark(), at(40), "another shard may come");
    let mut bounded: SplitTable<()> = SplitTable::new(Boundedness::Bounded);
    assert_eq!(bounded.watermark(), Watermark::END, "no file at all");
}

#[test]
fn a_split_that_is_not_known_to_be_empty_holds_again() {
    let mut t = table(&[("a", 10), ("b", 50)]);
    t.set_idle("a");
    assert_eq!(t.watermark(), at(50));
    t.set_active("a");
    t.advance("b", at(90));
    assert_eq!(t.watermark(), at(50), "a holds at 10, and what was handed out stays");
    t.advance("a", at(70));
    assert_eq!(t.watermark(), at(70));
}

#[test]
fn an_idle_split_holds_for_the_child_that_waits_for_it() {
    let mut t = table(&[("p", 10), ("other", 50)]);
    t.set_idle("p");
    t.register("c", vec!["p".into()], WorkerId::FIRST, Watermark::NONE, SplitStatus::Waiting, ());
    assert_eq!(t.watermark(), at(10));
    t.finish("p");
    assert_eq!(t.next_to_open(WorkerId::FIRST).expect("openable").watermark, at(10));
}

/// Random histories against the rule as it reads: every split that is not idle or finished holds
/// the watermark where it stands, and one that waits stands at the lowest of its parents.
#[test]
fn the_sets_agree_with_the_rule() {
    use rand::{Rng, SeedableRng};

    fn stands_at(t: &SplitTable<()>, entry: &Entry<()>) -> Watermark {
        let parents = entry.parents.iter().filter_map(|p| t.get(p)).map(|p| stands_at(t, p));
        match entry.status {
            SplitStatus::Waiting => entry.watermark.max(parents.min().unwrap_or(Watermark::NONE)),
            _ => entry.watermark,
        }
    }
    each_seed(0..by_tier(150, 300, 20_000), |seed| {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut t = SplitTable::new(if rng.random_bool(0.5) {
            Boundedness::Bounded
        } else {
            Boundedness::Unbounded
        });
        let mut handed_out = Watermark::NONE;
        for step in 0..60 {
            let known: Vec<Arc<str>> = t.iter().map(|e| e.id.clone()).collect();
            let any =
                |rng: &mut rand_chacha::ChaCha8Rng| known[rng.random_range(0..known.len())].clone();
            match rng.random_range(0..if known.is_empty() { 1 } else { 6 }) {
                0 => {
                    // Now and then a parent that is registered later, or never.
                    let parents = (0..rng.random_range(0..3))
                        .map(|_| format!("s{}", rng.random_range(0..step + 1)))
                        .collect();
                    let parents: Vec<String> = if rng.random_bool(0.8) {
                        parents
                    } else {
                        vec![format!("s{}", 60 + step)]
                    };
                    // No split is its own ancestor.
                    let parents: Vec<String> =
                        parents.into_iter().filter(|p| *p != format!("s{step}")).collect();
                    // A split has records of its own only after its parents have ended.
                    let is_read = parents.is_empty() && rng.random_bool(0.3);
                    let own = if is_read { at(rng.random_range(0..100)) } else { Watermark::NONE };
                    t.register(
                        &format!("s{step}"),
                        parents,
                        WorkerId::new(step % 2),
                        own,
                        SplitStatus::Waiting,
                        (),
                    );
                }
                1 => {
                    let owner = WorkerId::new(rng.random_range(0..2));
                    let lowest = t
                        .iter()
                        .filter(|e| e.owner == owner && e.status == SplitStatus::Waiting)
                        .filter(|e| {
                            e.parents.iter().all(|p| {
                                t.get(p).is_some_and(|p| p.status == SplitStatus::Finished)
                            })
                        })
                        .map(|e| stands_at(&t, e))
                        .min();
                    let opened = t.next_to_open(owner).map(|e| e.watermark);
                    assert!(
                        lowest.is_none() || opened == lowest,
                        "seed {seed}, step {step}: {opened:?}, not {lowest:?}"
                    );
                }
                2 => {
                    let id = any(&mut rng);
                    if t.get(&id).is_some_and(|e| {
                        matches!(e.status, SplitStatus::Active | SplitStatus::Idle)
                    }) {
                        t.advance(&id, at(rng.random_range(0..100)));
                    }
                }
                3 => t.set_idle(&any(&mut rng)),
                4 => t.set_active(&any(&mut rng)),
                _ => {
                    let id = any(&mut rng);
                    if t.get(&id).is_some_and(|e| {
                        matches!(e.status, SplitStatus::Active | SplitStatus::Idle)
                    }) {
                        t.finish(&id);
                    }
                }
            }
            let holding =
                t.iter().filter(|e| matches!(e.status, SplitStatus::Waiting | SplitStatus::Active));
            let lowest = holding.map(|e| stands_at(&t, e)).min();
            let idle =
                t.iter().filter(|e| e.status == SplitStatus::Idle).map(|e| e.watermark).max();
            let end = if t.boundedness == Boundedness::Bounded {
                Watermark::END
            } else {
                Watermark::NONE
            };
            handed_out = handed_out.max(lowest.or(idle).unwrap_or(end));
            let splits: Vec<_> =
                t.iter().map(|e| (&e.id, e.status, e.watermark, &e.parents)).collect();
            let splits = format!("{splits:?}");
            assert_eq!(t.watermark(), handed_out, "seed {seed}, step {step}: {splits}");
        }
    });
}

#[test]
fn a_split_is_awaited_by_one_whose_parent_only_its_end_will_name() {
    // p is split into a and b, and b is merged with q, which has ended already, into m.
    let mut table = SplitTable::new(Boundedness::Unbounded);
    let mut register = |id: &str, parents: &[&str]| {
        let parents = parents.iter().map(|p| (*p).to_string()).collect();
        table.register(id, parents, WorkerId::new(0), Watermark::NONE, SplitStatus::Waiting, ());
    };
    register("p", &[]);
    register("q", &[]);
    while table.next_to_open(WorkerId::new(0)).is_some() {}
    table.advance("p", Watermark::at(900));
    assert!(!table.is_awaited("p", Places::ForAll));
    let parents = vec!["b".to_string(), "q".to_string()];
    table.register("m", parents, WorkerId::new(0), Watermark::NONE, SplitStatus::Waiting, ());
    table.finish("q");
    assert_eq!(table.lowest_holding(), Some(Watermark::NONE), "m will begin where q ended");
    assert!(table.is_awaited("p", Places::ForAll), "b is named at the end of p");
}
