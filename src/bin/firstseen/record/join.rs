//! One id of several values.
//!
//! Values are not glued together, for ("a", "bc") must not be ("ab", "c"): each is preceded by its
//! length. A single value stands for itself, so that the same id is known by the same bytes
//! whichever way it was read.

/// Appends one of several values to the id that grows in `id`.
pub(crate) fn push(id: &mut Vec<u8>, value: &[u8]) {
    id.extend_from_slice(&(value.len() as u64).to_le_bytes());
    id.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(values: &[&str]) -> Vec<u8> {
        let mut id = Vec::new();
        for value in values {
            push(&mut id, value.as_bytes());
        }
        id
    }

    #[test]
    fn where_one_value_ends_matters() {
        assert_ne!(joined(&["a", "bc"]), joined(&["ab", "c"]));
        assert_ne!(joined(&["", "a"]), joined(&["a", ""]));
        assert_eq!(joined(&["a", "b"]), joined(&["a", "b"]));
    }
}
