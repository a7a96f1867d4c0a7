#!/bin/sh
# What docs/SCALE.md promises, tried on the engines themselves: training by MPI, shards by Slurm and by GNU parallel, and the
# description of the Kubernetes job against its schema. It sets up what it needs, Slurm on this one machine too.
set -eu
cd "$(dirname "$0")/.."
. scripts/env.sh
scripts/tools.sh scale
# As in test.sh: Clippy lints while it builds.
RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS="-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__" \
    cargo build --locked --release --config profile.release.package.scorefield.opt-level=0 --features mpi --bin scorefield
cargo build --locked --release --features mpi --bin scorefield

export PATH="$PWD/deploy:$CARGO_TARGET_DIR/release:$PATH"
# OpenMPI refuses root, which containers often are, unless it is told twice.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
deploy=$PWD/deploy
work=$(mktemp -d)
cleanup() {
    for daemon in slurmd slurmctld munged; do
        [ ! -s "$work/$daemon.pid" ] || kill "$(cat "$work/$daemon.pid")" || true
    done
    # They write to the last.
    sleep 2
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work"

say() { printf '\n== %s\n' "$*"; }
stop() { echo "scorefield: $*" >&2 && exit 1; }
same() { cmp "$1" "$2" || stop "$3"; }
# The weights of a model file, without its header, which tells the time that training took.
weights() { python3 -c 'import sys; b = open(sys.argv[1], "rb").read(); sys.stdout.buffer.write(b[8 + int.from_bytes(b[:8], "little"):])' "$1"; }
same_model() { # FOLDER FOLDER
    for folder; do weights "$folder/tiny.safetensors" >"$folder/weights"; done
    same "$1/weights" "$2/weights" "$1 and $2 have other weights"
}

cat >tiny.toml <<'END'
name = "tiny"
steps = 400
batch = 16
micro_batches = 4
dropout = 0.1
checkpoint_every = 10
sample_every = 0

[data]
dataset = "synthetic"

[network]
kind = "unet"
channels = 8
multipliers = [1, 2]
blocks = 1
attention_levels = [1]
END
# One thread each, so that the processes do not take each other's cores.
export RAYON_NUM_THREADS=1
train="scorefield train --device cpu"
team() { # SIZE OPTION...
    size=$1
    shift
    # shellcheck disable=SC2086 # a list of words
    mpirun --oversubscribe --bind-to none -n "$size" $train "$@"
}

# Asks all of a team to stop, which they do after the same step. mpirun itself then ends with an error, as it was told to.
stop_team() { # PID
    pkill -TERM -n -x mpirun
    wait "$1" || true
    grep -q "stopped after step" said || stop "a run that was told to stop did not end well: $(cat said)"
}

say "training: one, two and four processes end with the same bits"
$train --config tiny.toml --out one
team 2 --config tiny.toml --out two
team 4 --config tiny.toml --out four
same_model one two
same_model one four

say "training: a process that is lost ends the run, and another number of them goes on"
team 2 --config tiny.toml --out lost --steps 1000000 2>said &
until [ -e lost/checkpoint.safetensors ]; do sleep 0.1; done
# The processes are children of mpirun.
kill -9 "$(pgrep -n -f "train --device cpu --config tiny.toml --out lost")"
! wait $! || stop "a lost process was not noticed"
grep "rank .* exited on signal 9" said || stop "it was not named"
team 4 --resume --name tiny --out lost --steps 1000000 >said 2>&1 &
sleep 5
stop_team $!
cat said

say "training: stopped, and gone on with by another number of processes, it is the same model"
team 2 --config tiny.toml --out parts >said 2>&1 &
until [ -e parts/checkpoint.safetensors ]; do sleep 0.1; done
stop_team $!
cat said
team 4 --resume --name tiny --out parts
same_model one parts

say "training: a batch is cut into as many parts as there are processes where nothing is said of it"
team 2 --dataset synthetic --preset mnist-weak --batch 4 --steps 1 --out parted
grep "micro_batches = 2" parted/config.toml

say "training: what cannot be divided is refused"
! team 3 --config tiny.toml --out refused 2>said || stop "three processes shared four parts"
grep "start 1 or 2 or 4 processes" said

say "Slurm on this machine"
umask 077
mkdir state spool
head -c 1024 /dev/urandom >munge.key
munged --force --socket="$work/munge.socket" --key-file="$work/munge.key" --pid-file="$work/munged.pid" \
    --log-file="$work/munged.log" --seed-file="$work/munged.seed"
host=$(hostname -s)
cat >slurm.conf <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF="$work/slurm.conf"
slurmctld -i
slurmd
for _ in $(seq 30); do [ "$(sinfo -h -o %t)" != idle ] || break && sleep 1; done
sinfo

say "Slurm: an array of three shards, of which the second one fails and is repeated"
cpus="--cpus-per-task=1"
evaluation="--model mnist-weak --samplers ddim --option n_steps=4 --count 48 --batch 8 --dataset synthetic --device cpu"
# Fails in its place the first time that it is called for the second shard.
mkdir failing
cat >failing/scorefield <<END
#!/bin/sh
if [ "\$SLURM_ARRAY_TASK_ID" = 2 ] && [ ! -e "$work/failed" ]; then touch "$work/failed" && exit 1; fi
exec "$CARGO_TARGET_DIR/release/scorefield" "\$@"
END
chmod +x failing/scorefield
# shellcheck disable=SC2086 # lists of words
! PATH="$work/failing:$PATH" sbatch --wait --parsable --array=1-3 $cpus -o "%a.txt" "$deploy/evaluate.slurm" $evaluation >job ||
    stop "no shard failed"
job=$(cat job)
cat 1.txt
! scorefield merge --status runs/mnist-weak-evaluation-*-of-3 || stop "a missing shard was not noticed"
scontrol requeue "${job}_2"
# Slurm lets what it repeats wait for up to two minutes.
for _ in $(seq 90); do ! scorefield merge --status runs/mnist-weak-evaluation-*-of-3 >said 2>&1 || break && sleep 2; done
cat 2.txt said
scorefield merge runs/mnist-weak-evaluation-*-of-3 --out merged
# shellcheck disable=SC2086 # a list of words
scorefield evaluate $evaluation --out whole
# The tables are equal but for where they lie.
same merged/results.json whole/results.json "the shards give other numbers than the whole"

say "Slurm: training by srun"
# shellcheck disable=SC2086 # a list of words
sbatch --wait --ntasks=2 $cpus -o train.txt "$deploy/train.slurm" --device cpu --config tiny.toml --out slurm || stop "$(cat train.txt)"
cat train.txt
same_model one slurm

say "GNU parallel: samples in three shards"
make -s -C "$deploy/.." shards N=3 RUN="sample --model mnist-weak --sampler ddim --steps 4 --count 20 --batch 4 --device cpu --out $work/parallel.npy"
scorefield sample --model mnist-weak --sampler ddim --steps 4 --count 20 --batch 4 --device cpu --out whole.npy
scorefield merge parallel.npy
same parallel.npy whole.npy "the shards have drawn other images than the whole"

say "Kubernetes: the job against its schema"
"$cache/kubernetes/bin/kubernetes-validate" --strict "$deploy/evaluate.yaml"

say "all that docs/SCALE.md promises was seen"
