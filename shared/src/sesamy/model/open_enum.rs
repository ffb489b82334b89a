//! Enumerations that Sesamy may extend at any time.

/// Defines an enumeration that keeps unknown values, in capitals.
///
/// Reading ignores letter case, because Sesamy's own samples differ in it. A
/// variant may have several spellings; the first one is its output.
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
            Other(String),
        }

        impl $crate::sesamy::json::FromJson<'_> for $name {
            fn from_json(
                json: &serde_json::value::RawValue,
            ) -> Result<Option<Self>, $crate::sesamy::json::Unusable> {
                $crate::sesamy::json::text(json, |text| {
                    let capitals = text.to_uppercase();
                    Some(match capitals.as_str() {
                        $($spelling $(| $other)* => Self::$variant,)+
                        _ => Self::Other(capitals),
                    })
                })
            }

            fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl $name {
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
