//! Proof that the stand-ins are strict, fail as told and show what happened.

mod control;
mod faults;
mod program;
mod rule;
mod sesamy;
mod support;
