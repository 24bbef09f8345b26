"""`python -m headrace.cli.seatunnel` is seatunnel.sh."""

import sys

from headrace.cli.seatunnel.client import main

sys.exit(main(sys.argv[1:]))
