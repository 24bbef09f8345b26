"""SeaTunnel's scripts for schedulers that call them: seatunnel.sh, seatunnel-cluster.sh, stop-seatunnel-cluster.sh."""

USAGE_EXIT = 234
"""SeaTunnel's exit code of help, and of arguments that cannot be read."""
