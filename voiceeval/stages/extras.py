"""What the stages ask of optional packages; the line between caller and agent asks the same."""

from voiceeval.extras import installed_version, require

__all__ = ["installed_version", "require"]
