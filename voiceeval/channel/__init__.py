"""The line between caller and agent."""

from voiceeval.channel.simulated_line import SimulatedLine

__all__ = ["SimulatedLine"]
