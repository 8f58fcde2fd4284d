//! The clock of an open loop.

/// Due at `start`, and every `period` from then on, whether or not anybody keeps up.
#[derive(Debug)]
pub(crate) struct Ticker {
    next_ns: u64,
    period_ns: u64,
}

impl Ticker {
    /// `rate` times per `span_ns`; never when `rate` is 0.
    pub(crate) fn new(start_ns: u64, rate: u64, span_ns: u64) -> Self {
        match span_ns.checked_div(rate) {
            Some(period_ns) => Self { next_ns: start_ns, period_ns: period_ns.max(1) },
            None => Self { next_ns: u64::MAX, period_ns: 1 },
        }
    }

    /// When the next one is due.
    pub(crate) fn due_ns(&self) -> u64 {
        self.next_ns
    }

    /// Takes the next one if it is due by now, and tells since when.
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.next_ns;
        if due_ns > now_ns {
            return None;
        }
        self.next_ns = due_ns.saturating_add(self.period_ns);
        Some(due_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_due_during_a_stall_is_all_there_with_its_own_time() {
        let mut ticker = Ticker::new(5, 4, 40);
        let due: Vec<u64> = std::iter::from_fn(|| ticker.take(30)).collect();
        assert_eq!(due, [5, 15, 25]);
        assert_eq!(ticker.due_ns(), 35);
    }

    #[test]
    fn a_rate_of_zero_is_never_due() {
        assert_eq!(Ticker::new(0, 0, 1_000_000_000).take(u64::MAX - 1), None);
    }
}
