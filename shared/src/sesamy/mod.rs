//! Sesamy: what its Management API says of a reader.

pub mod model;
