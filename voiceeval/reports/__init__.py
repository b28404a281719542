"""Renderers of a comparison: terminal, HTML, Markdown and ``gate.json``. They judge nothing."""
