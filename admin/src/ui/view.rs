//! The state of a page, all of it in its address. Defaults are left out.

use super::links::{pairs, segment};
use crate::history::Range;

/// Rows on a page unless asked otherwise.
pub const PER_PAGE: usize = 100;
/// The most rows that a page shows.
pub const PER_PAGE_MAX: usize = 500;
/// Longest text of one value, bytes; the rest is cut off.
const VALUE_BYTES_MAX: usize = 256;

/// What a reader asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Text that names must contain.
    pub q: String,
    /// A filter by state; what the page does not know is all.
    pub state: String,
    /// Key of the column to sort by; empty is the page's own order.
    pub sort: String,
    /// The greatest first.
    pub descending: bool,
    /// From 1.
    pub page: usize,
    /// Rows on a page.
    pub per: usize,
    /// Of charts and sparks.
    pub range: Range,
    /// The audit entry whose result is shown on top.
    pub done: Option<u64>,
}

impl Default for View {
    fn default() -> Self {
        View {
            q: String::new(),
            state: String::new(),
            sort: String::new(),
            descending: false,
            page: 1,
            per: PER_PAGE,
            range: Range::Short,
            done: None,
        }
    }
}

fn cut(mut value: String) -> String {
    if value.len() > VALUE_BYTES_MAX {
        let mut end = VALUE_BYTES_MAX;
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        value.truncate(end);
    }
    value
}

impl View {
    /// Reads a query; what is not understood counts as not there.
    pub fn parse(query: &str) -> Self {
        let mut view = View::default();
        for (key, value) in pairs(query) {
            match key.as_str() {
                "q" => view.q = cut(value.trim().to_owned()),
                "state" => view.state = cut(value),
                "sort" => {
                    view.descending = value.starts_with('-');
                    view.sort = cut(value.trim_start_matches('-').to_owned());
                }
                "page" => view.page = value.parse().unwrap_or(1).max(1),
                "per" => view.per = value.parse().unwrap_or(PER_PAGE).clamp(1, PER_PAGE_MAX),
                "range" if value == "1h" => view.range = Range::Long,
                "done" => view.done = value.parse().ok(),
                _ => {}
            }
        }
        view
    }

    /// The query, beginning with `?`; empty if all is as by default.
    pub fn query(&self) -> String {
        let mut pairs = Vec::new();
        let mut push = |key: &str, value: &str| pairs.push(format!("{key}={}", segment(value)));
        if !self.q.is_empty() {
            push("q", &self.q);
        }
        if !self.state.is_empty() {
            push("state", &self.state);
        }
        if !self.sort.is_empty() {
            push("sort", &format!("{}{}", if self.descending { "-" } else { "" }, self.sort));
        }
        if self.page != 1 {
            push("page", &self.page.to_string());
        }
        if self.per != PER_PAGE {
            push("per", &self.per.to_string());
        }
        if self.range == Range::Long {
            push("range", "1h");
        }
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// The address of `path` with something changed. Whatever changes but the page begins at the first page again.
    pub fn with(&self, path: &str, change: impl FnOnce(&mut View)) -> String {
        let mut view = View { page: 1, done: None, ..self.clone() };
        change(&mut view);
        format!("{path}{}", view.query())
    }

    /// Whether a name contains what is looked for, whatever the case.
    pub fn finds(&self, names: &[&str]) -> bool {
        if self.q.is_empty() {
            return true;
        }
        let wanted = self.q.to_lowercase();
        let joined = names.join("/");
        joined.to_lowercase().contains(&wanted)
    }

    /// The column to sort by and its direction, given the page's own order.
    pub fn order<'a>(&'a self, own: &'a str, known: &[&str]) -> (&'a str, bool) {
        if known.contains(&self.sort.as_str()) {
            (&self.sort, self.descending)
        } else {
            (own.trim_start_matches('-'), own.starts_with('-'))
        }
    }

    /// The rows of this page, the number of the page (which may be less than asked for), and how many pages there are.
    pub fn cut<'a, T>(&self, rows: &'a [T]) -> (&'a [T], usize, usize) {
        let pages = rows.len().div_ceil(self.per).max(1);
        let page = self.page.min(pages);
        let from = (page - 1) * self.per;
        (&rows[from..rows.len().min(from + self.per)], page, pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_the_same_after_a_round_through_its_address() {
        let view = View {
            q: "a&b=ü".into(),
            state: "paused".into(),
            sort: "depth".into(),
            descending: true,
            page: 3,
            per: 50,
            range: Range::Long,
            done: None,
        };
        assert_eq!(View::parse(view.query().trim_start_matches('?')), view);
        assert_eq!(View::default().query(), "");
        assert_eq!(View::parse("nonsense=1&page=x&per=0&range=2d&sort="), View { per: 1, ..View::default() });
    }

    #[test]
    fn pages_are_cut_within_bounds() {
        let rows: Vec<usize> = (0..25).collect();
        let view = |page, per| View { page, per, ..View::default() };
        assert_eq!(view(3, 10).cut(&rows), (&rows[20..], 3, 3));
        assert_eq!(view(99, 10).cut(&rows), (&rows[20..], 3, 3));
        let none: &[usize] = &[];
        assert_eq!(view(1, 10).cut::<usize>(none), (none, 1, 1));
    }

    #[test]
    fn a_value_of_any_length_is_cut() {
        let view = View::parse(&format!("q={}", "%C3%A4".repeat(10_000)));
        assert!(view.q.len() <= VALUE_BYTES_MAX && view.q.chars().all(|c| c == 'ä'));
    }
}
