//! Which shards take the place of one that has ended, or that has expired?
//!
//! Called by `poll` at the end of a shard. What always holds: the hash keys of a shard that has ended
//! belong to others, which are waited for until they are all there; where the shards in between have
//! expired too, those come next that nobody else will find.

use super::api::{Child, Failure, HashRange, ListedShard};
use super::coverage::{Known, covers};
use super::gaps::Stop;
use super::poll::{Patience, Shard};
use super::position::ShardPlace;
use crate::source::{SplitId, SplitSeed};
use crate::time::timer::sleep;

/// Listings can lag behind a split or merge; by then a child is listed, mostly.
const LISTINGS_UNTOLD: u64 = 4;
/// Listings that have to agree that a shard has expired which was read a moment ago.
const LISTINGS_WITHOUT_MIN: u64 = 3;

/// What a listing says of a shard that has ended.
enum Listing {
    Children(Vec<Child>),
    /// Children of a shard that is not listed itself and whose keys are not known: perhaps not all.
    Some(Vec<Child>),
    /// Some of its keys belong to nobody yet.
    NotYet,
    /// The shard is not listed any more, nor are its children: those that come next, if there are
    /// any.
    Expired(Vec<Child>),
}

impl Shard {
    /// The children of a shard that was read to its end. `named`: those of its last reply; `start`:
    /// where they begin.
    pub(super) async fn children(
        &self,
        named: Vec<Child>,
        start: ShardPlace,
        patience: &mut Patience<'_>,
    ) -> Result<Vec<SplitSeed>, Stop> {
        if !named.is_empty() {
            self.audited.lock().coverage.note_ranges(named.iter().map(|c| (&c.id, c.hashes)));
            return Ok(seeds(named, &start));
        }
        let (mut listings, mut without) = (0u64, 0u64);
        let mut pause = self.pace.relist;
        loop {
            match self.list().await {
                Ok(Listing::Children(children)) => return Ok(seeds(children, &start)),
                Ok(Listing::Expired(next)) if without >= LISTINGS_WITHOUT_MIN => {
                    self.gaps.pass(
                        self.gap(start.read_to_ms, Some("its children are not listed".into())),
                    )?;
                    return Ok(seeds(next, &ShardPlace { read_to_ms: None, ..start }));
                }
                Ok(Listing::Some(children)) if without >= LISTINGS_WITHOUT_MIN => {
                    return Ok(seeds(children, &start));
                }
                Ok(found) => {
                    patience.reset();
                    listings += 1;
                    without += u64::from(matches!(found, Listing::Expired(_) | Listing::Some(_)));
                }
                Err(failure) => {
                    patience.after("ListShards", failure).await?;
                    continue;
                }
            }
            if listings >= LISTINGS_UNTOLD && listings.is_power_of_two() {
                tracing::warn!(
                    table = self.table,
                    shard = %self.id,
                    listings,
                    "the shard has ended, and no shard names it as its parent yet: listing again"
                );
            }
            sleep(pause).await;
            pause = (pause * 2).min(self.pace.backoff_max);
        }
    }

    /// What comes after a shard that is not there any more, if that was agreed to. `start`: where
    /// that begins; `reason`: the service's words.
    pub(super) async fn gone(
        &self,
        read_to_ms: Option<i64>,
        start: ShardPlace,
        reason: String,
        patience: &mut Patience<'_>,
    ) -> Result<Vec<SplitSeed>, Stop> {
        loop {
            match self.list().await {
                // A stream that is gone as a whole is told as that.
                Err(failure) => patience.after("ListShards", failure).await?,
                Ok(listing) => {
                    self.gaps.pass(self.gap(read_to_ms, Some(reason)))?;
                    return match listing {
                        Listing::Children(next) | Listing::Some(next) | Listing::Expired(next) => {
                            Ok(seeds(next, &start))
                        }
                        Listing::NotYet => self.children(vec![], start, patience).await,
                    };
                }
            }
        }
    }

    async fn list(&self) -> Result<Listing, Failure> {
        let listed = self.stream.list_shards().await?;
        let mut audited = self.audited.lock();
        let own = listed.iter().find(|shard| *shard.id == *self.id.0);
        let children: Vec<Child> = listed
            .iter()
            .filter(|shard| shard.parents.iter().any(|parent| **parent == *self.id.0))
            .map(child)
            .collect();
        let taken: Option<Vec<HashRange>> = children.iter().map(|child| child.hashes).collect();
        // A listing that lags has neither a shard that is young nor all of its children.
        let hashes = own.map_or_else(|| audited.coverage.range(&self.id.0), |own| own.hashes);
        let covered = match hashes.zip(taken) {
            Some((own, taken)) => covers(taken, own),
            None if own.is_none() && !children.is_empty() => return Ok(Listing::Some(children)),
            None => !children.is_empty(),
        };
        if covered {
            audited.coverage.note_ranges(children.iter().map(|child| (&child.id, child.hashes)));
            return Ok(Listing::Children(children));
        }
        if own.is_none() {
            audited.coverage.note(&self.id.0, Known::Ended);
            let next = audited.coverage.unread(&listed);
            return Ok(Listing::Expired(next.into_iter().map(child).collect()));
        }
        Ok(Listing::NotYet)
    }
}

fn child(ListedShard { id, parents, hashes, .. }: &ListedShard) -> Child {
    Child { id: id.clone(), parents: parents.clone(), hashes: *hashes }
}

fn seeds(children: Vec<Child>, start: &ShardPlace) -> Vec<SplitSeed> {
    let split = |id: String| SplitId(id.into());
    let seed = |child: Child| SplitSeed {
        id: split(child.id),
        parents: child.parents.into_iter().map(split).collect(),
        start: start.clone().into(),
    };
    children.into_iter().map(seed).collect()
}
