"""A small study: its data, its recipe, its file; jobs of a second or two."""

import numpy as np

from tclif_neuro.study.folder import Folder

RECIPE = """
[task]
name = "toy.npz"

[[model.layers]]
type = "tclif"
size = 6
recurrent = true

[training]
epochs = 2
batch_size = 16
"""
TWELVE = """
recipe = "toy.toml"
seeds = [1, 2, 3]

[grid]
training.lr = [1e-2, 3e-3]
model.layers."*".recurrent = [true, false]
"""


def write(folder, study=TWELVE, recipe=RECIPE):
    """The study's file in `folder`, with all that it names."""
    rng = np.random.default_rng(3)
    y = np.arange(60) % 3
    x = rng.random((60, 5, 3)).astype(np.float32)
    x[np.arange(60), :, y] += 1
    np.savez(folder / "toy.npz", x=x, y=y)
    (folder / "toy.toml").write_text(recipe)
    (folder / "study.toml").write_text(study)
    return folder / "study.toml"


def square(job, folder):
    """Work for the executors alone: what a job can do, once."""
    tries = folder.place(job) / "tries"
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    if job.get("dies", 0) >= len(tries.read_text()):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
    if job.get("raises", 0) >= len(tries.read_text()):
        raise OSError("out of luck")
    if job.get("sleeps"):
        import time

        time.sleep(job["sleeps"])
    return {"square": job["n"] ** 2}


WORK = f"{square.__module__}:square"


def folder_of(path):
    """An empty study's folder."""
    path.mkdir()
    return Folder(path)
