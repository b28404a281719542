"""Our own tests run pytest in pytest, with the plugin of this checkout even when it is not installed."""

from __future__ import annotations

from importlib.metadata import entry_points

pytest_plugins = ["pytester"]
if "voiceeval.pytest_plugin" not in {point.name for point in entry_points(group="pytest11")}:
    # Installed, it registers itself; naming it twice would only work because both names are the same.
    pytest_plugins.append("voiceeval.pytest_plugin")
