"""What every part agrees on: schema, errors, settings, window, arguments, and the typed value of a run."""
