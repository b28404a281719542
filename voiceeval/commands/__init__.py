"""What ``voiceeval`` can do, one module per command: ``add`` names its arguments, ``run`` does it."""
