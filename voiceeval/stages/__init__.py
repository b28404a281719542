"""The parts of an agent's loop."""
