//! Several processes that train one model, each on its share of every batch.
//!
//! A batch is cut into micro-batches, whose gradients are added up in pairs, the pairs in pairs, and so on ([`Pairwise`]).
//! A process adds those of its own, and [`sum`] goes on where it ends, so that the tree, and with it every bit of the model,
//! is the same whatever number of processes has a part in it.
//!
//! [`Alone`] is a team of one; with the feature `mpi` a program that `mpirun` or `srun` has started several times finds the
//! others by [`gather`].

#[cfg(feature = "mpi")]
mod mpi;
mod pairwise;

pub use pairwise::Pairwise;

use std::ops::Range;

use crate::{Error, Result};

/// The processes that train together. Each is known by its rank, from 0 on; that of rank 0 also keeps the files.
///
/// All of them call [`broadcast`](Self::broadcast) and [`sum`] the same number of times in the same order. A process
/// that is lost ends all others: to go on from the last checkpoint is the way back.
pub trait Team {
    /// This process.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// This process among those on the same machine, from 0 on.
    fn local_rank(&self) -> usize;

    /// Hands `values` to the process `to`, which receives as many.
    fn send(&mut self, values: &[f32], to: usize);

    /// Takes what the process `from` sends.
    fn receive(&mut self, values: &mut [f32], from: usize);

    /// What rank 0 has in `values`, for all.
    fn broadcast(&mut self, values: &mut [f32]);

    /// Ends all processes with this exit code, after an error that the others cannot know of.
    fn abort(&mut self, code: u8);
}

/// A single process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Team for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn local_rank(&self) -> usize {
        0
    }

    fn send(&mut self, _: &[f32], _: usize) {}

    fn receive(&mut self, _: &mut [f32], _: usize) {}

    fn broadcast(&mut self, _: &mut [f32]) {}

    fn abort(&mut self, _: u8) {}
}

/// The team that this process was started in; [`Alone`] where nothing was said of one.
///
/// # Errors
/// [`Error::Config`] if it was started as one of several but has been built without MPI: each would train a model of
/// its own, into the same folder.
#[cfg(feature = "mpi")]
pub fn gather() -> Result<Box<dyn Team>> {
    Ok(Box::new(mpi::Mpi::join()?))
}

/// The team that this process was started in; [`Alone`] where nothing was said of one.
///
/// # Errors
/// [`Error::Config`] if it was started as one of several but has been built without MPI: each would train a model of
/// its own, into the same folder.
#[cfg(not(feature = "mpi"))]
pub fn gather() -> Result<Box<dyn Team>> {
    match started_by(|name| std::env::var(name).ok()) {
        None => Ok(Box::new(Alone)),
        Some((variable, size)) => {
            let problem = format!("says {size} processes, and this program was built without MPI");
            let fix = "build it with --features mpi, or start one process";
            Err(Error::config(variable, problem, fix))
        }
    }
}

/// What says that there are several processes, and how many.
#[cfg(any(test, not(feature = "mpi")))]
fn started_by(variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, usize)> {
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"].into_iter().find_map(|name| {
        let size = variable(name)?.parse().ok()?;
        (size > 1).then_some((name, size))
    })
}

/// The micro-batches of this process, of `count`.
///
/// # Errors
/// [`Error::Config`] if they cannot be divided so that the tree of sums stays the same: each process takes a power of two of
/// them, or one takes all.
pub fn share(team: &dyn Team, count: usize) -> Result<Range<usize>> {
    let (rank, size) = (team.rank(), team.size());
    let each = count / size;
    if size > 1 && (each * size != count || !each.is_power_of_two()) {
        let sizes =
            (1..=count).filter(|n| *n == 1 || count.is_multiple_of(*n) && (count / n).is_power_of_two());
        let sizes: Vec<_> = sizes.map(|size| size.to_string()).collect();
        let problem = format!("= {count} cannot be divided among {size} processes");
        let fix = format!("start {} processes, or a new run with other --micro-batches", sizes.join(" or "));
        return Err(Error::config("micro_batches", problem, fix));
    }
    Ok(rank * each..(rank + 1) * each)
}

/// Adds up the `values` of all processes, which all have the sum then.
///
/// Where the sum of each is that of a complete tree of pairs, so is the result: at distance 1, 2, 4, ... the lower of two
/// neighbours takes what the upper one has, as `lower + upper`.
pub fn sum(team: &mut dyn Team, values: &mut [f32]) {
    let (rank, size) = (team.rank(), team.size());
    let mut theirs = vec![0.0; if size > 1 { values.len() } else { 0 }];
    let mut distance = 1;
    while distance < size {
        if rank % (2 * distance) == distance {
            team.send(values, rank - distance);
            break;
        }
        if rank + distance < size {
            team.receive(&mut theirs, rank + distance);
            values.iter_mut().zip(&theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
        distance *= 2;
    }
    team.broadcast(values);
}

/// Waits for all processes to come here.
pub fn wait(team: &mut dyn Team) {
    sum(team, &mut []);
}

/// Whether any process says so; no process goes on before all have said.
pub fn any(team: &mut dyn Team, says_so: bool) -> bool {
    let mut votes = [f32::from(u8::from(says_so))];
    sum(team, &mut votes);
    votes[0] > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_is_told_from_one_alone() {
        for (set, found) in [
            (("OMPI_COMM_WORLD_SIZE", "4"), Some(("OMPI_COMM_WORLD_SIZE", 4))),
            (("SLURM_STEP_NUM_TASKS", "2"), Some(("SLURM_STEP_NUM_TASKS", 2))),
            (("PMI_SIZE", "1"), None),
            (("PMI_SIZE", "many"), None),
            (("HOME", "4"), None),
        ] {
            assert_eq!(started_by(|name| (name == set.0).then(|| set.1.into())), found);
        }
    }
}
