//! Reading messages back: where they are.
//!
//! What is not written yet is answered from memory. Everything else is one sequential read of the run that holds
//! the message, at most a MiB and a frame; `reads` does it.

use super::Log;
use super::gather::FrameRun;
use super::reads::ReadJob;
use super::types::{Batch, Event};
use crate::TopicId;
use crate::limits::RUN_SPAN_BYTES;

impl Log {
    /// Reads back the messages of `topic` from `seq` on, as far as its run reaches; answered by
    /// [`Event::Loaded`], at once if they are still in memory. An answer that neither begins at `seq` nor names it
    /// lost means "not now": ask again after a pause.
    pub fn fetch(&mut self, topic: TopicId, seq: u64, token: u64) {
        let batches = self.find_in_memory(topic, seq);
        if !batches.is_empty() {
            let batches = trim_front(batches, seq);
            return self.events.push_back(Event::Loaded { token, topic, batches, lost: Vec::new() });
        }
        let Some(state) = self.state.topic(topic) else {
            let lost = vec![(seq, seq.saturating_add(1))];
            return self.events.push_back(Event::Loaded { token, topic, batches: Vec::new(), lost });
        };
        let Some(run) = state.run_of(seq) else {
            let next = state.next_run_after(seq).max(seq.saturating_add(1));
            let lost = vec![(seq, next)];
            return self.events.push_back(Event::Loaded { token, topic, batches: Vec::new(), lost });
        };
        // What is being written cannot be read yet; it is in memory, and `seq` is not there.
        let mut end_seq = run.end_seq();
        let mut len = run.len;
        if let Some(flight) = self.in_flight.front()
            && self.segment.as_ref().is_some_and(|s| s.seq == run.segment)
        {
            len = len.min(flight.offset().saturating_sub(run.offset));
            let unwritten = self.in_flight.iter().flat_map(|f| f.runs.iter());
            let first = unwritten.filter(|r| r.fields.topic == topic).map(|r| r.fields.first_seq).min();
            end_seq = first.map_or(end_seq, |first| first.min(end_seq));
        }
        let job = ReadJob::new(token, topic, seq..end_seq, run.segment, run.offset, len);
        self.read(job);
    }

    /// The batch with `seq` and those behind it, from frames that are not written.
    fn find_in_memory(&self, topic: TopicId, seq: u64) -> Vec<Batch> {
        let mut budget = RUN_SPAN_BYTES;
        let mut wanted = |run: &FrameRun| {
            let hit = run.fields.topic == topic && run.end_seq() > seq && budget > 0;
            budget = budget.saturating_sub(if hit { u64::from(run.fields.payload_len) } else { 0 });
            hit
        };
        // Only if `seq` itself is there: otherwise it is on disk, and comes first.
        let holds =
            |run: &FrameRun| run.fields.topic == topic && run.fields.first_seq <= seq && seq < run.end_seq();
        let placed = self.in_flight.iter().flat_map(|f| f.runs.iter());
        let waiting = self.waiting.iter().flat_map(|f| f.runs.iter());
        if !placed.chain(waiting).any(holds) && !self.gather.any(holds) {
            return Vec::new();
        }
        let mut batches = Vec::new();
        for flight in &self.in_flight {
            for run in flight.runs.iter().filter(|run| wanted(run)) {
                batches.push(run.batch(flight.slice.slice(run.range()), None));
            }
        }
        for closed in &self.waiting {
            for run in closed.runs.iter().filter(|run| wanted(run)) {
                batches.push(run.batch(closed.unsealed.share(run.range()), None));
            }
        }
        batches.extend(self.gather.find(wanted));
        batches
    }
}

/// Cuts the messages below `seq` off the first batch.
pub(super) fn trim_front(mut batches: Vec<Batch>, seq: u64) -> Vec<Batch> {
    if let Some(first) = batches.first_mut() {
        while first.first_seq < seq && first.count > 1 {
            let Some(size) = first.payload.first_chunk::<4>() else { break };
            let len = (u32::from_be_bytes(*size) as usize).saturating_add(4);
            if len > first.payload.len() {
                break;
            }
            let _ = first.payload.split_to(len);
            first.first_seq += 1;
            first.first_id += 1;
            first.count -= 1;
        }
    }
    batches
}
