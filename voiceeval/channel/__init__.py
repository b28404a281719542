"""The line between caller and agent."""
