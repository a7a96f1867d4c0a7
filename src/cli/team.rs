use std::time::Duration;

use super::exit_code;
use crate::Result;
use crate::team::{self, Team};

/// Does `work` in the team that this process was started in. Where it fails in one process of several, that one says why, and
/// all are ended: the others would wait for it for ever.
pub async fn in_team(work: impl AsyncFnOnce(&mut dyn Team) -> Result<()>) -> Result<()> {
    let mut team = team::gather()?;
    let done = work(&mut *team).await;
    let (Err(problem), 2..) = (&done, team.size()) else { return done };
    // What is wrong for all is said once: rank 0 ends the others before they speak.
    if team.rank() > 0 {
        std::thread::sleep(Duration::from_secs(2));
    }
    eprintln!("error: process {} of {}: {problem}", team.rank(), team.size());
    team.abort(exit_code(problem));
    done
}
