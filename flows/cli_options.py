"""The options that most commands take."""

from __future__ import annotations

from typing import Annotated

import typer

Profile = Annotated[
    str | None, typer.Option(help="Lay profiles/NAME.yaml over the parameters.", metavar="NAME")
]
ParamsFile = Annotated[str, typer.Option(help="The parameter file.", metavar="FILE")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Set one parameter: search.iterations=3.", metavar="KEY=VALUE"),
]
Replay = Annotated[
    bool, typer.Option("--replay", help="Answer from the record alone; no endpoint is asked.")
]
