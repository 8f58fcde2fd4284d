//! A small line of what was, beside the number that is.

use std::fmt::Write;

use maud::{Markup, html};

use crate::history::POINTS;

/// How a spark looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An area in ink: depth.
    Depth,
    /// A line: published.
    In,
    /// A line: left.
    Out,
    /// A line: came back.
    Redo,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Kind::Depth => "spark depth",
            Kind::In => "spark in",
            Kind::Out => "spark out",
            Kind::Redo => "spark redo",
        }
    }
}

const HEIGHT: f32 = 20.0;
/// Head room, so that the greatest value is not cut in half by the edge.
const SPARK_ROOM: f32 = 1.1;

/// Greatest of the known values; 0 if there is none.
pub fn max_of(values: &[f32]) -> f32 {
    values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f32::max)
}

/// The path of values, the oldest first, gaps left out; `area` closes it down to the ground.
pub fn path(values: &[f32], max: f32, height: f32, area: bool) -> String {
    let mut d = String::new();
    let first_x = POINTS.saturating_sub(values.len());
    let y = |value: f32| {
        let share = if max > 0.0 { (value / max).clamp(0.0, 1.0) } else { 0.0 };
        (height - share * height).round()
    };
    let mut from = None;
    let close = |d: &mut String, from: Option<usize>, to: usize| {
        if let (true, Some(from)) = (area, from) {
            let _ = write!(d, "V{height}H{from}Z");
        } else if from == Some(to) {
            // A single value between gaps would draw nothing.
            d.push_str("h.6");
        }
    };
    for (index, &value) in values.iter().enumerate() {
        let x = first_x + index;
        if !value.is_finite() {
            close(&mut d, from.take(), x.saturating_sub(1));
            continue;
        }
        let letter = if from.is_none() { 'M' } else { 'L' };
        from.get_or_insert(x);
        let _ = write!(d, "{letter}{x} {}", y(value));
    }
    close(&mut d, from, POINTS - 1);
    d
}

/// A spark on its own scale from 0. Without history there is none; where nothing happened, a baseline.
pub fn spark(values: &[f32], kind: Kind) -> Markup {
    if values.iter().all(|value| !value.is_finite()) {
        return html! {};
    }
    let max = max_of(values);
    let area = kind == Kind::Depth;
    let d = if max > 0.0 { path(values, max * SPARK_ROOM, HEIGHT, area) } else { "M0 20H59".to_owned() };
    html! {
        svg class=(kind.class()) viewBox="0 0 59 20" width="118" height="20" preserveAspectRatio="none" aria-hidden="true"
            data-max=(max * SPARK_ROOM) { path d=(d) {} }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_breaks_the_path() {
        let values = [0.0, 10.0, f32::NAN, 5.0];
        assert_eq!(path(&values, 10.0, 20.0, false), "M56 20L57 0M59 10h.6");
        assert_eq!(path(&values, 10.0, 20.0, true), "M56 20L57 0V20H56ZM59 10V20H59Z");
    }

    #[test]
    fn no_history_no_spark_and_all_zero_a_baseline() {
        assert_eq!(spark(&[], Kind::In).into_string(), "");
        assert_eq!(spark(&[f32::NAN; 60], Kind::In).into_string(), "");
        assert!(spark(&[0.0; 60], Kind::In).into_string().contains("M0 20H59"));
    }

    #[test]
    fn a_gap_at_the_beginning_is_drawn() {
        let mut values = [f32::NAN; POINTS];
        values[POINTS - 1] = 5.0;
        assert_eq!(path(&values, 10.0, 20.0, false), "M59 10h.6");
    }

    #[test]
    fn any_value_is_drawn_within_the_box() {
        let values = [f32::MAX, f32::INFINITY, -5.0, f32::MIN_POSITIVE, f32::NEG_INFINITY, 0.0];
        let d = path(&values, max_of(&values), HEIGHT, true);
        for number in d.split(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').filter(|n| !n.is_empty())
        {
            let value: f32 = number.parse().expect("a number");
            assert!((0.0..=59.0).contains(&value), "{d}");
        }
    }
}
