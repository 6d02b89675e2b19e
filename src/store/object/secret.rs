//! A value that is never shown.

use std::fmt;

/// A key, a token, a password: handed on, and neither printed nor compared.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes it, without the blanks and newlines around it that files have.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The value, for whoever signs with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new(" geheim\n")), "***");
        assert_eq!(Secret::new(" geheim\n").reveal(), "geheim");
    }
}
