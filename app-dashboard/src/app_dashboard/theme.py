"""Streamlit's colours, light and dark; the charts' are in ``display``."""

from typing import Final

from app_dashboard.display import DARK, LIGHT

THEME: Final[dict[str, str | bool | list[str]]] = {
    "theme.baseRadius": "small",
    "theme.showSidebarBorder": True,
    "theme.paddingTop": "2.5rem",
    "theme.paddingBottom": "2rem",
    "theme.headingFontSizes": ["1.9rem", "1.4rem", "1.15rem", "1rem", "0.9rem", "0.85rem"],
    "theme.metricValueFontSize": "1.5rem",
    "theme.light.primaryColor": LIGHT.blue,
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f4f6f8",
    "theme.light.textColor": LIGHT.ink,
    "theme.light.borderColor": LIGHT.grid,
    "theme.dark.primaryColor": DARK.blue,
    "theme.dark.backgroundColor": "#11151a",
    "theme.dark.secondaryBackgroundColor": "#1a2027",
    "theme.dark.textColor": DARK.ink,
    "theme.dark.borderColor": DARK.grid,
}
