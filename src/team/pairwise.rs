use std::ops::Add;

/// A sum of values as they come, in pairs: `((a + b) + (c + d)) + ...`, where what has no neighbour goes up as it is.
///
/// The order of the additions depends on their number alone, and a run of `2^k` values that begins at a multiple of `2^k`
/// is a branch of its own.
#[derive(Debug)]
pub struct Pairwise<T> {
    /// Branches with the number of their level, each lower than the one before it.
    branches: Vec<(u32, T)>,
}

impl<T> Default for Pairwise<T> {
    fn default() -> Self {
        Self { branches: vec![] }
    }
}

impl<T: Add<Output = T>> Pairwise<T> {
    /// Takes the next value.
    pub fn add(&mut self, value: T) {
        let (mut level, mut sum) = (0, value);
        while let Some((_, earlier)) = self.branches.pop_if(|(other, _)| *other == level) {
            (level, sum) = (level + 1, earlier + sum);
        }
        self.branches.push((level, sum));
    }

    /// The sum, if there were any.
    pub fn total(self) -> Option<T> {
        self.branches.into_iter().rev().map(|(_, sum)| sum).reduce(|later, earlier| earlier + later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sum that shows its brackets.
    #[derive(Debug, PartialEq)]
    struct Shown(String);

    impl Add for Shown {
        type Output = Self;

        fn add(self, other: Self) -> Self {
            Self(format!("({}{})", self.0, other.0))
        }
    }

    fn shown(letters: &str) -> Option<String> {
        let mut sum = Pairwise::default();
        letters.chars().for_each(|letter| sum.add(Shown(letter.into())));
        sum.total().map(|shown| shown.0)
    }

    #[test]
    fn pairs_are_added_then_pairs_of_pairs() {
        for (letters, sum) in [
            ("a", "a"),
            ("ab", "(ab)"),
            ("abc", "((ab)c)"),
            ("abcd", "((ab)(cd))"),
            ("abcdef", "(((ab)(cd))(ef))"),
            ("abcdefg", "(((ab)(cd))((ef)g))"),
        ] {
            assert_eq!(shown(letters).as_deref(), Some(sum));
        }
        assert_eq!(shown(""), None);
    }
}
