//! Injects every fault at every call, once and always.

mod case;
mod leaks;
mod outcome;
mod run;
mod table;
