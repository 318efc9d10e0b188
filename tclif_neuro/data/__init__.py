"""Data sets: real tasks by name, and the user's own from files and folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tclif_neuro.data.load import TASKS, load_task
from tclif_neuro.data.own import Samples, load_samples
from tclif_neuro.data.sequences import DataError
from tclif_neuro.data.spec import EncodingSpec, TaskSpec
from tclif_neuro.data.split import stratified_split
from tclif_neuro.data.task import Part, Task

if TYPE_CHECKING:
    from tclif_neuro.data.batches import Batches as Batches

__all__ = [
    "TASKS",
    "Batches",
    "DataError",
    "EncodingSpec",
    "Part",
    "Samples",
    "Task",
    "TaskSpec",
    "load_samples",
    "load_task",
    "stratified_split",
]


def __getattr__(name: str) -> Any:
    if name != "Batches":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tclif_neuro.data.batches import Batches  # imports torch, which reading a task does not need

    return Batches
