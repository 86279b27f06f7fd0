//! How it is said: CloudEvents over HTTP, headers, verdicts and the one place that decides what a reply means.
//!
//! Both ends use this module: the SDK encodes and classifies, the city decodes. Nothing here sends anything.

pub mod answer;
pub mod classify;
pub mod cloudevents;
pub mod headers;
pub mod retry_after;
pub mod single;

pub use answer::{Answer, EdgeConfig, Problem, Verdict, VerdictWord};
pub use classify::{Reply, ReplyClass, Unsettled, classify};
