"""A real SLURM on this one machine, in a folder of its own: no systemd, no cgroups, nothing listens but on 127.0.0.1.

munged, slurmctld and two slurmd, each with pretended CPUs and GPUs (links to /dev/null stand for the devices, so SLURM
hands out CUDA_VISIBLE_DEVICES as on a GPU server). Debian: apt-get install slurmctld slurmd slurm-client munge.
"""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
NODES, CPUS, GPUS, MEMORY_MB = 2, 4, 2, 4096


def find_program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


MISSING = [name for name in PROGRAMS if find_program(name) is None]


class Cluster:
    """Started by making it, ended by `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "munge", "log"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        key = folder / "munge/key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        for i in range(GPUS):
            (folder / f"gpu{i}").symlink_to("/dev/null")
        (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-{GPUS - 1}]\n")
        said = subprocess.run(
            [find_program("slurmctld"), "-V"], capture_output=True, text=True, check=True
        ).stdout
        year, month = (int(part) for part in said.split()[-1].split(".")[:2])
        (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n" if (year, month) >= (23, 11) else "")
        self.conf.write_text(self._describe(_free_ports(2 + NODES)))
        self.environment = os.environ | {"SLURM_CONF": str(self.conf)}
        munge = folder / "munge"
        self._start(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge}/socket",
            f"--pid-file={munge}/pid", f"--log-file={folder}/log/munged.log", f"--seed-file={munge}/seed",
        )  # fmt: skip
        self._await("munged", lambda: (munge / "socket").exists())
        self._start("slurmctld", "-D", "-f", str(self.conf))
        self._await("slurmctld", lambda: self.ask("scontrol", "ping").returncode == 0)
        for i in range(1, NODES + 1):
            self.start_node(i)
        states = ("sinfo", "-h", "-N", "-p", "main", "-o", "%t")
        self._await("the nodes", lambda: self.ask(*states).stdout.split() == ["idle"] * NODES)

    def start_node(self, number: int) -> None:
        (self.folder / f"spool-node{number}").mkdir(exist_ok=True)
        self._start("slurmd", "-D", "-N", f"node{number}", "-f", str(self.conf), name=f"node{number}")

    def lose_node(self, number: int, *words: str) -> None:
        """The node's power is cut: its slurmd dies, and all that ran under it (whose command lines hold a word)."""
        self.daemons[f"node{number}"].kill()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            if any(word in line for word in words) and int(folder.name) != os.getpid():
                os.kill(int(folder.name), signal.SIGKILL)

    def ask(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(words, capture_output=True, text=True, check=False, env=self.environment)

    def stop(self) -> None:
        for process in reversed(self.daemons.values()):
            process.terminate()
        for process in self.daemons.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, program: str, *words: str, name: str | None = None) -> None:
        found = find_program(program)
        assert found is not None
        with (self.folder / f"log/{name or program}.out").open("ab") as log:
            self.daemons[name or program] = subprocess.Popen(
                [found, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=os.environ | {"SLURM_CONF": str(self.conf)},
            )  # fmt: skip

    def _await(self, what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.stop()
                logs = "\n".join(
                    file.read_text(errors="replace")[-800:] for file in (self.folder / "log").iterdir()
                )
                raise RuntimeError(f"{what} did not come up:\n{logs}")
            time.sleep(0.1)

    def _describe(self, ports: list[int]) -> str:
        user, here = getpass.getuser(), self.folder
        nodes = "\n".join(
            f"NodeName=node{i} NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1 + i]} CPUs={CPUS} "
            f"RealMemory={MEMORY_MB} Gres=gpu:{GPUS} State=UNKNOWN"
            for i in range(1, NODES + 1)
        )
        # What needs cgroups or systemd is off, and what waits is quick; the scheduler is the real one.
        return f"""ClusterName=here
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={here}/munge/socket,cred_expire=5
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool-%n
SlurmctldPidFile={here}/slurmctld.pid
SlurmdPidFile={here}/slurmd-%n.pid
SlurmctldLogFile={here}/log/slurmctld.log
SlurmdLogFile={here}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,defer_batch,bf_interval=1
MinJobAge=300
KillWait=30
SlurmctldTimeout=10
SlurmdTimeout=30
ReturnToService=2
JobRequeue=1
MaxArraySize=1001
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
SlurmdParameters=config_overrides
MailProg=/bin/true
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
"""


def _free_ports(number: int) -> list[int]:
    """Ports that nothing listens on now."""
    taken = [socket.socket() for _ in range(number)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    ports: list[int] = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports
