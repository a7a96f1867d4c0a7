use serde::{Deserialize, Serialize};

use super::Point;
use super::letters::lines;
use crate::toy::{GaussianMixture, Part, Toy, along, mixture};
use crate::{Error, Result};

/// Where the points of an experiment come from; in JSON `{"toy": "two_moons"}`, `{"modes": [...]}`,
/// `{"strokes": [...]}` or `{"letters": "SCORE"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// One that everybody draws.
    Toy(Toy),
    /// Round Gaussians.
    Modes(Vec<Mode>),
    /// What a visitor has drawn: lines through points, a little blurred.
    Strokes(Vec<Vec<Point>>),
    /// A word of a few capital letters, drawn so.
    Letters(String),
}

/// A round Gaussian.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// Its share, relative to the others.
    pub weight: f64,
    /// Its centre.
    pub at: [f64; 2],
    /// Its standard deviation.
    pub std: f64,
}

impl Default for World {
    fn default() -> Self {
        Self::Toy(Toy::TwoModes)
    }
}

/// The most Gaussians of a world.
const MOST: usize = 400;
/// Width of a drawn line.
const PEN: f64 = 0.15;

impl World {
    /// Refuses what is no distribution.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |problem: String, fix: &str| Err(Error::config("world", problem, fix));
        match self {
            Self::Toy(_) => Ok(()),
            Self::Modes(modes) if !(1..=MOST).contains(&modes.len()) => {
                refuse(format!("has {} modes", modes.len()), "use 1 to 400")
            }
            Self::Modes(modes) => {
                let fine = |mode: &Mode| {
                    let Mode { weight, at, std } = *mode;
                    weight > 0.0
                        && weight <= 1e6
                        && (0.0..=1e3).contains(&std)
                        && at.iter().all(|x| x.abs() <= 1e3)
                };
                match modes.iter().find(|mode| !fine(mode)) {
                    None => Ok(()),
                    Some(mode) => refuse(
                        format!("has the mode {mode:?}"),
                        "use a positive weight, and a centre and a deviation of at most 1000",
                    ),
                }
            }
            Self::Letters(word) => match lines(word) {
                Some(_) => Ok(()),
                None => refuse(format!("is the word `{word}`"), "use 1 to 8 letters from A to Z"),
            },
            Self::Strokes(strokes) => {
                let points = || strokes.iter().flatten();
                if points().any(|x| !x.iter().all(|x| x.abs() <= 1e3)) {
                    return refuse("has a point far outside".into(), "use coordinates of at most 1000");
                }
                match self.parts().len() {
                    1..=MOST => Ok(()),
                    0 => refuse("is empty".into(), "draw a line of two points at least"),
                    _ => {
                        let long = format!("has lines of {} points that are too long", points().count());
                        refuse(long, "draw less")
                    }
                }
            }
        }
    }

    /// The Gaussians that it is made of.
    pub fn parts(&self) -> Vec<Part> {
        match self {
            Self::Toy(toy) => toy.parts(),
            Self::Modes(modes) => {
                modes.iter().map(|mode| Part::round(mode.weight, mode.at, mode.std)).collect()
            }
            Self::Letters(word) => drawn(&lines(word).unwrap_or_default()),
            Self::Strokes(strokes) => drawn(strokes),
        }
    }

    /// The modes that it is made of, if they are few and round: those that one can take hold of. Their weights add up to 1.
    pub fn modes(&self) -> Vec<Mode> {
        /// As many as the eye tells apart.
        const FEW: usize = 12;
        let parts = self.parts();
        let total: f64 = parts.iter().map(|part| part.weight).sum();
        let round = |part: &Part| {
            let [[xx, xy], [yx, yy]] = part.covariance;
            let mode = Mode { weight: part.weight / total, at: part.mean, std: xx.sqrt() };
            (xx == yy && xy == 0.0 && yx == 0.0).then_some(mode)
        };
        match parts.len() <= FEW {
            true => parts.iter().map(round).collect::<Option<_>>().unwrap_or_default(),
            false => vec![],
        }
    }

    /// The middle of each of them.
    pub fn centres(&self) -> Vec<Point> {
        self.parts().iter().map(|part| part.mean).collect()
    }

    pub(super) fn mixture(&self) -> Result<GaussianMixture> {
        mixture(&self.parts())
    }
}

/// Lines as wide as a pen.
fn drawn(strokes: &[Vec<Point>]) -> Vec<Part> {
    let line = |ends: &[Point]| {
        let (a, b) = (ends[0], ends[1]);
        // Each about as long as four times its width: together they end where the line does.
        let n = ((b[0] - a[0]).hypot(b[1] - a[1]) / (4.0 * PEN)).ceil() as usize;
        along(move |t| [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])], n, PEN)
    };
    strokes.iter().flat_map(|stroke| stroke.windows(2)).flat_map(line).collect()
}
