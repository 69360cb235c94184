"""An extension for mkdocstrings: examples in the text of a docstring become code blocks."""

import re
from typing import Any

from griffe import Extension, Object

_EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:(?!\n|Args:|Returns:|Raises:).+\n?)*)+", re.MULTILINE)


class Examples(Extension):
    """Fence every example, from its prompt to the next empty line."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(
                lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", obj.docstring.value
            )
