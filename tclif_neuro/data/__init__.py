"""Data sets: real tasks by name, and the user's own from .npz files."""

from tclif_neuro.data.batches import Batches
from tclif_neuro.data.load import TASKS, load_task
from tclif_neuro.data.npz import Samples, load_samples
from tclif_neuro.data.split import stratified_split
from tclif_neuro.data.task import DataError, Task

__all__ = ["TASKS", "Batches", "DataError", "Samples", "Task", "load_samples", "load_task", "stratified_split"]
