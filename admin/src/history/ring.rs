//! Two rings of samples: one value a tick, and one value for every [`TICKS_PER_STEP`] ticks.

/// Values in each of the two rings.
pub const POINTS: usize = 60;
/// Ticks that one value of the long ring stands for.
pub const TICKS_PER_STEP: u64 = 6;
/// Floats of one metric: the short ring, then the long one.
pub const LANE_FLOATS: usize = 2 * POINTS;

/// How the values of a step become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// The mean: rates.
    Mean,
    /// The greatest, so that a spike survives: depths and counts.
    Max,
}

/// Which ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Range {
    /// One value a tick, the last 60 ticks (10 min at 10 s).
    #[default]
    Short,
    /// One value for six ticks, the last 60 of those (1 h at 10 s).
    Long,
}

impl Range {
    /// Ticks that one value stands for.
    pub fn ticks(self) -> u64 {
        match self {
            Range::Short => 1,
            Range::Long => TICKS_PER_STEP,
        }
    }
}

fn column(tick: u64) -> usize {
    (tick % POINTS as u64) as usize
}

fn step_column(tick: u64) -> usize {
    POINTS + column(tick / TICKS_PER_STEP)
}

/// A new tick begins: its value is unknown.
pub fn open(lane: &mut [f32], tick: u64) {
    lane[column(tick)] = f32::NAN;
    if tick.is_multiple_of(TICKS_PER_STEP) {
        lane[step_column(tick)] = f32::NAN;
    }
}

/// Writes the value of the tick that was opened last.
pub fn write(lane: &mut [f32], tick: u64, value: f32, fold: Fold) {
    lane[column(tick)] = value;
    let first = tick - tick % TICKS_PER_STEP;
    let values = (first..=tick).map(|t| lane[column(t)]).filter(|v| !v.is_nan());
    let folded = match fold {
        Fold::Max => values.fold(f32::NAN, f32::max),
        Fold::Mean => {
            let (sum, count) = values.fold((0.0, 0u8), |(sum, count), v| (sum + v, count + 1));
            if count == 0 { f32::NAN } else { sum / f32::from(count) }
        }
    };
    lane[step_column(tick)] = folded;
}

/// The last `count` values up to `tick`, the oldest first; unknown ones are NaN.
pub fn read(lane: &[f32], tick: u64, range: Range, count: usize) -> impl Iterator<Item = f32> + '_ {
    let count = count.min(POINTS) as u64;
    let (at, offset) = match range {
        Range::Short => (tick, 0),
        Range::Long => (tick / TICKS_PER_STEP, POINTS),
    };
    (0..count).rev().map(move |back| if back > at { f32::NAN } else { lane[offset + column(at - back)] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(values: &[f32], fold: Fold) -> (Vec<f32>, u64) {
        let mut lane = vec![f32::NAN; LANE_FLOATS];
        for (tick, &value) in values.iter().enumerate() {
            open(&mut lane, tick as u64);
            if !value.is_nan() {
                write(&mut lane, tick as u64, value, fold);
            }
        }
        (lane, values.len() as u64 - 1)
    }

    #[test]
    fn the_last_sixty_are_kept_in_order() {
        let values: Vec<f32> = (0..150u16).map(f32::from).collect();
        let (lane, tick) = record(&values, Fold::Max);
        assert_eq!(read(&lane, tick, Range::Short, POINTS).collect::<Vec<_>>(), values[90..]);
        assert_eq!(read(&lane, tick, Range::Short, 3).collect::<Vec<_>>(), [147.0, 148.0, 149.0]);
    }

    #[test]
    fn a_spike_of_a_gauge_survives_in_the_long_ring() {
        let mut values = vec![1.0; 12];
        values[8] = 500.0;
        let (lane, tick) = record(&values, Fold::Max);
        assert_eq!(read(&lane, tick, Range::Long, 2).collect::<Vec<_>>(), [1.0, 500.0]);
    }

    #[test]
    fn a_rate_is_averaged_over_the_values_that_there_are() {
        let (lane, tick) = record(&[3.0, f32::NAN, 6.0, f32::NAN, f32::NAN, 9.0, 2.0], Fold::Mean);
        assert_eq!(read(&lane, tick, Range::Long, 2).collect::<Vec<_>>(), [6.0, 2.0]);
    }

    #[test]
    fn what_was_not_seen_is_a_gap() {
        let (lane, tick) = record(&[1.0, f32::NAN, 3.0], Fold::Max);
        let read: Vec<f32> = read(&lane, tick, Range::Short, POINTS).collect();
        assert_eq!((read[57], read[59]), (1.0, 3.0));
        assert!(read[58].is_nan() && read[..57].iter().all(|v| v.is_nan()));
    }

    #[test]
    fn an_old_lap_does_not_shine_through_a_gap() {
        let mut values = vec![7.0; 60];
        values.extend([f32::NAN; 10]);
        let (lane, tick) = record(&values, Fold::Max);
        assert!(read(&lane, tick, Range::Short, 10).all(f32::is_nan));
    }
}
