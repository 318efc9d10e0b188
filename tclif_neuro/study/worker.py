"""A process that does jobs: their lines come in on standard input, an answer per line goes out on standard output.

    python -m tclif_neuro.study.worker MODULE:FUNCTION FOLDER

It ends as soon as nobody feeds it any more, be it in the middle of a job: a study that is killed leaves none behind.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module

from tclif_neuro.errors import TclifError
from tclif_neuro.study.folder import Folder, Result
from tclif_neuro.study.spec import Job

Work = Callable[[Job, Folder], Result]
DONE, REFUSED, FAILED = "done", "refused", "failed"  # a refusal is the user's to mend, a failure may pass


def find(name: str) -> Work:
    """The function called "module:function"."""
    module, _, function = name.partition(":")
    found: Work = getattr(import_module(module), function)
    return found


def do(work: Work, job: Job, folder: Folder) -> str:
    """Do `job` unless it is done; its result, or why there is none, is then in its folder."""
    if folder.result(job) is not None:
        return DONE
    folder.forget_error(job)
    try:
        folder.keep(job, work(job, folder))
    except TclifError as error:
        folder.keep_error(job, str(error))
        return REFUSED
    except Exception as error:
        traceback.print_exc()
        folder.keep_error(job, f"{FAILED}: {type(error).__name__}: {error}")
        return FAILED
    return DONE


def main() -> None:
    """Do what comes in."""
    name, path = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a job prints is no answer
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    work, folder = find(name), Folder(path)
    while True:
        answer = do(work, json.loads(lines.get()), folder)
        print(answer, file=answers, flush=True)


def _listen(lines: queue.SimpleQueue[str]) -> None:
    for text in sys.stdin:
        lines.put(text)
    os._exit(0)


if __name__ == "__main__":
    main()
