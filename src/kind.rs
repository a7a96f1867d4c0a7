//! Families in files: a table whose `kind` names the member, one member being meant where nothing is said.
//!
//! So a file that was written before a family had a second member still means what it meant.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A table that has been read, `kind` apart from the other fields.
#[derive(Debug, Clone)]
pub struct Tagged {
    /// The member's name.
    pub kind: String,
    fields: Map<String, Value>,
}

impl Tagged {
    /// Reads a table whose field `tag` names the kind; `usual` is the kind of one that has no such field.
    ///
    /// # Errors
    /// If it is no table, or the kind is no text.
    pub fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        tag: &str,
        usual: &str,
    ) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        match fields.remove(tag) {
            None => Ok(Self { kind: usual.into(), fields }),
            Some(Value::String(kind)) => Ok(Self { kind, fields }),
            Some(other) => Err(D::Error::custom(format!("{tag} = {other} is not a name"))),
        }
    }

    /// The other fields as the member's own type.
    ///
    /// # Errors
    /// Names the field that is unknown or of another type.
    pub fn into_fields<T: DeserializeOwned, E: Error>(self) -> Result<T, E> {
        let read = |fields| serde_json::from_value::<T>(Value::Object(fields));
        read(self.fields.clone()).map_err(|problem| {
            // JSON's own message tells no field; one that fails alone is the one.
            let fails = |(name, value): &(String, Value)| {
                read(Map::from_iter([(name.clone(), value.clone())])).is_err()
            };
            match self.fields.into_iter().find(fails) {
                Some((name, _)) => E::custom(format!("{name}: {problem}")),
                None => E::custom(problem),
            }
        })
    }

    /// What to say of a kind that is none of `known`.
    pub fn unknown<E: Error>(&self, known: &[&str]) -> E {
        E::custom(format!("kind `{}` is not known, use one of {}", self.kind, known.join(", ")))
    }
}
