//! Which shard a process is, as job arrays and MPI tell it in its environment.

use std::str::FromStr;

use super::Shard;
use crate::{Error, Result};

/// What the errors are about.
const AUTO: &str = "--shard auto";
/// What to do where nothing can be read.
const EXPLICITLY: &str = "name it with --shard I/N";

/// What a user asks for with `--shard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Given(Shard),
    /// The one that the environment says.
    Auto,
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            text => text.parse().map(Self::Given),
        }
    }
}

/// A shard and why it is that one, as `as SLURM_ARRAY_TASK_ID = 1 of 0 to 2`.
type Found = (Shard, String);

/// The shard that the variables of `look_up` name, and why: a task of a Slurm array or of an Indexed Job of Kubernetes,
/// or a process of Open MPI, MPICH or `srun`.
///
/// # Errors
/// [`Error::Config`] if none of them is there, one is not understood, or two of them divide the work.
pub fn read(look_up: impl Fn(&str) -> Option<String>) -> Result<Found> {
    let environment = Environment(look_up);
    let found = [environment.slurm_array()?, environment.kubernetes()?, environment.process()?];
    let found: Vec<Found> = found.into_iter().flatten().collect();
    let divided: Vec<&Found> = found.iter().filter(|(shard, _)| shard.of > 1).collect();
    match (&divided[..], &found[..]) {
        ([one], _) => Ok((*one).clone()),
        ([], [one, ..]) => Ok(one.clone()),
        ([(_, one), (_, other), ..], _) => {
            let problem = format!("finds two divisions, {one} and {other}");
            Err(Error::config(AUTO, problem, "use one of them, or name the shard with --shard I/N"))
        }
        ([], []) => {
            let problem = "finds no division: there is no Slurm array (SLURM_ARRAY_TASK_ID), no Indexed Job of Kubernetes \
                           (JOB_COMPLETION_INDEX), no process of Open MPI (OMPI_COMM_WORLD_RANK), of MPICH (PMI_RANK) or of \
                           several that srun started (SLURM_PROCID)";
            Err(Error::config(AUTO, problem, EXPLICITLY))
        }
    }
}

/// A way to look up variables.
struct Environment<F>(F);

impl<F: Fn(&str) -> Option<String>> Environment<F> {
    /// Arrays may begin at 0 or 1 and have a step; what was submitted as a list may have gaps.
    fn slurm_array(&self) -> Result<Option<Found>> {
        let Some(id) = self.number("SLURM_ARRAY_TASK_ID")? else { return Ok(None) };
        let beside = |name: &str| self.beside(name, "SLURM_ARRAY_TASK_ID", EXPLICITLY);
        let (count, min, max) = (
            beside("SLURM_ARRAY_TASK_COUNT")?,
            beside("SLURM_ARRAY_TASK_MIN")?,
            beside("SLURM_ARRAY_TASK_MAX")?,
        );
        let step = self.number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
        if count == 1 && min > 1 {
            let problem =
                format!("cannot tell which shard SLURM_ARRAY_TASK_ID = {id} is, alone in its array");
            return Err(Error::config(
                AUTO,
                problem,
                "name it with --shard I/N, or repeat a task with `scontrol requeue`",
            ));
        }
        let place =
            |id: usize| Some(id.checked_sub(min)?).filter(|past| past % step == 0).map(|past| past / step);
        let by = if step > 1 { format!(" by {step}") } else { String::new() };
        match (place(id), place(max)) {
            (Some(place), Some(last)) if last + 1 == count && place <= last => {
                let why = format!("as SLURM_ARRAY_TASK_ID = {id} of {min} to {max}{by}");
                shard(place, count, why).map(Some)
            }
            _ => {
                let problem =
                    format!("cannot divide an array with gaps: {count} tasks of {min} to {max}{by}");
                Err(Error::config(AUTO, problem, EXPLICITLY))
            }
        }
    }

    /// Kubernetes tells a pod its index, and the number of pods only if the manifest does.
    fn kubernetes(&self) -> Result<Option<Found>> {
        let fix = "set it in the manifest, under `env`, to the Job's `completions`";
        self.rank("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", fix)
    }

    /// The nearest of those that may have started the process: `mpirun` starts its processes within those of `srun`, whose
    /// variables are then those of a whole machine.
    fn process(&self) -> Result<Option<Found>> {
        for [rank, size] in [["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"], ["PMI_RANK", "PMI_SIZE"]] {
            if let Some(found) = self.rank(rank, size, EXPLICITLY)? {
                return Ok(Some(found));
            }
        }
        // Slurm sets its rank in a batch script too, which no `srun` has divided.
        match self.number("SLURM_STEP_NUM_TASKS")? {
            Some(2..) => self.rank("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", EXPLICITLY),
            _ => Ok(None),
        }
    }

    /// The process `rank`, from 0 on, of `size`.
    fn rank(&self, rank: &str, size: &str, fix: &str) -> Result<Option<Found>> {
        let Some(index) = self.number(rank)? else { return Ok(None) };
        let of = self.beside(size, rank, fix)?;
        shard(index, of, format!("as {rank} = {index} of {of}")).map(Some)
    }

    /// The variable `name` if it is set.
    fn number(&self, name: &str) -> Result<Option<usize>> {
        let Some(text) = (self.0)(name) else { return Ok(None) };
        match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::config(AUTO, format!("cannot read {name} = {text}"), EXPLICITLY)),
        }
    }

    /// The variable `name`, which has to be there where `other` is.
    fn beside(&self, name: &str, other: &str, fix: &str) -> Result<usize> {
        let missing = || Error::config(AUTO, format!("finds {other}, but {name} is not set"), fix);
        self.number(name)?.ok_or_else(missing)
    }
}

