//! Enumerations that Sesamy may extend at any time.

/// An enumeration that keeps the values it does not know.
pub(super) trait OpenEnum: Sized {
    /// Reads a value in any letter case.
    fn from_text(text: &str) -> Self;

    /// Whether the value is one of those known here.
    fn is_known(&self) -> bool;
}

/// Defines an enumeration that keeps the values it does not know.
///
/// Read without regard to letter case, since Sesamy's own samples differ in
/// it. A variant may have several spellings; the first is what it prints.
macro_rules! open_enum {
    (
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $spelling:literal $(| $other:literal)*),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A value not known here, in capitals.
            Other(String),
        }

        impl $crate::sesamy::model::open_enum::OpenEnum for $name {
            fn from_text(text: &str) -> Self {
                let capitals = text.to_uppercase();
                match capitals.as_str() {
                    $($spelling $(| $other)* => Self::$variant,)+
                    _ => Self::Other(capitals),
                }
            }

            fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl $name {
            /// The value in capitals.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $spelling,)+
                    Self::Other(text) => text,
                }
            }
        }
    };
}

pub(super) use open_enum;
