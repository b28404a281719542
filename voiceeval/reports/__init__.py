"""Renderings of a comparison; they compute nothing."""
