//! The pages of query results, and the links between them.
//!
//! Recorded: a page has 100 items by default, against the documentation; the links repeat the
//! client's parameters in its order and letter case, and append `pageSize` and `page` where they
//! are missing; escapes are lower-case up to release 12, which leaves parentheses bare, and
//! upper-case in 13. There is no total count.

use crate::{
    element::{Content, Element},
    options::{Generation, QueryQuirks},
    reply::RequestError,
    routes::Parameters,
    views::Views,
};

/// The default page size.
const DEFAULT_SIZE: usize = 100;

/// The page that a query asks for.
pub(crate) struct Paging {
    pub page: usize,
    pub size: usize,
    /// The client's parameters.
    written: Vec<(String, String)>,
}

impl Paging {
    /// The page that these parameters ask for.
    pub(crate) fn parse(
        parameters: &Parameters,
        quirks: QueryQuirks,
    ) -> Result<Self, RequestError> {
        let size = positive(parameters, "pagesize", DEFAULT_SIZE)?;
        Ok(Self {
            page: positive(parameters, "page", 1)?,
            size: size.min(quirks.page_size_limit),
            written: parameters.written().to_vec(),
        })
    }

    /// `PagingInfo`.
    pub(crate) fn info(&self, views: &Views, pages: usize) -> Element {
        let link = |rel: &str, page: usize| {
            let path = self.path_of(page, views.style.generation);
            Element::new("Link", Content::Absent).with("Rel", rel).with("Href", views.href(&path))
        };
        let mut links = vec![link("First", 1)];
        if self.page > 1 {
            links.push(link("Previous", self.page - 1));
        }
        if self.page < pages {
            links.push(link("Next", self.page + 1));
        }
        links.push(link("Last", pages.max(1)));
        let links = Element::new("Links", Content::Array(links));
        Element::new("PagingInfo", Content::Fields(vec![links]))
            .with("PageNum", number(self.page))
            .with("PageSize", number(self.size))
            .with("PagesCount", number(pages))
    }

    fn path_of(&self, page: usize, generation: Generation) -> String {
        let mut path = form_urlencoded::Serializer::for_suffix("query?".to_owned(), 6);
        let mut missing = vec![("pageSize", self.size), ("page", page)];
        for (name, value) in &self.written {
            let ours = missing.iter().position(|(ours, _)| name.eq_ignore_ascii_case(ours));
            match ours.map(|index| missing.remove(index)) {
                Some((_, number)) => path.append_pair(name, &number.to_string()),
                None => path.append_pair(name, value),
            };
        }
        for (name, number) in missing {
            path.append_pair(name, &number.to_string());
        }
        let path = path.finish();
        if generation == Generation::Version13 { path } else { older_escapes(&path) }
    }
}

/// Older releases write `%3d` where newer ones write `%3D`, and do not escape `(`, `)` and `!`.
fn older_escapes(path: &str) -> String {
    let mut parts = path.split('%');
    let mut older = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2.min(part.len()));
        match digits {
            "28" => older.push('('),
            "29" => older.push(')'),
            "21" => older.push('!'),
            _ => older = older + "%" + &digits.to_lowercase(),
        }
        older.push_str(rest);
    }
    older
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A positive number.
fn positive(parameters: &Parameters, name: &str, default: usize) -> Result<usize, RequestError> {
    match parameters.get(name).map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) if number > 0 => Ok(number),
        _ => Err(RequestError::bad("Pages and page sizes are positive numbers.")),
    }
}
