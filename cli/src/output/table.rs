//! Tables without lines, which are easy to read and to cut.

use super::escape;
use comfy_table::{Cell, ContentArrangement, Table, presets};
use std::fmt;

/// A table under construction. Every cell is escaped.
pub struct Grid(Table);

impl Grid {
    pub(super) fn new(header: &[&str], width: Option<u16>) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(header.iter().map(|text| Cell::new(text.to_uppercase())));
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        match width {
            Some(width) => table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        Self(table)
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0
            .add_row(cells.iter().map(|cell| Cell::new(escape(cell))));
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.trim_fmt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(width: Option<u16>) -> String {
        let mut grid = Grid::new(&["name", "zone"], width);
        grid.row(["db-1".to_owned(), "a".to_owned()]);
        grid.row(["a-long-name\u{1b}[2J".to_owned(), "-".to_owned()]);
        grid.to_string()
    }

    #[test]
    fn columns_are_aligned_and_cells_escaped() {
        let shown = "\
NAME                  ZONE
db-1                  a
a-long-name\\u{1b}[2J  -";
        assert_eq!(grid(None), shown);
    }

    #[test]
    fn a_narrow_terminal_is_respected() {
        for line in grid(Some(20)).lines() {
            assert!(line.chars().count() <= 20, "{line:?}");
        }
    }
}
