"""Archive 24-hour forecasts for every series and monitor them against what came."""
