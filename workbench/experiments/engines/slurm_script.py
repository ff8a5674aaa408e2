"""The batch script of an array of jobs. Its comments say what each line is for: all were learnt on a real SLURM."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.experiments.chains import Job
from workbench.experiments.engines.jobs import command_line

MAX_STARTS = 100

# Fields of a line of the list, between tabs: key, log, run's folder, command. An empty command is a job that is done.
SCRIPT = r"""#!/bin/bash
# Task N of the array runs line N + 1 of the list. SIGTERM comes with preemption, requeue and scancel, and SLURM sees to
# the rest. SIGUSR1 comes to this shell alone, ahead of the time limit: were it SIGTERM too, this script would requeue
# what a user has cancelled.
{setup}unset WORKBENCH_ENGINE
cd {here} || exit 1
task=${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID start=${{SLURM_RESTART_COUNT:-0}}
IFS=$'\t' read -r key log run command < <(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {jobs}/{list})
[ -n "$command" ] || exit 0
jobs={jobs}
export WORKBENCH_PROGRESS=$jobs/$key.progress.json
rm -f "$jobs/$key.ended"
touch "$jobs/$key.mark"
exec >> "$log" 2>&1
echo; echo "=== {stage}: $command (SLURM $task on ${{SLURMD_NODENAME:-?}}, start $start)"
# `exec`, so that $! is the command and no shell around it: SIGTERM would end that shell and orphan the command.
eval "exec $command" & child=$!
trap 'told=yes; {stop}' TERM
trap 'limit=near; {stop}' USR1
wait $child; code=$?                                               # a trap ends `wait` early,
while kill -0 $child 2> /dev/null; do wait $child; code=$?; done   # so wait until the command has saved and ended
if [ "$limit" = near ] && [ $code -ne 0 ]; then
  # Stopped ahead of the limit (130, of torchrun 1). SLURM itself requeues after preemption and the loss of a node only.
  saved=$(find "$run" -newer "$jobs/$key.mark" \( -name '*.safetensors' -o -name '*.nc' \) 2> /dev/null | head -n 1)
  if [ -n "$saved" ] && [ "$start" -lt {max_starts} ]; then
    # The task, never $SLURM_JOB_ID: that of one task is the whole array's.
    scontrol requeue "$task" && sleep 60 && exit $code
  fi
  echo "workbench: the time limit came before anything new was saved; give it more with --time."
fi
# Told to stop and not to its end: preempted, then SLURM starts it again, or cancelled. Nobody has failed.
[ "$told" = yes ] && [ $code -ne 0 ] && exit $code
echo $code > "$jobs/.$key.$$" && mv "$jobs/.$key.$$" "$jobs/$key.ended"
exit $code
"""

# One torchrun a node, one worker a GPU.
NODES = (
    'srun {python} -m torch.distributed.run --nnodes="$SLURM_NNODES" --nproc-per-node={workers} '
    '--max-restarts=0 --rdzv-backend=c10d --rdzv-endpoint="${{HEAD:-$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)}}:'  # noqa: E501
    '$((29100 + SLURM_JOB_ID % 900))" '
    '--rdzv-id="$SLURM_JOB_ID-$SLURM_RESTART_COUNT" -m workbench {words}'
)


@dataclass(frozen=True)
class Layout:
    """nodes, workers: of one job that torchrun spreads over several nodes; 1 and 1 is a plain process."""

    nodes: int = 1
    workers: int = 1


def make_script(stage: str, list_name: str, folder: Path, setup: Sequence[str], layout: Layout) -> str:
    """The script of one stage's array."""
    # SLURM signals the steps of all nodes; srun alone would be asked twice to end them at once.
    stop = "scancel --signal=TERM $SLURM_JOB_ID" if layout.nodes > 1 else "kill -TERM $child 2> /dev/null"
    return SCRIPT.format(
        setup="".join(f"{line}\n" for line in setup),
        here=shlex.quote(str(Path.cwd())),
        jobs=shlex.quote(str(folder.resolve())),
        list=shlex.quote(list_name),
        stage=stage.replace('"', ""),
        stop=stop,
        max_starts=MAX_STARTS,
    )


def make_list(jobs: Sequence[Job | None], words: Sequence[str], layout: Layout) -> str:
    """A line for each task of the array; None is one with nothing to do. words: what each command gets besides."""
    return "".join("\t\t\t\n" if job is None else _line(job, words, layout) + "\n" for job in jobs)


def _line(job: Job, words: Sequence[str], layout: Layout) -> str:
    words = [*job.words, *words]
    if layout.nodes > 1:
        command = NODES.format(
            python=shlex.quote(sys.executable), workers=layout.workers, words=shlex.join(words)
        )
    else:
        command = command_line(words)
    return "\t".join([job.key, str(job.log.resolve()), str(job.run.resolve()), command])


def torchrun_lines(words: Sequence[str], nodes: int, workers: int) -> list[str]:
    """What to type on each node to train one run together, where no scheduler does it: the nodes share the disk."""
    if nodes == 1:
        common = f"--standalone --nproc-per-node={workers}"
        return [f"{sys.executable} -m torch.distributed.run {common} -m workbench {shlex.join(words)}"]
    common = f"--nnodes={nodes} --nproc-per-node={workers} --master-addr=FIRST-NODE --master-port=29500"
    return [
        f"{sys.executable} -m torch.distributed.run {common} --node-rank={rank} -m workbench {shlex.join(words)}"
        for rank in range(nodes)
    ]
