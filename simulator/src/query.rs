//! The query service: filters, sorts and pages sessions or tasks.
//!
//! The parameters are confirmed by the vendor's documentation. The results of other kinds of
//! resources are empty.

use std::cmp::Reverse;

use crate::{
    element::{Content, Element},
    filter::Filter,
    kinds::Kind,
    options::QueryQuirks,
    paging::Paging,
    properties::{self, OF_SESSIONS, OF_TASKS, Property},
    reply::RequestError,
    routes::Parameters,
    session::{Session, Task},
    views::Views,
};

/// A query, as its parameters state it.
struct Query<T: 'static> {
    entities: bool,
    filter: Option<Filter>,
    sort: Option<(Sort, &'static Property<T>)>,
    paging: Paging,
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
        let kind = parameters.get("type").and_then(Kind::named);
        let kind = kind.ok_or_else(|| bad_request("The query type is missing or unknown."))?;
        return nothing(kind, views, quirks, parameters);
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
    let paging = &query.paging;
    let pages = rows.len().div_ceil(paging.size).max(1);
    if paging.page > pages && quirks.past_the_end_refused {
        return Err(bad_request("There is no such page."));
    }
    let start = (paging.page - 1).saturating_mul(paging.size);
    let page = rows.iter().skip(start).take(paging.size);
    let view = if query.entities { target.entity } else { target.reference };
    let items: Vec<_> = page.map(|row| view(views, row)).collect();
    let reported_pages = if rows.is_empty() && quirks.no_container_when_empty { 0 } else { pages };
    let container = (!items.is_empty() || !quirks.no_container_when_empty)
        .then(|| container(query.entities.then_some(target.list), items));
    Ok(result(container, paging.info(views, reported_pages)))
}

/// The result for a kind of which there are no resources. Its properties are not known here, so
/// that a filter is parsed and no more.
fn nothing(
    kind: &Kind,
    views: &Views,
    quirks: QueryQuirks,
    parameters: &Parameters,
) -> Result<Element, RequestError> {
    filter(parameters)?;
    let paging = Paging::parse(parameters, quirks)?;
    let entities = parameters.is("format", "Entities");
    let container = container(entities.then_some(kind.list), Vec::new());
    Ok(result(Some(container), paging.info(views, 1)))
}

/// The element around the items: of this list of entities, or of references.
fn container(entities: Option<&'static str>, items: Vec<Element>) -> Element {
    match entities {
        Some(list) => {
            let list = Element::new(list, Content::List(list, items));
            Element::new("Entities", Content::Fields(vec![list]))
        }
        None => Element::new("Refs", Content::List("Refs", items)),
    }
}

fn result(container: Option<Element>, paging: Element) -> Element {
    Element::new("QueryResult", Content::Fields(container.into_iter().chain([paging]).collect()))
}

impl<T> Query<T> {
    fn parse(
        target: &Target<T>,
        parameters: &Parameters,
        quirks: QueryQuirks,
    ) -> Result<Self, RequestError> {
        let filter = filter(parameters)?;
        let order = match (parameters.get("sortasc"), parameters.get("sortdesc")) {
            (None, None) => None,
            (Some(property), None) => Some((Sort::Ascending, property)),
            (None, Some(property)) => Some((Sort::Descending, property)),
            _ => return Err(bad_request("Only one sorting order can be given.")),
        };
        let sort = order.map(|(sort, name)| {
            properties::find(target.properties, name)
                .map(|property| (sort, property))
                .map_err(|why| bad_request(&why))
        });
        Ok(Self {
            entities: parameters.is("format", "Entities"),
            filter,
            sort: sort.transpose()?,
            paging: Paging::parse(parameters, quirks)?,
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
                Some(filter) => filter
                    .holds(&mut |comparison| properties::holds(properties, comparison, views, &row))
                    .map_err(|why| bad_request(&why))?,
            };
            if matches {
                found.push(row);
            }
        }
        if let Some((sort, property)) = &self.sort {
            let value = |row: &T| (property.value)(views, row);
            match sort {
                Sort::Ascending => found.sort_by_key(value),
                Sort::Descending => found.sort_by_key(|row| Reverse(value(row))),
            }
        }
        Ok(found)
    }
}

/// The filter, if there is one.
fn filter(parameters: &Parameters) -> Result<Option<Filter>, RequestError> {
    let text = parameters.get("filter").filter(|text| !text.is_empty());
    let filter = text.map(|text| {
        Filter::parse(text).map_err(|why| bad_request(&format!("Malformed filter: {why}.")))
    });
    filter.transpose()
}

fn bad_request(message: &str) -> RequestError {
    RequestError::bad(message)
}
