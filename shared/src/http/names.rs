//! Lists of named objects, as many answers have them.

use std::ops::Deref;

use serde::Deserialize;

/// The names of a list of objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<Named>")]
pub struct Names(pub Vec<String>);

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Deref for Names {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl From<Vec<Named>> for Names {
    fn from(list: Vec<Named>) -> Self {
        Self(list.into_iter().map(|named| named.name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_of_a_list_must_have_a_name() {
        let read = |json| serde_json::from_str::<Names>(json).ok();
        let names = Names(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(read(r#"[{"name":"a","id":1},{"name":"b"}]"#), Some(names));
        assert_eq!(read("[]"), Some(Names::default()));
        for other in [r#"["a"]"#, r#"[{"id":1}]"#, r#"[{"name":1}]"#, "{}", "null"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
