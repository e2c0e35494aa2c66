//! Builds request targets for EM's query service.

use url::form_urlencoded::Serializer;

use crate::enterprise_manager::model::View;

/// The order of a list, by time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Latest first.
    NewestFirst,
    /// Earliest first.
    OldestFirst,
}

/// A request for one page of the query service.
pub(crate) struct Query {
    /// EM's type of the items, such as `ReplicaJobSession`.
    pub(crate) r#type: &'static str,
    pub(crate) view: View,
    /// An expression in EM's filter language; empty for all items.
    pub(crate) filter: String,
    pub(crate) order: Order,
    pub(crate) page_size: u16,
    /// Number of the page, from one.
    pub(crate) page: u32,
}

impl Query {
    /// The request's target, relative to EM's address.
    pub(crate) fn path(&self) -> String {
        let mut parameters = Serializer::new(String::new());
        parameters.append_pair("type", self.r#type);
        if self.view == View::Entity {
            parameters.append_pair("format", "Entities");
        }
        if !self.filter.is_empty() {
            parameters.append_pair("filter", &self.filter);
        }
        let sort = match self.order {
            Order::NewestFirst => "sortDesc",
            Order::OldestFirst => "sortAsc",
        };
        parameters
            .append_pair(sort, "CreationTime")
            .append_pair("pageSize", &self.page_size.to_string())
            .append_pair("page", &self.page.to_string());
        // Form encoding writes a space as `+`; `%20` is a space everywhere in a URL.
        format!("api/query?{}", parameters.finish().replace('+', "%20"))
    }
}
