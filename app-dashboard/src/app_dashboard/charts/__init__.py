"""Charts, as functions from a frame to an Altair chart."""
