"""The command ``energy``; ``energy --help`` lists what it can do."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from app_shell.commands import app
from app_shell.program import Shell


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code, as docs/shell.md lists them."""
    # This file is the only place in this distribution where the clock is read.
    code = app(args=arguments, prog_name="energy", standalone_mode=True, obj=Shell(now=datetime.now(UTC)))
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
