//! The widgets of the dashboard, as HTML that CloudWatch's console shows.
//!
//! One binary is two functions. `WidgetsFunction` shows ([`viewer`]), and
//! `WidgetActionsFunction` does what a button asks for ([`actor`]), so that IAM decides who
//! may only look. Both do nothing themselves: they ask the other functions
//! ([`functions`]) and show their answers.

pub mod actor;
pub mod answers;
pub mod event;
pub mod functions;
pub mod html;
pub mod viewer;
