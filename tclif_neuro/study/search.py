"""A search's trials: Optuna's TPE, its account of them a journal file in the study's folder that needs no server."""

from __future__ import annotations

from typing import Any

from tclif_neuro.study.folder import Folder, read_json, write_json
from tclif_neuro.study.spec import RangeSection, SearchSection, Settings, Study, StudyError

JOURNAL, ASKED = "search.log", "asked.json"


def optuna() -> Any:
    """The package, which few need. Raises `StudyError` where it is missing."""
    try:
        import optuna
    except ImportError:
        raise StudyError('a search needs Optuna: pip install "tclif-neuro[search]"') from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


class Trial:
    """One trial. What it was given is kept in its job's folder, so that it goes on with the same if it is interrupted.

    Several at a time choose without knowing of each other's accuracy: a search is repeated with one worker alone.
    """

    def __init__(self, study: Study, folder: Folder, number: int) -> None:
        if study.spec.search is None:
            raise StudyError(f"{study.file}: has no [search]")
        self.search, self.asked = study.spec.search, folder.place({"trial": number}) / ASKED
        self.trials = _trials(self.search, folder, number)

    def settings(self) -> Settings:
        """Return the settings to try, by dotted key."""
        if not self.asked.exists():
            optuna_trial = self.trials.ask({key: _distribution(r) for key, r in self.search.keys.items()})
            write_json(self.asked, {"number": optuna_trial.number, "settings": optuna_trial.params})
        return dict(read_json(self.asked)["settings"])

    def tell(self, accuracy: float) -> None:
        """Record how good the trial was."""
        self.trials.tell(read_json(self.asked)["number"], accuracy, skip_if_finished=True)


def _trials(search: SearchSection, folder: Folder, number: int) -> Any:
    package = optuna()
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return package.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder.path / JOURNAL))),
        study_name="study",
        load_if_exists=True,
        direction="maximize",
        sampler=package.samplers.TPESampler(seed=(search.seed + number) % 2**32),
    )


def _distribution(choice: RangeSection) -> Any:
    distributions = optuna().distributions
    if choice.choices is not None:
        return distributions.CategoricalDistribution(choice.choices)
    whole = isinstance(choice.low, int) and isinstance(choice.high, int)
    kind = distributions.IntDistribution if whole else distributions.FloatDistribution
    return kind(choice.low, choice.high, log=choice.log)
