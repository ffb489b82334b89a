//! Proof that the stand-ins are strict, fail as told and show what happened.

// `cfg(test)` tells the lints that helpers may unwrap too.
#[cfg(test)]
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod mailmojo;
#[cfg(test)]
mod make;
#[cfg(test)]
mod program;
#[cfg(test)]
mod rule;
#[cfg(test)]
mod sesamy;
#[cfg(test)]
mod support;
