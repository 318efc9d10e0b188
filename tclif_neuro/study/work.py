"""The work of a job: train its recipe in its folder, and measure."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from tclif_neuro.data import load_task
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.training.checkpoint import load_trained
from tclif_neuro.learning.training.run import in_order
from tclif_neuro.learning.training.train import train
from tclif_neuro.neurons.chain import evaluating, links
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.modules import LIF
from tclif_neuro.study.folder import Folder, Result
from tclif_neuro.study.search import Trial
from tclif_neuro.study.spec import Job, Settings, Study


def train_job(job: Job, folder: Folder) -> Result:
    """Train the study's recipe with the job's settings; a job that was interrupted goes on from its checkpoint."""
    return trained(folder.study(), job, folder.place(job))


def search_job(job: Job, folder: Folder) -> Result:
    """Ask the search for settings, train, and tell it the validation accuracy."""
    study = folder.study()
    trial = Trial(study, folder, job["trial"])
    settings = trial.settings()
    result = trained(study, settings, folder.place(job))
    trial.tell(result["validation_accuracy"])
    return {"settings": settings, **result}


def trained(study: Study, settings: Settings, place: Path) -> Result:
    """Train, and return the result. rates: of each spiking layer, spikes per neuron and step, on the test set."""
    recipe = study.changed(settings)
    result = train(recipe, place, data_dir=study.data_dir)
    return {
        "test_accuracy": result.test_accuracy,
        "validation_accuracy": result.validation_accuracy,
        "train_accuracy": result.train_accuracy,
        "epoch": result.epoch,
        "epochs": result.epochs,
        "parameters": result.parameters,
        "rates": firing_rates(load_trained(place, recipe)[0], recipe, study.data_dir),
        "seconds": result.seconds,
    }


def firing_rates(model: nn.Sequential, recipe: Recipe, data_dir: str | None) -> list[float]:
    """Each spiking layer's mean rate on the test set, in spikes per neuron and step, padded ones included."""
    spikes: dict[str, float] = {}
    numbers: dict[str, int] = {}
    with evaluating(model):
        for x, _ in in_order(load_task(recipe.task, data_dir=data_dir).test):
            for name, module in links(model):
                x = module(x)
                if isinstance(module, TwoCompartment | LIF):
                    spikes[name] = spikes.get(name, 0.0) + float(x.sum())
                    numbers[name] = numbers.get(name, 0) + x.numel()
    return [spikes[name] / numbers[name] for name in spikes]
