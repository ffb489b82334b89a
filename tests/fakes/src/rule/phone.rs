//! Rule's normalization of phone numbers.

/// The number in international form. A number without a country code is Swedish.
pub(crate) fn normalize(text: &str) -> Option<String> {
    let mut digits = String::new();
    for (index, c) in text.trim().chars().enumerate() {
        match c {
            '+' if index == 0 => digits.push('+'),
            '0'..='9' => digits.push(c),
            ' ' | '-' | '(' | ')' | '.' | '/' => {}
            _ => return None,
        }
    }
    let international = if let Some(rest) = digits.strip_prefix('+') {
        rest.to_owned()
    } else if let Some(rest) = digits.strip_prefix("00") {
        rest.to_owned()
    } else {
        format!("46{}", digits.strip_prefix('0').unwrap_or(&digits))
    };
    let length = international.len();
    ((8..=15).contains(&length) && !international.starts_with('0'))
        .then(|| format!("+{international}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_international() {
        for (text, number) in [
            ("+46701234567", Some("+46701234567")),
            ("+47 900 00 000", Some("+4790000000")),
            ("0047 90000000", Some("+4790000000")),
            ("070-123 45 67", Some("+46701234567")),
            ("", None),
            ("abc", None),
            ("+4670", None),
            ("12345", None),
            ("+12345678901234567", None),
            ("070+1234567", None),
        ] {
            assert_eq!(normalize(text).as_deref(), number, "{text}");
        }
    }
}
