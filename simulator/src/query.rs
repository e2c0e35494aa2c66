//! The query service.

use std::cmp::Reverse;

use hyper::StatusCode;

use super::{
    element::{Content, Element},
    filter::Filter,
    options::{Generation, QueryHabits},
    properties::{self, OF_SESSIONS, OF_TASKS, Property},
    reply::Refusal,
    routes::Parameters,
    session::{Session, Task},
    views::Views,
};

/// Items on a page unless told otherwise.
const DEFAULT_PAGE_SIZE: usize = 100;

/// What a query asks for.
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

/// What a query can be for.
struct Kind<T: 'static> {
    r#type: &'static str,
    list: &'static str,
    properties: &'static [Property<T>],
    entity: fn(&Views, &T) -> Element,
    reference: fn(&Views, &T) -> Element,
}

const SESSIONS: Kind<Session> = Kind {
    r#type: "ReplicaJobSession",
    list: "ReplicaJobSessions",
    properties: OF_SESSIONS,
    entity: Views::session,
    reference: |views, session| views.session_reference("Ref", session),
};

const TASKS: Kind<(Session, Task)> = Kind {
    r#type: "ReplicaTaskSession",
    list: "ReplicaTaskSessions",
    properties: OF_TASKS,
    entity: |views, (session, task)| views.task(session, task),
    reference: |views, (session, task)| views.task_reference("Ref", session, task),
};

/// One page of what `sessions` hold. Unlike the plain lists a query reaches back without limit.
pub(super) fn answer(
    views: &Views,
    habits: QueryHabits,
    sessions: Vec<Session>,
    parameters: &Parameters,
) -> Result<Element, Refusal> {
    if parameters.is("type", SESSIONS.r#type) {
        return page(&SESSIONS, views, habits, sessions, parameters);
    }
    if !parameters.is("type", TASKS.r#type) {
        return Err(bad_request("The query type is missing or unknown."));
    }
    let tasks = sessions.into_iter().flat_map(|session| {
        let tasks = session.tasks.clone();
        tasks.into_iter().map(move |task| (session.clone(), task))
    });
    page(&TASKS, views, habits, tasks.collect(), parameters)
}

fn page<T>(
    kind: &Kind<T>,
    views: &Views,
    habits: QueryHabits,
    rows: Vec<T>,
    parameters: &Parameters,
) -> Result<Element, Refusal> {
    let query = Query::read(kind, parameters, habits)?;
    let rows = query.found(kind.properties, views, rows)?;
    let pages = rows.len().div_ceil(query.page_size).max(1);
    if query.page > pages && habits.past_the_end_refused {
        return Err(bad_request("There is no such page."));
    }
    let start = (query.page - 1).saturating_mul(query.page_size);
    let page = rows.iter().skip(start).take(query.page_size);
    let (container, items): (_, Vec<_>) = if query.entities {
        (
            "Entities",
            page.map(|row| (kind.entity)(views, row)).collect(),
        )
    } else {
        (
            "Refs",
            page.map(|row| (kind.reference)(views, row)).collect(),
        )
    };
    let mut fields = Vec::new();
    if items.is_empty() && habits.no_container_when_empty {
        // Nothing but the paging.
    } else if query.entities {
        let list = Element::new(kind.list, Content::List(kind.list, items));
        fields.push(Element::new(container, Content::Fields(vec![list])));
    } else {
        fields.push(Element::new(container, Content::List("Refs", items)));
    }
    let pages = if rows.is_empty() && habits.no_container_when_empty {
        0
    } else {
        pages
    };
    fields.push(query.paging_info(views, pages));
    Ok(Element::new("QueryResult", Content::Fields(fields)))
}

impl<T> Query<T> {
    fn read(kind: &Kind<T>, parameters: &Parameters, habits: QueryHabits) -> Result<Self, Refusal> {
        let filter = parameters.get("filter").filter(|text| !text.is_empty());
        let filter = filter.map(|text| {
            let filter = Filter::parse(text);
            let filter = filter.map_err(|why| bad_request(&format!("Malformed filter: {why}.")))?;
            Ok((text.to_owned(), filter))
        });
        let sort = match (parameters.get("sortasc"), parameters.get("sortdesc")) {
            (None, None) => None,
            (Some(property), None) => Some((Sort::Ascending, property)),
            (None, Some(property)) => Some((Sort::Descending, property)),
            _ => return Err(bad_request("Only one sorting order can be given.")),
        };
        let sort = sort.map(|(sort, name)| {
            let property = properties::find(kind.properties, name);
            let property = property.map_err(|why| bad_request(&why))?;
            Ok((sort, name.to_owned(), property))
        });
        let page_size = positive(parameters, "pagesize", DEFAULT_PAGE_SIZE)?;
        Ok(Self {
            r#type: kind.r#type,
            entities: parameters.is("format", "Entities"),
            filter: filter.transpose()?,
            sort: sort.transpose()?,
            page: positive(parameters, "page", 1)?,
            page_size: page_size.min(habits.page_size_limit),
        })
    }

    /// The rows that the filter selects, sorted.
    fn found(
        &self,
        properties: &'static [Property<T>],
        views: &Views,
        rows: Vec<T>,
    ) -> Result<Vec<T>, Refusal> {
        let mut found = Vec::new();
        for row in rows {
            let selected = self.filter.as_ref().map(|(_, filter)| {
                filter
                    .holds(&mut |comparison| properties::holds(properties, comparison, views, &row))
            });
            if selected
                .unwrap_or(Ok(true))
                .map_err(|why| bad_request(&why))?
            {
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
            Element::new("Link", Content::Absent)
                .with("Rel", rel)
                .with("Href", views.href(&path))
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

/// A parameter that counts from one.
fn positive(parameters: &Parameters, name: &str, default: usize) -> Result<usize, Refusal> {
    match parameters.get(name).map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) if number > 0 => Ok(number),
        _ => Err(bad_request("Pages and page sizes are positive numbers.")),
    }
}

fn bad_request(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, message)
}
