"""Training: recipes, the loop, its checkpoints, and the rules by which gradients are found."""

from tclif_neuro.learning.bptt import TrainingError
from tclif_neuro.learning.checkpoint import Checkpoint, CheckpointError, load_checkpoint, load_trained
from tclif_neuro.learning.log import EpochRecord
from tclif_neuro.learning.model import build_model
from tclif_neuro.learning.recipe import Recipe
from tclif_neuro.learning.recipe_file import RecipeError, load_recipe, parse_recipe
from tclif_neuro.learning.run import Progress, evaluate
from tclif_neuro.learning.train import TrainResult, train

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
