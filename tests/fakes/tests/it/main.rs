//! The fakes reject what the real APIs reject, fail on demand, and record what happens.

// `cfg(test)` lets the lints know that helpers may unwrap too.
#[cfg(test)]
#[macro_use]
mod support;
#[cfg(test)]
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod hubspot;
#[cfg(test)]
mod mailchimp;
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
