//! Figures in cells.

use maud::{Markup, html};

use crate::number;

/// A count; what was shortened stands in full in the title.
pub fn count(value: u64) -> Markup {
    let text = number::count(value);
    let exact = number::exact(value);
    html! { @if text == exact { (text) } @else { span title=(exact) { (text) } } }
}

/// A rate, or `–` if it is not known.
pub fn rate(value: Option<f32>) -> Markup {
    html! { @match value.filter(|value| value.is_finite()) {
        Some(value) => { (number::rate(value)) }
        None => { (unknown()) }
    } }
}

/// Not known.
pub fn unknown() -> Markup {
    html! { span.unknown title="not known" { "–" } }
}

/// How long ago, with the moment in the title. `now_ms` and `at_ms` are Unix milliseconds.
pub fn ago(now_ms: i64, at_ms: i64) -> Markup {
    let seconds = u64::try_from(now_ms.saturating_sub(at_ms) / 1_000).unwrap_or(0);
    html! { time datetime=(iso(at_ms)) title=(iso(at_ms)) { (number::duration(seconds)) } }
}

/// A moment as `2026-11-24T18:33:18Z`.
pub fn iso(at_ms: i64) -> String {
    let seconds = at_ms.div_euclid(1_000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date, after Howard Hinnant's "chrono-compatible low-level date algorithms".
    let z = days.saturating_add(719_468);
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day % 3_600 / 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The time of day of a moment, UTC.
pub fn clock(at_ms: i64) -> String {
    iso(at_ms).get(11..19).unwrap_or_default().to_owned()
}

/// A text that somebody else chose, with control and direction characters made visible, and at most 200 characters of it.
pub fn foreign(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut out: String = text
        .chars()
        .take(LONGEST)
        .map(|c| match c {
            '\n' | '\t' => ' ',
            // The pictures of the control characters stand in the same order as they.
            '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('␦'),
            '\u{7f}' => '␡',
            '\u{80}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => '␦',
            c => c,
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(1_795_545_198_000), "2026-11-24T18:33:18Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(iso(-1_000), "1969-12-31T23:59:59Z");
        let _ = (iso(i64::MAX), iso(i64::MIN), clock(i64::MIN));
        assert_eq!(clock(0), "00:00:00");
    }

    #[test]
    fn foreign_text_shows_what_it_hides() {
        assert_eq!(foreign("a\u{202e}b\u{1b}c\0"), "a␦b␛c␀");
        assert_eq!(foreign(&"x".repeat(500)).chars().count(), 201);
    }

    #[test]
    fn a_clock_set_back_gives_no_negative_age() {
        assert!(ago(0, 10_000).into_string().contains("0 s"));
    }
}
