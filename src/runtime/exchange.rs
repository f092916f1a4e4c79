//! Who gets which rows? The sending end of an edge: rows and partial aggregates go to the worker
//! that owns their key group.
//!
//! What always holds: per target the order of events is kept, also while some of them wait here for
//! room.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::error::ArrowError;

use super::inbox::{Inbox, append};
use crate::ids::WorkerId;
use crate::operator::Event;
use crate::plan::physical::Route;
use crate::state::key_group::row_key_groups;
use crate::state::owner_of;

pub struct Outlet {
    route: Route,
    /// This worker.
    producer: WorkerId,
    targets: Vec<Arc<Inbox>>,
    /// The lane of this edge and producer in every target's inbox.
    lane: usize,
    waiting: Vec<VecDeque<Event>>,
}

impl Outlet {
    pub fn new(edge: usize, producer: WorkerId, route: Route, targets: Vec<Arc<Inbox>>) -> Outlet {
        let lane = edge * targets.len() + producer.index();
        Outlet {
            route,
            producer,
            waiting: targets.iter().map(|_| VecDeque::new()).collect(),
            targets,
            lane,
        }
    }

    pub fn send(&mut self, event: Event) -> Result<(), ArrowError> {
        let workers = self.targets.len();
        match event {
            Event::Watermark(_) | Event::Tick(_) | Event::Barrier(_) => {
                for target in WorkerId::all(workers) {
                    self.push(target, event.clone());
                }
            }
            Event::Partials(partials) => {
                let mut picks = vec![Vec::new(); workers];
                for (i, &group) in partials.entries.key_groups.iter().enumerate() {
                    picks[owner_of(group, workers).index()].push(i as u32);
                }
                for (target, picks) in
                    WorkerId::all(workers).zip(picks).filter(|(_, p)| !p.is_empty())
                {
                    let part = if picks.len() == partials.len() {
                        partials.clone()
                    } else {
                        partials.pick(&picks)
                    };
                    self.push(target, Event::Partials(part));
                }
            }
            Event::Rows(rows) => {
                let Route::Keys(columns) = &self.route else {
                    self.push(self.producer, Event::Rows(rows));
                    return Ok(());
                };
                let mut picks = vec![Vec::new(); workers];
                for (i, group) in row_key_groups(columns, &rows.batch).into_iter().enumerate() {
                    picks[owner_of(group, workers).index()].push(i as u32);
                }
                for (target, picks) in
                    WorkerId::all(workers).zip(picks).filter(|(_, p)| !p.is_empty())
                {
                    self.push(target, Event::Rows(rows.take(&UInt32Array::from(picks))?));
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, target: WorkerId, event: Event) {
        let target = target.index();
        if !self.waiting[target].is_empty() {
            append(&mut self.waiting[target], event);
        } else if let Err(event) = self.targets[target].push(self.lane, event) {
            self.waiting[target].push_back(event);
        }
    }

    /// Sends what waits, as far as there is room. Returns true if anything moved.
    pub(crate) fn flush(&mut self) -> bool {
        let mut moved = false;
        for (target, waiting) in self.waiting.iter_mut().enumerate() {
            while let Some(event) = waiting.pop_front() {
                match self.targets[target].push(self.lane, event) {
                    Ok(()) => moved = true,
                    Err(event) => {
                        waiting.push_front(event);
                        break;
                    }
                }
            }
        }
        moved
    }

    /// Bytes of what waits for room.
    #[cfg(test)]
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting.iter().flatten().map(Event::memory_bytes).sum()
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.waiting.iter().any(|w| !w.is_empty())
    }
}
