//! Tables for people: aligned columns, cut to the width of a terminal.

use std::fmt::Write as _;

use rustix::termios::tcgetwinsize;

/// Narrower than this a column is never cut.
const NARROWEST: usize = 12;

/// Columns of a table.
#[derive(Debug)]
pub struct Table<const N: usize> {
    titles: [&'static str; N],
    /// Numbers stand at the right.
    right: [bool; N],
    /// The column that gives way when a line is too long.
    elastic: usize,
    widths: [usize; N],
}

impl<const N: usize> Table<N> {
    /// A table with these titles; `right` says which columns hold numbers.
    pub const fn new(titles: [&'static str; N], right: [bool; N], elastic: usize) -> Self {
        Self { titles, right, elastic, widths: [0; N] }
    }

    /// Fits the columns to these rows, and all to `screen` columns where there is one. What is in the first column is never cut: a
    /// name that leaves no room for the rest gets a line to itself, and makes the column no wider for the others.
    pub fn fit<'a>(&mut self, rows: impl Iterator<Item = &'a [String; N]>, screen: Option<usize>) {
        self.widths = self.titles.map(width);
        for row in rows {
            for (column, cell) in self.widths.iter_mut().zip(row) {
                *column = width(cell).max(*column);
            }
        }
        let Some(screen) = screen else { return };
        self.give_way(self.elastic, screen);
        self.give_way(0, screen);
    }

    fn give_way(&mut self, column: usize, screen: usize) {
        let total: usize = self.widths.iter().sum::<usize>() + 2 * (N - 1);
        let column = &mut self.widths[column];
        *column = column.saturating_sub(total.saturating_sub(screen)).max(NARROWEST.min(*column));
    }

    /// The line of titles.
    pub fn head(&self) -> String {
        self.line(&self.titles.map(str::to_owned))
    }

    /// A row as a line, without blanks at its end.
    pub fn line(&self, row: &[String; N]) -> String {
        let mut line = String::new();
        if width(&row[0]) > self.widths[0] {
            line.push_str(&row[0]);
            line.push('\n');
        }
        for (i, cell) in row.iter().enumerate() {
            let cell = if i == 0 && !line.is_empty() { "" } else { cell };
            let (space, cell) =
                (self.widths[i], if i == self.elastic { cut(cell, self.widths[i]) } else { cell.to_owned() });
            let blanks = " ".repeat(space.saturating_sub(width(&cell)));
            let gap = if i == 0 { "" } else { "  " };
            // Writing to a String does not fail.
            let _ok = match self.right[i] {
                true => write!(line, "{gap}{blanks}{cell}"),
                false => write!(line, "{gap}{cell}{blanks}"),
            };
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    }
}

/// Columns that a text takes, one for each character.
pub fn width(text: &str) -> usize {
    text.chars().count()
}

/// A text of at most so many columns; an ellipsis stands for the rest.
pub fn cut(text: &str, columns: usize) -> String {
    match width(text) > columns {
        true => text.chars().take(columns.saturating_sub(1)).chain(['\u{2026}']).collect(),
        false => text.to_owned(),
    }
}

/// The columns of the terminal that standard output is, where it is one.
pub fn screen() -> Option<usize> {
    use std::io::IsTerminal;
    let out = std::io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let columns = tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_col));
    Some(if columns == 0 { 80 } else { columns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_one_gives_way() {
        let mut table = Table::new(["KEY", "HOLDER", "SIZE"], [false, false, true], 1);
        let rows =
            [["a", "somebody with a long name", "5"], ["backup/db", "", "1234"]].map(|row| row.map(str::to_owned));
        table.fit(rows.iter(), None);
        assert_eq!(table.head(), "KEY        HOLDER                     SIZE\n");
        assert_eq!(table.line(&rows[0]), "a          somebody with a long name     5\n");
        assert_eq!(table.line(&rows[1]), "backup/db                             1234\n");
        table.fit(rows.iter(), Some(32));
        assert_eq!(table.line(&rows[0]), "a          somebody with \u{2026}     5\n");
        table.fit(rows.iter(), Some(1));
        assert_eq!(table.line(&rows[0]), "a          somebody wi\u{2026}     5\n");
    }

    #[test]
    fn a_long_name_has_a_line_to_itself_where_there_is_no_room() {
        let mut table = Table::new(["KEY", "HOLDER", "SIZE"], [false, false, true], 1);
        let long = "k".repeat(40);
        let rows = [["a", "somebody else", "5"], [&*long, "me", "1234"]].map(|row| row.map(str::to_owned));
        table.fit(rows.iter(), Some(40));
        assert_eq!(table.head(), format!("KEY{}HOLDER        SIZE\n", " ".repeat(19)));
        assert_eq!(table.line(&rows[0]), format!("a{}somebody el\u{2026}     5\n", " ".repeat(21)));
        assert_eq!(table.line(&rows[1]), format!("{long}\n{}me            1234\n", " ".repeat(22)));
        table.fit(rows.iter(), None);
        assert_eq!(table.line(&rows[1]), format!("{long}  me             1234\n"), "elsewhere a row is a line");
    }
}
