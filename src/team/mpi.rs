use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, Root, Source};

use super::Team;
use crate::{Error, Result};

/// The processes that an MPI launcher has started. The library ends all of them when one is lost.
pub struct Mpi {
    world: SimpleCommunicator,
    local: usize,
    /// Takes leave of the others when it is dropped.
    _universe: Universe,
}

impl Mpi {
    /// Joins the others, which all have to call this.
    ///
    /// # Errors
    /// [`Error::Device`] if the library does not start, or does not let any thread but the first one call it.
    pub fn join() -> Result<Self> {
        let refused = |problem: &str| Error::device("mpi", problem, "use another MPI library");
        // Only one thread calls it, but not the one that the program has begun in.
        let (universe, threading) = mpi::initialize_with_threading(Threading::Serialized)
            .ok_or_else(|| refused("has been started before"))?;
        match threading {
            Threading::Serialized | Threading::Multiple => {
                let world = universe.world();
                let local = world.split_shared(world.rank()).rank() as usize;
                Ok(Self { world, local, _universe: universe })
            }
            _ => Err(refused("wants all calls from one thread")),
        }
    }
}

impl Team for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn local_rank(&self) -> usize {
        self.local
    }

    fn send(&mut self, values: &[f32], to: usize) {
        self.world.process_at_rank(to as i32).send(values);
    }

    fn receive(&mut self, values: &mut [f32], from: usize) {
        self.world.process_at_rank(from as i32).receive_into(values);
    }

    fn broadcast(&mut self, values: &mut [f32]) {
        self.world.process_at_rank(0).broadcast_into(values);
    }

    fn abort(&mut self, code: u8) {
        self.world.abort(code.into());
    }
}