/// The shard at `place`, from 0 on, of `of`.
fn shard(place: usize, of: usize, why: String) -> Result<Found> {
    let shard = place.checked_add(1).and_then(|index| format!("{index}/{of}").parse().ok());
    let refused = || Error::config(AUTO, format!("finds no shard {why}"), EXPLICITLY);
    shard.map(|shard| (shard, why.clone())).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of variables written as `NAME=VALUE NAME=VALUE`.
    fn found(variables: &str) -> Result<Found> {
        let pairs: Vec<(&str, &str)> =
            variables.split_whitespace().filter_map(|pair| pair.split_once('=')).collect();
        read(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn array(id: usize, [count, min, max, step]: [usize; 4]) -> String {
        format!(
            "SLURM_ARRAY_TASK_ID={id} SLURM_ARRAY_TASK_COUNT={count} SLURM_ARRAY_TASK_MIN={min} \
             SLURM_ARRAY_TASK_MAX={max} SLURM_ARRAY_TASK_STEP={step}"
        )
    }

    #[test]
    fn arrays_and_processes_are_shards() {
        let mpirun_in_srun =
            "OMPI_COMM_WORLD_RANK=5 OMPI_COMM_WORLD_SIZE=8 SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2";
        let one_process = "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1";
        for (variables, shard, why) in [
            (array(1, [3, 0, 2, 1]), "2/3", "as SLURM_ARRAY_TASK_ID = 1 of 0 to 2"),
            (array(1, [3, 1, 3, 1]), "1/3", "as SLURM_ARRAY_TASK_ID = 1 of 1 to 3"),
            (array(3, [3, 1, 3, 1]), "3/3", "as SLURM_ARRAY_TASK_ID = 3 of 1 to 3"),
            (array(4, [3, 0, 8, 4]), "2/3", "as SLURM_ARRAY_TASK_ID = 4 of 0 to 8 by 4"),
            (array(0, [1, 0, 0, 1]), "1/1", "0 to 0"),
            (array(1, [1, 1, 1, 1]), "1/1", "1 to 1"),
            ("JOB_COMPLETION_INDEX=0 JOB_COMPLETIONS=4".into(), "1/4", "as JOB_COMPLETION_INDEX = 0 of 4"),
            (
                "OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4".into(),
                "4/4",
                "as OMPI_COMM_WORLD_RANK = 3 of 4",
            ),
            ("PMI_RANK=1 PMI_SIZE=2".into(), "2/2", "as PMI_RANK = 1 of 2"),
            ("SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2".into(), "2/2", "as SLURM_PROCID = 1 of 2"),
            (mpirun_in_srun.into(), "6/8", "OMPI"),
            (format!("{one_process} {}", array(1, [3, 0, 2, 1])), "2/3", "SLURM_ARRAY"),
            (format!("PMI_RANK=1 PMI_SIZE=2 {}", array(0, [1, 0, 0, 1])), "2/2", "PMI"),
            (one_process.into(), "1/1", "0 of 1"),
        ] {
            let (found, reason) = found(&variables).unwrap();
            assert_eq!(found.to_string(), shard, "{variables}");
            assert!(reason.contains(why), "{reason}");
        }
    }

    #[test]
    fn what_does_not_divide_the_work_is_refused() {
        for (variables, words) in [
            (String::new(), &["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "PMI_RANK", "--shard I/N"][..]),
            ("SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1".into(), &["finds no division"]),
            (array(3, [3, 0, 7, 1]), &["gaps", "3 tasks of 0 to 7", "--shard I/N"]),
            (array(9, [3, 0, 2, 1]), &["gaps"]),
            (array(1, [2, 0, 3, 3]), &["gaps", "by 3"]),
            (array(0, [3, 1, 3, 1]), &["gaps"]),
            (array(2, [1, 2, 2, 1]), &["SLURM_ARRAY_TASK_ID = 2", "--shard I/N", "scontrol requeue"]),
            ("SLURM_ARRAY_TASK_ID=2".into(), &["SLURM_ARRAY_TASK_COUNT is not set"]),
            ("SLURM_ARRAY_TASK_ID=two".into(), &["SLURM_ARRAY_TASK_ID = two"]),
            ("JOB_COMPLETION_INDEX=0".into(), &["JOB_COMPLETIONS is not set", "manifest", "completions"]),
            ("JOB_COMPLETION_INDEX=4 JOB_COMPLETIONS=4".into(), &["no shard", "4 of 4"]),
            ("PMI_RANK=0 PMI_SIZE=0".into(), &["no shard"]),
            (
                format!("PMI_RANK=1 PMI_SIZE=2 {}", array(0, [3, 0, 2, 1])),
                &["two divisions", "PMI_RANK", "0 to 2"],
            ),
        ] {
            let message = found(&variables).unwrap_err().to_string();
            for word in words {
                assert!(message.contains(word), "{variables}: `{message}` does not say `{word}`");
            }
        }
    }

    #[test]
    fn a_shard_is_named_or_looked_up() {
        assert_eq!("auto".parse::<Choice>().unwrap(), Choice::Auto);
        assert_eq!("2/3".parse::<Choice>().unwrap(), Choice::Given(Shard { index: 2, of: 3 }));
        assert!("3/2".parse::<Choice>().is_err());
    }
}
