use super::Point;

/// Even places of a square around the origin, by rows from the top left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Square {
    /// Half its side.
    pub half: f64,
    /// Places in a row, each in the middle of its field.
    pub places: usize,
}

impl Square {
    /// The places.
    pub fn points(&self) -> Vec<Point> {
        let at = |i: usize| self.half * (2.0 * (i as f64 + 0.5) / self.places as f64 - 1.0);
        (0..self.places * self.places).map(|i| [at(i % self.places), -at(i / self.places)]).collect()
    }

    /// The area of a field.
    pub fn field(&self) -> f64 {
        (2.0 * self.half / self.places as f64).powi(2)
    }
}
