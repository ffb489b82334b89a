//! Enumerations that Sesamy may extend at any time.

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

        impl $name {
            /// Reads a value in any letter case.
            pub fn from_text(text: &str) -> Self {
                let capitals = text.to_uppercase();
                match capitals.as_str() {
                    $($spelling $(| $other)* => Self::$variant,)+
                    _ => Self::Other(capitals),
                }
            }

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
