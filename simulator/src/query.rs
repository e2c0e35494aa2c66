//! The query service: filters, sorts and pages sessions or tasks.
//!
//! Parameters and the missing total count are confirmed by the vendor's documentation. That a page
//! has 100 items by default is recorded from release 12 and older, against the documentation. The
//! page links have the parameters in a fixed order; recorded servers repeat the client's order.

use std::cmp::Reverse;

use hyper::StatusCode;

use crate::{
    element::{Content, Element},
    filter::Filter,
    options::{Generation, QueryQuirks},
    properties::{self, OF_SESSIONS, OF_TASKS, Property},
    reply::RequestError,
    routes::Parameters,
    session::{Session, Task},
    views::Views,
};

/// The default page size.
const DEFAULT_PAGE_SIZE: usize = 100;

/// A query, as its parameters state it.
struct Query<T: 'static> {
    r#type: &'static str,
    entities: bool,
    filter: Option<(String, Filter)>,
    sort: Option<(Sort, String, &'static Property<T>)>,
    page: usize,
    page_size: usize,
}

#[derive(Clone, Copy)]
enum Sort {
    Ascending,
    Descending,
}

/// What can be queried: a type, its list and its properties.
struct Target<T: 'static> {
    r#type: &'static str,
    list: &'static str,
    properties: &'static [Property<T>],
    entity: fn(&Views, &T) -> Element,
    reference: fn(&Views, &T) -> Element,
}

const SESSIONS: Target<Session> = Target {
    r#type: "ReplicaJobSession",
    list: "ReplicaJobSessions",
    properties: OF_SESSIONS,
    entity: Views::session,
    reference: |views, session| views.session_reference("Ref", session),
};

const TASKS: Target<(Session, Task)> = Target {
    r#type: "ReplicaTaskSession",
    list: "ReplicaTaskSessions",
    properties: OF_TASKS,
    entity: |views, (session, task)| views.task(session, task),
    reference: |views, (session, task)| views.task_reference("Ref", session, task),
};

/// One page of these sessions, or of their tasks. Unlike plain lists, queries have no limit of age.
pub(crate) fn answer(
    views: &Views,
    quirks: QueryQuirks,
    sessions: Vec<Session>,
    parameters: &Parameters,
) -> Result<Element, RequestError> {
    if parameters.is("type", SESSIONS.r#type) {
        return page(&SESSIONS, views, quirks, sessions, parameters);
    }
    if !parameters.is("type", TASKS.r#type) {
        return Err(bad_request("The query type is missing or unknown."));
    }
    let tasks = sessions.into_iter().flat_map(|session| {
        let tasks = session.tasks.clone();
        tasks.into_iter().map(move |task| (session.clone(), task))
    });
    page(&TASKS, views, quirks, tasks.collect(), parameters)
}

fn page<T>(
    target: &Target<T>,
    views: &Views,
    quirks: QueryQuirks,
    rows: Vec<T>,
    parameters: &Parameters,
) -> Result<Element, RequestError> {
    let query = Query::parse(target, parameters, quirks)?;
    let rows = query.select(target.properties, views, rows)?;
    let pages = rows.len().div_ceil(query.page_size).max(1);
    if query.page > pages && quirks.past_the_end_refused {
        return Err(bad_request("There is no such page."));
    }
    let start = (query.page - 1).saturating_mul(query.page_size);
    let page = rows.iter().skip(start).take(query.page_size);
    let mut fields = Vec::new();
    if page.len() > 0 || !quirks.no_container_when_empty {
        fields.push(if query.entities {
            let items = page.map(|row| (target.entity)(views, row)).collect();
            let list = Element::new(target.list, Content::List(target.list, items));
            Element::new("Entities", Content::Fields(vec![list]))
        } else {
            let items = page.map(|row| (target.reference)(views, row)).collect();
            Element::new("Refs", Content::List("Refs", items))
        });
    }
    let reported_pages = if rows.is_empty() && quirks.no_container_when_empty { 0 } else { pages };
    fields.push(query.paging_info(views, reported_pages));
    Ok(Element::new("QueryResult", Content::Fields(fields)))
}

