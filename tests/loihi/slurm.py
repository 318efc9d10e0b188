"""A real SLURM on this host, for the length of a test run: a controller and two nodes, without munge or systemd."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PROGRAMS = ("slurmctld", "slurmd", "sinfo", "srun", "sbatch", "scontrol")
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin"
START = 30.0  # seconds

CONFIG = """\
ClusterName=tclif
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/none
AuthInfo=cred_expire=5
SchedulerParameters=sched_interval=2,bf_interval=2
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ReturnToService=2
MpiDefault=none
SelectType=select/linear
SlurmdParameters=config_overrides
KillWait=2
EnforcePartLimits=ALL
NodeName=board1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=board2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=oheogulch Nodes=board1 Default=YES MaxTime=30
PartitionName=kp Nodes=board1,board2 MaxTime=1
PartitionName=broken Nodes=board2 MaxTime=30
"""


def why_not():
    """Why there can be no SLURM here, "" if there can."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=PLACES) is None]
    if lacking:
        return f"SLURM is not installed ({', '.join(lacking)}): scripts/test_packages.sh installs Debian's packages"
    return "" if os.geteuid() == 0 else "a SLURM without munge is started as root alone"


class Cluster:
    """The daemons; `folder` holds their configuration and logs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.daemons = folder, []
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        ports = [s.getsockname()[1] for s in sockets]
        for s in sockets:
            s.close()
        host = socket.gethostname().split(".")[0]
        (folder / "state").mkdir()
        self.config = folder / "slurm.conf"
        self.config.write_text(CONFIG.format(host=host, ports=ports, folder=folder, user="root"))

    def start(self):
        self._daemon("slurmctld", "-D", "-f", self.config)
        for node in ("board1", "board2"):
            self._daemon("slurmd", "-D", "-N", node, "-f", self.config)
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            if self.call("sinfo", "-h", "-N", "-o", "%N %t").stdout.count("idle") == 4:
                return
            time.sleep(0.3)
        raise AssertionError((self.folder / "slurmctld.log").read_text()[-2000:])

    def _daemon(self, program, *arguments):
        path = shutil.which(program, path=PLACES)
        with open(self.folder / f"{program}.out", "ab") as log:
            streams = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL}
            self.daemons.append(subprocess.Popen([path, *arguments], env=self.env, **streams))

    @property
    def env(self):
        return {**os.environ, "SLURM_CONF": str(self.config), "PATH": PLACES}

    def call(self, *command):
        return subprocess.run(command, capture_output=True, text=True, timeout=20, env=self.env)

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster with the partitions oheogulch, kp (a minute) and broken, whose node is down."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        made.start()
        made.call("scontrol", "update", "NodeName=board2", "State=DOWN", "Reason=test")
        yield made
    finally:
        made.stop()
