//! Sesamy's read models.
