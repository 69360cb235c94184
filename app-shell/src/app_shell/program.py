"""What all commands share: the moment they began, settings, results as text or JSON, errors as one line and a code."""

import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperGroup

from app_shell import terminal
from forecast_core.contracts.errors import ForecastingError, InvalidArgument, TransientError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecast_core.contracts.settings import Settings

S = TypeVar("S")

WRONG: Final = 1
"""Exit code: what was asked for or given is wrong, or a check failed; the same again will not help."""

LATER: Final = 3
"""Exit code: a store, a database or the source cannot be used now; the same again may succeed. 2 is wrong usage."""


@dataclass
class Shell:
    """One call of the command: when it was made, and whether its result is to be JSON."""

    now: datetime
    as_json: bool = False

    def show(self, result: Any, render: Callable[[Any], "RenderableType"]) -> None:
        """Print ``result``, plain JSON or dataclasses of it: as JSON, or as ``render`` draws it for a terminal."""
        if self.as_json:
            # In another encoding, letters are escaped: what is nearest to them would be another value.
            ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
            sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=ascii_only, default=asdict) + "\n")
            return
        terminal.show(render(result))

    def fail(self, error: ForecastingError) -> int:
        """Print an error as one line on stderr (with ``--json``, as an object); return the exit code."""
        later = isinstance(error, TransientError)
        # Without what orchestrators read off it: here the exit code says whether to try again.
        message = " ".join(str(error.args[0]).split())
        if self.as_json:
            line = json.dumps({"error": type(error).__name__, "message": message, "try_again": later})
        else:
            line = f"error: {message}"
        sys.stderr.write(line + "\n")
        return LATER if later else WRONG


_OLDER_NAMES: Final = {
    "--delay": "--days-delay",
    "--export": "--days-export",
    "--reference-datetime": "--reference",
}
"""One option has one name in all commands; these are names that it had before, or has as an argument in Python."""


def _present(argument: str) -> str:
    name, equals, value = argument.partition("=")
    return f"{_OLDER_NAMES.get(name, name)}{equals}{value}"


class Commands(TyperGroup):
    """A group of commands whose errors of the system's own end as ``Shell.fail`` says."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; options under names of before are taken, and not shown."""
        return super().parse_args(ctx, [_present(each) for each in args])

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except ForecastingError as error:
            raise typer.Exit(shell_of(ctx).fail(error)) from None


def shell_of(context: typer.Context) -> Shell:
    """Return the call that a command belongs to."""
    shell = context.find_root().obj
    assert isinstance(shell, Shell)  # noqa: S101 - __main__ puts it there
    return shell


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
"""The option of every command that asks before it changes something."""


def confirm(change: str, *, yes: bool) -> None:
    """Show what will change on stderr and return if the person agrees; ``yes`` has agreed already.

    Raises:
        InvalidArgument: If nobody can be asked, because the input is no terminal.
        typer.Exit: If the person does not agree.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidArgument(f"{change}: nobody can be asked, because the input is no terminal; give --yes to do it")
    if not typer.confirm(f"{change}. Do it?", err=True):
        sys.stderr.write("nothing was changed\n")
        raise typer.Exit(WRONG)


def _remember_json(context: typer.Context, wanted: bool) -> bool:
    if wanted:
        shell_of(context).as_json = True
    return wanted


AsJson = Annotated[
    bool, typer.Option("--json", callback=_remember_json, is_eager=True, help="Print the result as JSON.")
]
"""The option of every command."""


def read_settings() -> "Settings":
    """Return the settings of the environment.

    Raises:
        InvalidArgument: If one of them is not what it must be.
    """
    from forecast_core.contracts.settings import Settings

    return from_environment(Settings)


def from_environment(kind: Callable[[], S]) -> S:
    """Return settings of a kind.

    Raises:
        InvalidArgument: If one of them is not what it must be.
    """
    from pydantic import ValidationError

    try:
        return kind()
    except ValidationError as error:
        first = error.errors()[0]
        name = "ML_PIPELINE_" + "_".join(map(str, first["loc"])).upper()
        raise InvalidArgument(
            f"{name} is {first['input']!r}, but: {first['msg']}; see .env.default", setting=name
        ) from error


def log_to_stderr(*, verbose: bool) -> None:
    """Let the pipelines' log be seen if it is wanted; their warnings are part of their results anyway."""
    level = logging.INFO if verbose else logging.ERROR
    # MLflow sets its own log up when it is imported.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", logging.getLevelName(level))
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        # Loggers of ours are open for INFO while `energy run` shows progress.
        handler.setLevel(level)
