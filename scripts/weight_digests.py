"""The weights after three epochs of each small recipe by each rule, as digests: is training the same, to the bit?

    python scripts/weight_digests.py before.json                    # then change the code
    python scripts/weight_digests.py after.json --against before.json

Equal only on one machine: floats depend on its vector instructions and libraries. Takes some minutes. Exit status 1:
a digest differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from tclif_neuro.data.toml import read_toml
from tclif_neuro.learning.recipe.file import RecipeError, parse_recipe
from tclif_neuro.learning.training.checkpoint import load_checkpoint
from tclif_neuro.learning.training.train import train

MODELS = Path(__file__).resolve().parent.parent / "models"
RECIPES = "digits-rows", "digits-rows-demo", "digits-rows-online", "digits-rows-lattice"
RULES = "bptt", "eprop", "fptt"
EPOCHS = 3
BPTT_ALONE = "batch_norm", "dropout"  # of a layer: no other rule has them


def recipe_of(name: str, rule: str) -> dict[str, Any]:
    """The recipe `name` for three epochs by `rule`."""
    data = read_toml(MODELS / f"{name}.toml", RecipeError)
    data["training"] |= {"rule": rule, "epochs": EPOCHS}
    if rule != "bptt":
        for layer in data["model"]["layers"]:
            for key in BPTT_ALONE:
                layer.pop(key, None)
    return data


def weights_digest(recipe: dict[str, Any]) -> str:
    """Of all parameters and buffers after training."""
    with tempfile.TemporaryDirectory() as folder:
        train(parse_recipe(recipe), folder)
        state = load_checkpoint(Path(folder)).model
    found = hashlib.sha256()
    for name, value in sorted(state.items()):
        found.update(name.encode() + value.contiguous().numpy().tobytes())
    return found.hexdigest()


def main() -> int:
    """Write the digests, compare them, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the JSON file to write")
    parser.add_argument("--against", type=Path, help="an earlier file, of the same machine")
    given = parser.parse_args()
    earlier: dict[str, str] = json.loads(given.against.read_text()) if given.against else {}
    found: dict[str, str] = {}
    for name in RECIPES:
        for rule in RULES:
            key = f"{name} {rule}"
            try:
                found[key] = weights_digest(recipe_of(name, rule))
            except RecipeError as error:
                found[key] = f"refused: {error}"
            differs = key in earlier and earlier[key] != found[key]
            print(key, found[key][:60], "DIFFERS" if differs else "", flush=True)
            given.out.write_text(json.dumps(found, indent=1) + "\n")
    return int(any(earlier[key] != found[key] for key in earlier if key in found))


if __name__ == "__main__":
    raise SystemExit(main())
