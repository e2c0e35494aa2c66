//! Tables for people. On a terminal that is too narrow for a row on one line, a row takes several lines, what
//! matters most on the first one, instead of being broken by the terminal inside a column.
//!
//! Crates for tables wrap the text of each column within it, which would break ids and make columns of a few
//! letters; this puts whole columns on further lines.

use textwrap::core::display_width;

use super::text::{clean, cut};
use crate::cli::terminal::lines;

/// Between two columns.
const GAP: usize = 2;

/// Before the further lines of a row.
const INDENT: usize = 2;

/// The width that a cell may always have: that of an id.
const LEAST_CELL: usize = 36;

/// Columns of a table.
pub(super) struct Table<const N: usize> {
    /// In the order in which they stand on one line.
    pub(super) heading: [&'static str; N],
    /// The numbers of the columns, the most important first: their order where one line is not enough.
    pub(super) by_importance: [usize; N],
}

impl<const N: usize> Table<N> {
    /// The rows below the heading, for this number of columns on the terminal; `None` has room for everything.
    pub(super) fn render(&self, rows: &[[String; N]], width: Option<usize>) -> String {
        let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| clean(cell))).collect();
        let widths = self.widths(&rows);
        let lines = self.lines(&widths, width);
        let heading = self.heading.map(str::to_owned);
        [&heading].into_iter().chain(&rows).fold(String::new(), |mut table, row| {
            write_row(&mut table, row, &lines, &widths, width);
            table
        })
    }

    /// The heading and the rows, each on one line, with the columns that have room on it. No cell takes more
    /// than a third of it.
    pub(super) fn first_lines(&self, rows: &[[String; N]], width: usize) -> Vec<String> {
        let most = (width / 3).max(LEAST_CELL);
        let short = |cell: &String| shortened(&clean(cell), most);
        let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(short)).collect();
        let widths = self.widths(&rows);
        let mut lines = self.lines(&widths, Some(width));
        lines.truncate(1);
        let heading = self.heading.map(str::to_owned);
        let line = |row| {
            let mut line = String::new();
            write_row(&mut line, row, &lines, &widths, None);
            line.trim_end().to_owned()
        };
        [&heading].into_iter().chain(&rows).map(line).collect()
    }

    /// How wide each column is.
    fn widths(&self, rows: &[[String; N]]) -> [usize; N] {
        let mut widths = self.heading.map(display_width);
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(display_width(cell));
            }
        }
        widths
    }

    /// Which columns stand on which line of a row.
    fn lines(&self, widths: &[usize; N], width: Option<usize>) -> Vec<Vec<usize>> {
        let one_line: Vec<_> = (0..N).collect();
        let Some(width) = width.filter(|width| taken(&one_line, widths) > *width) else {
            return vec![one_line];
        };
        let mut lines: Vec<Vec<usize>> = vec![Vec::new()];
        for column in self.by_importance {
            let indent = if lines.len() == 1 { 0 } else { INDENT };
            let line = lines.last_mut().expect("it begins with one");
            line.push(column);
            if line.len() > 1 && indent + taken(line, widths) > width {
                line.pop();
                lines.push(vec![column]);
            }
        }
        lines
    }
}

/// The text, or its beginning and an ellipsis.
fn shortened(text: &str, width: usize) -> String {
    if display_width(text) <= width { text.to_owned() } else { cut(text, width - 1) + "…" }
}

/// The number of columns of the terminal that these columns of the table take.
fn taken(line: &[usize], widths: &[usize]) -> usize {
    line.iter().map(|column| widths[*column] + GAP).sum::<usize>().saturating_sub(GAP)
}

fn write_row<const N: usize>(
    table: &mut String,
    row: &[String; N],
    places: &[Vec<usize>],
    widths: &[usize; N],
    width: Option<usize>,
) {
    for (number, place) in places.iter().enumerate() {
        let indent = if number == 0 { 0 } else { INDENT };
        let mut line = " ".repeat(indent);
        for column in place {
            let cell = &row[*column];
            line += cell;
            line += &" ".repeat(widths[*column] - display_width(cell) + GAP);
        }
        let line = line.trim_end();
        // A further line without a value says nothing.
        if number == 0 || !line.is_empty() {
            // Only a column that has a line of its own can be too long for it.
            *table += &lines(line, indent + INDENT, width).join("\n");
            table.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSIONS: Table<4> =
        Table { heading: ["ID", "STARTED", "RESULT", "JOB"], by_importance: [2, 3, 1, 0] };

    fn rendered(width: Option<usize>) -> String {
        let rows = [
            ["04f694ad", "20:00:02", "success", "Fileserver"],
            ["b6f1a9d2", "", "failed", "数据库"],
        ];
        SESSIONS.render(&rows.map(|row| row.map(str::to_owned)), width)
    }

    #[test]
    fn a_row_takes_one_line_if_it_fits() {
        let expected = "\
ID        STARTED   RESULT   JOB
04f694ad  20:00:02  success  Fileserver
b6f1a9d2            failed   数据库
";
        assert_eq!(rendered(None), expected);
        assert_eq!(rendered(Some(39)), expected);
    }

    #[test]
    fn a_row_that_does_not_fit_begins_with_what_matters_most() {
        let expected = "\
RESULT   JOB         STARTED
  ID
success  Fileserver  20:00:02
  04f694ad
failed   数据库
  b6f1a9d2
";
        assert_eq!(rendered(Some(38)), expected);
    }

    #[test]
    fn a_long_text_is_broken_between_words_on_a_line_of_its_own() {
        let table = Table { heading: ["VM", "REASON"], by_importance: [0, 1] };
        let reason = "Error: cannot open the disk of this machine";
        let rows = [["fs02".to_owned(), reason.to_owned()], ["fs03".to_owned(), String::new()]];
        let expected = "\
VM
  REASON
fs02
  Error: cannot open the disk of
    this machine
fs03
";
        assert_eq!(table.render(&rows, Some(34)), expected);
    }
}
