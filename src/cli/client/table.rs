//! Aligned columns.

use std::fmt::Write as _;

use super::render::clean;

/// Rows under a heading, each column as wide as its widest cell. The last one is not filled up.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| clean(cell)))
        .collect();
    let mut widths = heading.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    let mut line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            write!(line, "{cell:<width$}  ").expect("a String takes everything");
        }
        writeln!(table, "{}", line.trim_end()).expect("a String takes everything");
    };
    line(heading);
    for row in &rows {
        line(row.each_ref().map(String::as_str));
    }
    table
}
