//! The query service, for replica sessions and without filters.

use std::cmp::Reverse;

use hyper::StatusCode;

use super::{
    element::{Content, Element},
    reply::Refusal,
    routes::Parameters,
    session::Session,
    views::Views,
};

/// Items on a page unless told otherwise.
const DEFAULT_PAGE_SIZE: usize = 100;

/// What a query asks for.
struct Query {
    entities: bool,
    sort: Option<(Sort, String)>,
    page: usize,
    page_size: usize,
}

#[derive(Clone, Copy)]
enum Sort {
    Ascending,
    Descending,
}

/// One page of `sessions`. Unlike the plain lists a query reaches back without limit.
pub(super) fn answer(
    views: &Views,
    mut sessions: Vec<Session>,
    parameters: &Parameters,
) -> Result<Element, Refusal> {
    let query = Query::read(parameters)?;
    match query.sort {
        Some((Sort::Ascending, _)) => sessions.sort_by_key(|session| session.created),
        Some((Sort::Descending, _)) => sessions.sort_by_key(|session| Reverse(session.created)),
        None => {}
    }
    let pages = sessions.len().div_ceil(query.page_size).max(1);
    let page = sessions
        .iter()
        .skip((query.page - 1).saturating_mul(query.page_size))
        .take(query.page_size);
    let found = if query.entities {
        let sessions = page.map(|session| views.session(session)).collect();
        let list = Content::List("ReplicaJobSessions", sessions);
        let list = Element::new("ReplicaJobSessions", list);
        Element::new("Entities", Content::Fields(vec![list]))
    } else {
        let references = page
            .map(|session| views.session_reference("Ref", session))
            .collect();
        Element::new("Refs", Content::List("Refs", references))
    };
    let fields = vec![found, query.paging_info(views, pages)];
    Ok(Element::new("QueryResult", Content::Fields(fields)))
}

impl Query {
    fn read(parameters: &Parameters) -> Result<Self, Refusal> {
        if parameters.get("filter").is_some() {
            return Err(not_implemented("Filters are not supported."));
        }
        if parameters.is("type", "ReplicaTaskSession") {
            return Err(not_implemented(
                "Queries for task sessions are not supported.",
            ));
        }
        if !parameters.is("type", "ReplicaJobSession") {
            return Err(bad_request("The query type is missing or unknown."));
        }
        let sort = match (parameters.get("sortasc"), parameters.get("sortdesc")) {
            (None, None) => None,
            (Some(property), None) => Some((Sort::Ascending, property.to_owned())),
            (None, Some(property)) => Some((Sort::Descending, property.to_owned())),
            _ => return Err(bad_request("Only one sorting order can be given.")),
        };
        if let Some((_, property)) = &sort
            && !property.eq_ignore_ascii_case("CreationTime")
        {
            return Err(not_implemented(
                "Results can be sorted by CreationTime only.",
            ));
        }
        Ok(Self {
            entities: parameters.is("format", "Entities"),
            sort,
            page: positive(parameters, "page", 1)?,
            page_size: positive(parameters, "pagesize", DEFAULT_PAGE_SIZE)?,
        })
    }

    /// `PagingInfo`. There is always a first page, even if nothing is on it, and no total count.
    fn paging_info(&self, views: &Views, pages: usize) -> Element {
        let link = |rel: &str, page: usize| {
            Element::new("Link", Content::Absent)
                .with("Rel", rel)
                .with("Href", views.href(&self.path_of_page(page)))
        };
        let mut links = vec![link("First", 1)];
        if self.page > 1 {
            links.push(link("Previous", self.page - 1));
        }
        if self.page < pages {
            links.push(link("Next", self.page + 1));
        }
        links.push(link("Last", pages));
        let links = Element::new("Links", Content::Array(links));
        Element::new("PagingInfo", Content::Fields(vec![links]))
            .with("PageNum", self.page as u64)
            .with("PageSize", self.page_size as u64)
            .with("PagesCount", pages as u64)
    }

    fn path_of_page(&self, page: usize) -> String {
        let mut path = form_urlencoded::Serializer::for_suffix("query?".to_owned(), 6);
        path.append_pair("type", "ReplicaJobSession");
        if self.entities {
            path.append_pair("format", "Entities");
        }
        match &self.sort {
            Some((Sort::Ascending, property)) => path.append_pair("sortAsc", property),
            Some((Sort::Descending, property)) => path.append_pair("sortDesc", property),
            None => &mut path,
        };
        path.append_pair("pageSize", &self.page_size.to_string());
        path.append_pair("page", &page.to_string());
        path.finish()
    }
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

fn not_implemented(message: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, message)
}
