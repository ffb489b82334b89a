//! Every fault at every call, once and for ever.

mod case;
mod outcome;
mod run;
mod silence;
mod table;
