//! Enterprise Manager's session documents are read strictly and without losing data.

mod document;
mod dotnet;
mod fields;
mod fixtures;
mod hostile;
mod links;
mod namespaces;
mod pages;
mod refusals;
mod samples;
mod tasks;
mod text;
mod times;
mod unmapped;
