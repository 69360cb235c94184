"""The command ``energy``; ``energy --help`` lists what it can do."""

import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Timer

from app_shell.commands import app
from app_shell.program import Shell
from app_shell.terminal import write_in_any_encoding


def deliver_interrupts() -> None:
    """Deliver Ctrl-C again where Python swallows it: in a finalizer or a callback, which may raise nothing."""

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            # A little later: an interrupt that is raised in here is swallowed, too.
            Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            sys.__unraisablehook__(unraisable)

    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = hook


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code, as docs/shell.md lists them."""
    deliver_interrupts()
    write_in_any_encoding()
    # This file is the only place in this distribution where the clock is read.
    code = app(args=arguments, prog_name="energy", standalone_mode=True, obj=Shell(now=datetime.now(UTC)))
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
