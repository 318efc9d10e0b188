"""Write docs/reference/commands.md: every command of `tclif`, its arguments and options.

    python -m scripts.command_reference

Names, meanings and defaults are those that `tclif COMMAND --help` prints; both come from the same declarations.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from tclif_neuro.cli.app import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "commands.md"
HEAD = """# Every command of tclif

Written by `python -m scripts.command_reference` from the declarations behind `tclif COMMAND
--help`. Results go to standard output, all else to standard error; `--json` makes a result one line
of JSON. Exit status: 0 done; 1 the executors of integers disagree; 2 a mistake of yours, said in
one line; 70 a fault of ours; 130 interrupted.
"""
TABLE = "| | |\n|---|---|"


def page() -> str:
    """The whole page, as Markdown."""
    commands = list(named("tclif", get_command(app)))
    listed = [f"- [{name}](#{name.replace(' ', '-')}): {first_line(command)}" for name, command in commands]
    return "\n".join([HEAD, *listed, "", *(line for name, command in commands for line in section(name, command))])


def named(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands of a group under their full names, in the order of its help; a command that is no group, itself."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name in command.list_commands(typer.Context(command)):
        if not command.commands[name].hidden:
            yield from named(f"{path} {name}", command.commands[name])


def first_line(command: Any) -> str:
    """The first line of a command's help: what it does."""
    return str(command.help).split("\n", maxsplit=1)[0]


def section(name: str, command: Any) -> Iterator[str]:
    """One command: how it is called, what it does, a row per argument and option."""
    context = typer.Context(command, info_name=name)
    yield f"## {name}\n"
    yield f"    {name} {' '.join(command.collect_usage_pieces(context))}\n"
    yield f"{command.help}\n"
    yield TABLE
    for parameter in command.params:
        if record := parameter.get_help_record(context):
            says, means = (" ".join(text.split()).replace("|", "\\|") for text in record)
            yield f"| `{says.replace(' <path>', '')}` | {means} |"
    yield ""


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