impl<T> Query<T> {
    fn parse(
        target: &Target<T>,
        parameters: &Parameters,
        quirks: QueryQuirks,
    ) -> Result<Self, RequestError> {
        let filter = parameters.get("filter").filter(|text| !text.is_empty()).map(|text| {
            Filter::parse(text)
                .map(|filter| (text.to_owned(), filter))
                .map_err(|why| bad_request(&format!("Malformed filter: {why}.")))
        });
        let order = match (parameters.get("sortasc"), parameters.get("sortdesc")) {
            (None, None) => None,
            (Some(property), None) => Some((Sort::Ascending, property)),
            (None, Some(property)) => Some((Sort::Descending, property)),
            _ => return Err(bad_request("Only one sorting order can be given.")),
        };
        let sort = order.map(|(sort, name)| {
            properties::find(target.properties, name)
                .map(|property| (sort, name.to_owned(), property))
                .map_err(|why| bad_request(&why))
        });
        let page_size = positive(parameters, "pagesize", DEFAULT_PAGE_SIZE)?;
        Ok(Self {
            r#type: target.r#type,
            entities: parameters.is("format", "Entities"),
            filter: filter.transpose()?,
            sort: sort.transpose()?,
            page: positive(parameters, "page", 1)?,
            page_size: page_size.min(quirks.page_size_limit),
        })
    }

    /// The rows that match the filter, sorted.
    fn select(
        &self,
        properties: &'static [Property<T>],
        views: &Views,
        rows: Vec<T>,
    ) -> Result<Vec<T>, RequestError> {
        let mut found = Vec::new();
        for row in rows {
            let matches = match &self.filter {
                None => true,
                Some((_, filter)) => filter
                    .holds(&mut |comparison| properties::holds(properties, comparison, views, &row))
                    .map_err(|why| bad_request(&why))?,
            };
            if matches {
                found.push(row);
            }
        }
        if let Some((sort, _, property)) = &self.sort {
            let value = |row: &T| (property.value)(views, row);
            match sort {
                Sort::Ascending => found.sort_by_key(value),
                Sort::Descending => found.sort_by_key(|row| Reverse(value(row))),
            }
        }
        Ok(found)
    }

    /// `PagingInfo`, without a total count.
    fn paging_info(&self, views: &Views, pages: usize) -> Element {
        let link = |rel: &str, page: usize| {
            let path = self.path_of_page(page, views.style.generation);
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
            .with("PageSize", number(self.page_size))
            .with("PagesCount", number(pages))
    }

    fn path_of_page(&self, page: usize, generation: Generation) -> String {
        let mut path = form_urlencoded::Serializer::for_suffix("query?".to_owned(), 6);
        path.append_pair("type", self.r#type);
        if self.entities {
            path.append_pair("format", "Entities");
        }
        if let Some((text, _)) = &self.filter {
            path.append_pair("filter", text);
        }
        match &self.sort {
            Some((Sort::Ascending, property, _)) => path.append_pair("sortAsc", property),
            Some((Sort::Descending, property, _)) => path.append_pair("sortDesc", property),
            None => &mut path,
        };
        path.append_pair("pageSize", &self.page_size.to_string());
        path.append_pair("page", &page.to_string());
        let path = path.finish();
        match generation {
            Generation::Version12 => lower_case_escapes(&path),
            Generation::Version13 => path,
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Older releases write `%3d` where newer ones write `%3D`.
fn lower_case_escapes(path: &str) -> String {
    let mut parts = path.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2.min(part.len()));
        lower = lower + "%" + &digits.to_lowercase() + rest;
    }
    lower
}

/// A positive number.
fn positive(parameters: &Parameters, name: &str, default: usize) -> Result<usize, RequestError> {
    match parameters.get(name).map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) if number > 0 => Ok(number),
        _ => Err(bad_request("Pages and page sizes are positive numbers.")),
    }
}

fn bad_request(message: &str) -> RequestError {
    RequestError::new(StatusCode::BAD_REQUEST, message)
}
