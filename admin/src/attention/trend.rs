//! Where a depth is going, told from its last thirty samples.

/// Samples that a trend looks at: five minutes at 10 s.
pub const SAMPLES: usize = 30;
/// With fewer good samples no trend is told.
pub const SAMPLES_MIN: usize = 24;
const MINUTES: usize = 5;
const PER_MINUTE: usize = SAMPLES / MINUTES;
const STEPS_UP_MIN: usize = 3;
const ENDS: usize = 3;

/// The trend of a gauge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Mean of the last three samples.
    pub now: f32,
    /// Mean of the three samples of five minutes ago.
    pub before: f32,
    /// At least three of the four steps between minute means go up, and the last mean exceeds the first.
    pub steady: bool,
    /// The last minute's mean is below the first's.
    pub falling: bool,
}

impl Trend {
    /// The trend of samples, the oldest first, NaN where there was none; none if there are too few.
    pub fn of(samples: &[f32]) -> Option<Trend> {
        if samples.len() < SAMPLES || samples.iter().filter(|v| !v.is_nan()).count() < SAMPLES_MIN {
            return None;
        }
        let samples = &samples[samples.len() - SAMPLES..];
        let mut minutes = [0.0; MINUTES];
        for (mean, minute) in minutes.iter_mut().zip(samples.chunks(PER_MINUTE)) {
            *mean = mean_of(minute)?;
        }
        let (first, last) = (minutes[0], minutes[MINUTES - 1]);
        let ups = minutes.windows(2).filter(|pair| pair[1] > pair[0]).count();
        Some(Trend {
            now: mean_of(&samples[SAMPLES - ENDS..]).unwrap_or(last),
            before: mean_of(&samples[..ENDS]).unwrap_or(first),
            steady: ups >= STEPS_UP_MIN && last > first,
            falling: last < first,
        })
    }

    /// How much it grew in five minutes; never below nothing.
    pub fn grown(self) -> f32 {
        (self.now - self.before).max(0.0)
    }
}

/// The mean of what is known.
pub fn mean_of(samples: &[f32]) -> Option<f32> {
    let (sum, count) =
        samples.iter().filter(|v| !v.is_nan()).fold((0.0, 0u16), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / f32::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(value: impl Fn(usize) -> f32) -> Option<Trend> {
        Trend::of(&(0..SAMPLES).map(value).collect::<Vec<_>>())
    }

    #[test]
    fn a_slope_is_steady_and_a_plain_is_not() {
        let slope = trend(|n| 100.0 * n as f32).expect("enough");
        assert!(slope.steady && !slope.falling);
        assert_eq!((slope.now, slope.before), (2_800.0, 100.0));
        let plain = trend(|_| 5.0).expect("enough");
        assert!(!plain.steady && !plain.falling && plain.grown() == 0.0);
    }

    #[test]
    fn a_sawtooth_of_a_minute_is_not_steady() {
        assert!(!trend(|n| (n % 6) as f32 * 1_000.0).expect("enough").steady);
        assert!(!trend(|n| if n / 6 % 2 == 0 { 9_000.0 } else { 0.0 }).expect("enough").steady);
    }

    #[test]
    fn one_jump_is_not_steady() {
        assert!(!trend(|n| if n < 15 { 0.0 } else { 50_000.0 }).expect("enough").steady);
    }

    #[test]
    fn too_few_samples_have_no_trend() {
        assert_eq!(trend(|n| if n < 7 { f32::NAN } else { n as f32 }), None);
        assert!(trend(|n| if n % 5 == 0 { f32::NAN } else { n as f32 }).is_some());
        assert_eq!(Trend::of(&[1.0; SAMPLES - 1]), None);
        assert_eq!(Trend::of(&[]), None);
    }
}
