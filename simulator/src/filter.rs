//! Parser of the query service's filter language.
//!
//! Comparisons with `==`, `!=`, `<`, `<=`, `>` and `>=`; `;` for and, `,` for or, parentheses.
//! Confirmed by the vendor's documentation, including that blanks outside quotes are dropped.
//! That `;` binds tighter than `,` is our assumption. Public so that tests can check the filters
//! that the gateway writes with a parser it did not write.

use std::{iter::Peekable, str::Chars};

/// Maximum nesting depth of parentheses.
const MAX_DEPTH: usize = 32;

/// A filter expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All must hold: `a;b`.
    All(Vec<Filter>),
    /// One must hold: `a,b`.
    Any(Vec<Filter>),
    /// A comparison.
    Compare(Comparison),
}

/// A property compared to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The property, as written.
    pub property: String,
    /// The operator.
    pub operator: Operator,
    /// The value, without its quotes.
    pub value: String,
}

/// How a property is compared to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    /// Parses an expression. A quoted value contains a double quote as two. An unquoted one ends
    /// at `;`, `,` or `)`, and its blanks are dropped, as Enterprise Manager does without an error.
    ///
    /// # Errors
    ///
    /// A message saying what is malformed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text.chars().peekable(), depth: 0 };
        let filter = parser.any()?;
        match parser.peek() {
            None => Ok(filter),
            Some(found) => Err(format!("'{found}' is not expected")),
        }
    }

    /// Whether it is enough somewhere that one of two properties has some value.
    pub(crate) fn has_alternatives(&self) -> bool {
        match self {
            Self::Compare(_) => false,
            Self::All(filters) => filters.iter().any(Self::has_alternatives),
            Self::Any(filters) => {
                let mut properties = filters.iter().map(|filter| match filter {
                    Self::Compare(comparison) => Some(&comparison.property),
                    Self::All(_) | Self::Any(_) => None,
                });
                let first = properties.next().flatten();
                first.is_none() || properties.any(|property| property != first)
            }
        }
    }

    /// Whether the filter holds, given a function that decides each comparison.
    pub(crate) fn holds<E>(
        &self,
        holds: &mut impl FnMut(&Comparison) -> Result<bool, E>,
    ) -> Result<bool, E> {
        // Evaluates every comparison: an unknown property is an error wherever it appears.
        match self {
            Self::Compare(comparison) => holds(comparison),
            Self::All(filters) => {
                filters.iter().try_fold(true, |all, filter| Ok(filter.holds(holds)? && all))
            }
            Self::Any(filters) => {
                filters.iter().try_fold(false, |any, filter| Ok(filter.holds(holds)? || any))
            }
        }
    }
}

struct Parser<'t> {
    rest: Peekable<Chars<'t>>,
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Filter, String> {
        let filters = self.separated(',', Self::all)?;
        Ok(single(filters, Filter::Any))
    }

    fn all(&mut self) -> Result<Filter, String> {
        let filters = self.separated(';', Self::term)?;
        Ok(single(filters, Filter::All))
    }

    fn separated(
        &mut self,
        separator: char,
        part: impl Fn(&mut Self) -> Result<Filter, String>,
    ) -> Result<Vec<Filter>, String> {
        let mut parts = vec![part(self)?];
        while self.peek() == Some(separator) {
            self.rest.next();
            parts.push(part(self)?);
        }
        Ok(parts)
    }

    fn term(&mut self) -> Result<Filter, String> {
        if self.peek() != Some('(') {
            return self.comparison().map(Filter::Compare);
        }
        self.rest.next();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("parentheses are nested too deeply".to_owned());
        }
        let filter = self.any()?;
        self.depth -= 1;
        match self.peek() {
            Some(')') => {
                self.rest.next();
                Ok(filter)
            }
            _ => Err("a parenthesis is not closed".to_owned()),
        }
    }

    fn comparison(&mut self) -> Result<Comparison, String> {
        let mut property = String::new();
        while let Some(letter) = self.peek().filter(char::is_ascii_alphanumeric) {
            property.push(letter);
            self.rest.next();
        }
        if property.is_empty() {
            return Err("a property is missing".to_owned());
        }
        Ok(Comparison { property, operator: self.operator()?, value: self.value()? })
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let first = self.peek();
        self.rest.next();
        let is_with_equals = self.rest.next_if_eq(&'=').is_some();
        match (first, is_with_equals) {
            (Some('='), true) => Ok(Operator::Equal),
            (Some('!'), true) => Ok(Operator::NotEqual),
            (Some('<'), true) => Ok(Operator::LessOrEqual),
            (Some('<'), false) => Ok(Operator::Less),
            (Some('>'), true) => Ok(Operator::GreaterOrEqual),
            (Some('>'), false) => Ok(Operator::Greater),
            _ => Err("an operator is missing".to_owned()),
        }
    }

    fn value(&mut self) -> Result<String, String> {
        let mut value = String::new();
        if self.peek() == Some('"') {
            self.rest.next();
            loop {
                match self.rest.next() {
                    Some('"') if self.rest.next_if_eq(&'"').is_some() => value.push('"'),
                    Some('"') => return Ok(value),
                    Some(other) => value.push(other),
                    None => return Err("a quoted value is not closed".to_owned()),
                }
            }
        }
        while let Some(other) = self.peek().filter(|other| !";,()".contains(*other)) {
            if other == '"' {
                return Err("a quote stands within a value".to_owned());
            }
            value.push(other);
            self.rest.next();
        }
        if value.is_empty() {
            return Err("a value is missing".to_owned());
        }
        Ok(value)
    }

    /// Skips blanks and returns the next character without consuming it.
    fn peek(&mut self) -> Option<char> {
        while self.rest.next_if_eq(&' ').is_some() {}
        self.rest.peek().copied()
    }
}

/// A group, or its only member.
fn single(mut filters: Vec<Filter>, group: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.len() {
        1 => filters.remove(0),
        _ => group(filters),
    }
}
