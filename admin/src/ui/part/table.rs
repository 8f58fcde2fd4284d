//! Tables: sorted by links, cut into pages, each row with a key.

use maud::{Markup, html};

use crate::number;
use crate::ui::view::View;

/// A column.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its key in `?sort=`; empty if one cannot sort by it.
    pub key: &'static str,
    /// Its head.
    pub title: &'static str,
    /// What it means, for the help page and for whoever points at the head.
    pub about: &'static str,
    /// Right-aligned, and first sorted with the greatest on top.
    pub number: bool,
    /// 1 is always shown, 2 from 700 px on, 3 from 1,100 px on.
    pub priority: u8,
}

impl Column {
    /// The classes of its cells.
    pub fn class(&self) -> &'static str {
        match (self.number, self.priority) {
            (true, 1) => "n",
            (true, 2) => "n p2",
            (true, _) => "n p3",
            (false, 1) => "",
            (false, 2) => "p2",
            (false, _) => "p3",
        }
    }
}

/// A table whose rows are made by `row`.
pub struct Table<'a> {
    /// What it shows, for whoever cannot see it.
    pub caption: &'a str,
    /// Its columns.
    pub columns: &'a [Column],
    /// Whether a column of check boxes comes first.
    pub checks: bool,
    /// The address without query.
    pub path: &'a str,
    /// The state of the page.
    pub view: &'a View,
    /// The page's own order: `-depth`.
    pub own_order: &'a str,
}

impl Table<'_> {
    /// Keys that one may sort by.
    pub fn sort_keys(columns: &[Column]) -> Vec<&'static str> {
        columns.iter().map(|column| column.key).filter(|key| !key.is_empty()).collect()
    }

    fn head(&self, column: &Column) -> Markup {
        let (key, descending) = self.view.order(self.own_order, &Self::sort_keys(self.columns));
        let sorted = !column.key.is_empty() && column.key == key;
        let direction = sorted.then_some(if descending { "descending" } else { "ascending" });
        // The first press sorts numbers from the greatest on, names from the least.
        let next = if sorted { !descending } else { column.number };
        let address = self.view.with(self.path, |view| {
            column.key.clone_into(&mut view.sort);
            view.descending = next;
        });
        html! {
            th scope="col" class=[Some(column.class()).filter(|class| !class.is_empty())] aria-sort=[direction]
                title=[Some(column.about).filter(|about| !about.is_empty())] {
                @if column.key.is_empty() { (column.title) }
                @else {
                    a href=(address) { (column.title)
                        @if let Some(direction) = direction {
                            span.sorted aria-hidden="true" { (if direction == "descending" { " ↓" } else { " ↑" }) }
                        }
                    }
                }
            }
        }
    }

    /// The whole table. An empty one says so in words.
    pub fn show(&self, rows: &[Markup], empty: &str) -> Markup {
        self.show_with_extra(rows, None, &html! {}, None, empty)
    }

    /// The same with a row of sums at the end, and with heads that are only known now before the last column.
    pub fn show_with_extra(
        &self,
        rows: &[Markup],
        total: Option<Markup>,
        extra: &Markup,
        last: Option<&Column>,
        empty: &str,
    ) -> Markup {
        if rows.is_empty() {
            return html! { p.empty { (empty) } };
        }
        html! {
            div.scroll tabindex="0" role="region" aria-label=(self.caption) {
                table data-live-table="" {
                    caption.hidden { (self.caption) }
                    thead { tr {
                        @if self.checks { th.check scope="col" { span.hidden { "Select" } } }
                        @for column in self.columns { (self.head(column)) }
                        (extra)
                        @if let Some(last) = last { (self.head(last)) }
                    } }
                    tbody { @for row in rows { (row) } }
                    @if let Some(total) = total { tfoot { tr { (total) } } }
                }
            }
        }
    }
}

