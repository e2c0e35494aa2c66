//! The labels of all metrics.

/// Label names and values. They are static, so that no client can add series.
pub(super) type Labels<const N: usize> = [(&'static str, &'static str); N];
