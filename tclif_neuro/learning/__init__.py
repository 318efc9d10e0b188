"""Training: recipes, the loop, its checkpoints, and the rules by which gradients are found."""

from tclif_neuro.learning.recipe.file import RecipeError, load_recipe, parse_recipe
from tclif_neuro.learning.recipe.model import build_model
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.rules.bptt import TrainingError
from tclif_neuro.learning.training.checkpoint import Checkpoint, CheckpointError, load_checkpoint, load_trained
from tclif_neuro.learning.training.log import EpochRecord
from tclif_neuro.learning.training.run import Progress, evaluate
from tclif_neuro.learning.training.train import TrainResult, train

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "EpochRecord",
    "Progress",
    "Recipe",
    "RecipeError",
    "TrainResult",
    "TrainingError",
    "build_model",
    "evaluate",
    "load_checkpoint",
    "load_recipe",
    "load_trained",
    "parse_recipe",
    "train",
]