/// A row: its key stays the same over ticks; its revision tells whether anything in it changed.
pub fn row(key: &str, cells: &Markup) -> Markup {
    let revision = format!("{:08x}", crc32fast::hash(cells.0.as_bytes()));
    html! { tr data-key=(key) data-rev=(revision) { (cells) } }
}

/// The box by which a row is chosen for an action on several.
pub fn check(object: &str, may: bool) -> Markup {
    html! { td.check {
        label { input type="checkbox" name="object" value=(object) form="bulk" disabled[!may]; span.hidden { "Select " (object) } }
    } }
}

/// Links to the pages of a list, and how many there are.
pub fn pager(
    view: &View,
    path: &str,
    shown: usize,
    all: usize,
    noun: &str,
    page: usize,
    pages: usize,
) -> Markup {
    let to = |page: usize| view.with(path, |view| view.page = page);
    let first = (page - 1) * view.per + 1;
    html! {
        nav.pager aria-label="Pages" {
            span {
                @if pages > 1 { (number::exact(first as u64)) "–" (number::exact((first + shown).saturating_sub(1) as u64)) " of " }
                (number::plural(all as u64, noun))
            }
            @if pages > 1 {
                @if page > 1 { a href=(to(page - 1)) rel="prev" { "‹ previous" } }
                span { "page " (page) " of " (pages) }
                @if page < pages { a href=(to(page + 1)) rel="next" { "next ›" } }
            }
        }
    }
}

/// The form by which a list is filtered. It keeps the sort order, and works without script.
pub fn filter(view: &View, path: &str, label: &str, states: &[(&str, &str, usize)]) -> Markup {
    html! {
        div.filter {
            form method="get" action=(path) role="search" aria-label=(label) {
                label { span.hidden { (label) } input type="search" name="q" value=(view.q) placeholder=(label) autocomplete="off"; }
                @if !view.state.is_empty() { input type="hidden" name="state" value=(view.state); }
                @if !view.sort.is_empty() {
                    input type="hidden" name="sort" value={ @if view.descending { "-" } (view.sort) };
                }
                button type="submit" { "Filter" }
            }
            @if !states.is_empty() {
                ul.chips data-live="" {
                    @for (key, title, count) in states {
                        li { a href=(view.with(path, |view| (*key).clone_into(&mut view.state)))
                            aria-current=[(view.state == *key).then_some("true")] {
                                (title) " " span.count { (number::count(*count as u64)) }
                        } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] = [
        Column { key: "name", title: "Name", about: "", number: false, priority: 1 },
        Column { key: "depth", title: "Depth", about: "", number: true, priority: 1 },
    ];

    fn table(view: &View) -> String {
        let table =
            Table { caption: "x", columns: &COLUMNS, checks: false, path: "/p", view, own_order: "-depth" };
        table.show(&[row("a", &html! { td { "1" } })], "none").into_string()
    }

    #[test]
    fn only_the_sorted_column_says_so_and_its_link_turns_the_order() {
        let markup = table(&View::default());
        assert_eq!(markup.matches("aria-sort").count(), 1);
        assert!(markup.contains(r#"aria-sort="descending""#) && markup.contains(r#"href="/p?sort=depth""#));
        assert!(markup.contains(r#"href="/p?sort=name""#));
        let markup = table(&View { sort: "nonsense".into(), ..View::default() });
        assert!(markup.contains(r#"aria-sort="descending""#), "an unknown column is the page's own order");
    }

    #[test]
    fn a_row_that_did_not_change_has_the_same_revision() {
        let cells = |n: u8| html! { td { (n) } };
        assert_eq!(row("k", &cells(1)).into_string(), row("k", &cells(1)).into_string());
        assert_ne!(row("k", &cells(1)).into_string(), row("k", &cells(2)).into_string());
    }

    #[test]
    fn an_empty_table_says_so() {
        let view = View::default();
        let table =
            Table { caption: "x", columns: &COLUMNS, checks: false, path: "/p", view: &view, own_order: "" };
        assert_eq!(table.show(&[], "No topics.").into_string(), r#"<p class="empty">No topics.</p>"#);
    }
}
