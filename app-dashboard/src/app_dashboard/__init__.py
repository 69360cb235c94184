"""Web pages of the energy forecasts; everything on them comes from the HTTP API."""
